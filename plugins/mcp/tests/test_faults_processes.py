"""Processes that misbehave behind a whole gateway: the model is told, the next call finds one, none is left."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import psutil

from chatproxy.testing.matrix import Said

from .asking import gateway_of, saying
from .connect_servers import LEGACY, hand_server, until
from .test_faults import CELL, NOON, config, leaving_nothing, told
from .test_faults_listing import HEALTHY, offered

SCRIPT = Path(__file__).parent / "fault_stdio.py"
LIMITS: dict[str, Any] = {"call_timeout_s": 2.0, "max_message_bytes": 1 << 20}
LARGE = "larger than 1048576 bytes"
CALLS = {
    "line": LARGE,
    "junk": "no answer came within 2 s",
    "notes": "no answer came within 2 s",
    "changes": "no answer came within 2 s",
    "answers": "no answer came within 2 s",
    "blank": "no answer came within 2 s",
    "values": "more than 100000 values",
    "deep": "no answer came within 2 s",
    "other": "no answer came within 2 s",
    "words": "said",
    "die": "the server's process ended",
    "hang": "no answer came within 2 s",
}


def process(*faults: str, **limits: Any) -> dict[str, Any]:
    """An entry of ``[plugins.mcp.servers]``."""
    return {"command": sys.executable, "args": [str(SCRIPT), *faults], **LIMITS, **limits}


def running(code: str) -> dict[str, Any]:
    """An entry that runs a program."""
    return {"command": sys.executable, "args": ["-c", code], "connect_timeout_s": 2.0, **LIMITS}


USELESS: dict[str, tuple[dict[str, Any], str]] = {
    "exits": (process("exits"), "the server's process ended"),
    "silent": (process("silent", connect_timeout_s=2.0), "did not answer within 2 s"),
    "silent and deaf": (process("silent", "deaf", connect_timeout_s=2.0), "did not answer within 2 s"),
    "missing": ({"command": "/does/not/exist"}, "cannot be started"),
    "100 MB": (running("while True: print('x' * 65536, end='')"), LARGE),
    "lines": (running("while True: print('x')"), "did not answer within 2 s"),
    "floods stderr": (running("import sys\nwhile True: print('x', file=sys.stderr)"), "did not answer within 2 s"),
}
"""And what the operator is told."""


async def test_calls_of_processes_that_go_wrong_are_told_to_the_model_and_nothing_else_is_lost() -> None:
    """They also write before they are asked, and do not end when they are told to."""
    calls = tuple((f"b{place}__{tool}", "{}") for place, tool in enumerate(CALLS))
    # Who still writes its 100 MB has not read the next call.
    ready = [place for place, tool in enumerate(CALLS) if tool not in {"junk", "notes", "changes", "answers", "blank"}]
    again = tuple((f"b{place}__echo", "{}") for place in ready)
    upstream = saying(CELL, Said(calls=(*calls, ("good__echo", '{"text":"fine"}'))), NOON, Said(calls=again), NOON)
    async with leaving_nothing(), hand_server(LEGACY) as good:
        entries = {f"b{place}": process("greets", "deaf") for place in range(len(CALLS))}
        settings = {**config(good, {}), "servers": {**entries, "good": {"url": good.url}}}
        limits = {"max_parallel": 64, "max_offered": 1000, "list_wait_s": 8.0}
        async with gateway_of(upstream, {**settings, **limits}, cell=CELL) as gateway:
            heard = await CELL.ask(gateway, "Go.")
            assert (heard.content, heard.error) == ("It is noon.", None)
            *said, fine = told(upstream, 1)
            assert fine == "fine"
            wrong = {name: words for name, words in zip(CALLS, said, strict=True) if CALLS[name] not in words}
            assert wrong == {}
            await CELL.ask(gateway, "Again.")
            assert told(upstream, 3) == ["alive"] * len(ready)


async def test_processes_that_cannot_be_used_cost_their_tools_only() -> None:
    upstream = saying(CELL, NOON)
    async with leaving_nothing(), hand_server(LEGACY) as good:
        entries = {f"b{place}": entry for place, (entry, _) in enumerate(USELESS.values())}
        settings = config(good, {}, list_wait_s=8.0)
        settings["servers"] = {**entries, "good": {"url": good.url}}
        async with gateway_of(upstream, settings, cell=CELL) as gateway:
            await CELL.ask(gateway, "Go.")
            seen = (await gateway.client.get("/chatproxy/mcp")).json()["servers"]
    assert offered(upstream) == HEALTHY
    errors = {name: seen[f"b{place}"]["error"] for place, name in enumerate(USELESS)}
    assert {name: errors[name] for name, (_, words) in USELESS.items() if words not in errors[name]} == {}


async def test_a_process_that_is_killed_between_requests_is_started_again() -> None:
    echo = Said(calls=(("bad__echo", "{}"),))
    upstream = saying(CELL, echo, NOON, echo, NOON)
    others = set(psutil.Process().children())
    async with (
        leaving_nothing(),
        hand_server(LEGACY) as good,
        gateway_of(upstream, config(good, process()), cell=CELL) as gateway,
    ):
        await CELL.ask(gateway, "Go.")
        [child] = set(psutil.Process().children()) - others
        child.kill()
        await until(lambda: set(psutil.Process().children()) <= others)
        await CELL.ask(gateway, "Again.")
    assert told(upstream, 1) == told(upstream, 3) == ["alive"]
