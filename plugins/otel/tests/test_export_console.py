"""The console exporter writes lines of JSON and holds up nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap

from .processes import PRELUDE, counted

SETTINGS = {"traces": "console", "logs": "console", "metrics": "console"}
PROGRAM = textwrap.dedent(PRELUDE) + textwrap.dedent(
    """
    spans(3)
    providers.logger_provider.get_logger("test").emit(body="text", attributes={"number": 1})
    providers.meter_provider.get_meter("test").create_counter("asked").add(2)
    asyncio.run(providers.aclose(10))
    """
)
UNREAD = textwrap.dedent(PRELUDE) + textwrap.dedent(
    """
    spans(2000)
    asyncio.run(providers.aclose(0.3))
    print(json.dumps([pipe._asdict() for pipe in providers.pipes]), file=sys.stderr)
    """
)


def test_each_signal_is_written_as_lines() -> None:
    made = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(SETTINGS)], capture_output=True, text=True, timeout=30, check=True
    )
    lines = [json.loads(line) for line in made.stdout.splitlines()]
    assert [line["attributes"]["number"] for line in lines if "span_id" in line.get("context", {})] == [0, 1, 2]
    assert [line["body"] for line in lines if "body" in line] == ["text"]
    assert [line["data"]["data_points"][0]["value"] for line in lines if line.get("name") == "asked"] == [2]


def test_a_console_that_nobody_reads_keeps_no_process() -> None:
    read, write = os.pipe()
    try:
        made = subprocess.run(
            [sys.executable, "-c", UNREAD, json.dumps({**SETTINGS, "metrics": "none", "delay_s": 0.01})],
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=True,
        )
    finally:
        os.close(read)
        os.close(write)
    assert counted(json.loads(made.stderr.splitlines()[-1])) == (0, 2000)
