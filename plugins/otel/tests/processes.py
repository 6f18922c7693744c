"""Programs that export, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from typing import Any

END_S = 30
PRELUDE = """
    import asyncio, json, os, sys
    import msgspec
    from chatproxy.types import App
    from chatproxy_otel.config import Config
    from chatproxy_otel.export.providers import open_providers

    settings = json.loads(sys.argv[1])
    app = App(version="1.2.3", session_store=None, settings={})
    providers = open_providers(msgspec.convert(settings, Config), os.environ, app)

    def spans(count):
        tracer = providers.tracer_provider.get_tracer("test")
        for number in range(count):
            tracer.start_span("span", attributes={"number": number, "pid": os.getpid()}).end()

    def close(timeout_s):
        asyncio.run(providers.aclose(timeout_s))
        print(json.dumps([pipe._asdict() for pipe in providers.pipes]), flush=True)
"""


def ran(program: str, environ: dict[str, str] | None = None, **settings: Any) -> list[list[dict[str, Any]]]:
    """Run a program in a process of its own; the stats that each `close` in it printed."""
    made = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PRELUDE) + textwrap.dedent(program), json.dumps(settings)],
        env=os.environ | (environ or {}),
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "Traceback" not in made.stderr, made.stderr
    return [json.loads(line) for line in made.stdout.splitlines() if line.startswith("[")]


def counted(stats: list[dict[str, Any]]) -> tuple[int, int]:
    (one,) = [pipe for pipe in stats if pipe["signal"] == "traces"]
    return one["exported"], one["dropped"]
