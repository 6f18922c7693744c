"""Run an example as a program of its own; what it printed is complete once it has stopped."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.clients.processes import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
ENDS = {0, -15}  # uvicorn raises the signal that stopped it once more


class Program:
    """A running example: where it listens, and after its end what it printed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.output = ""


@contextmanager
def running(name: str, **environ: str) -> Iterator[Program]:
    """Start ``examples/<name>`` on a free port; it must end well at SIGTERM."""
    ours = [f"{key}={value}" for key, value in os.environ.items() if not key.startswith(("PROXY_", "ANTHROPIC_"))]
    settings = {"PROXY_PORT": "0", "CHATPROXY_DISABLED_PLUGINS": "*", **environ}
    given = [f"{key}={value}" for key, value in settings.items()]
    server = Server(["env", "-i", *ours, *given, sys.executable, "-W", "error", EXAMPLES / name])
    program = Program(server.address())
    try:
        yield program
    finally:
        code = server.stop()
        program.output = server.output
    assert code in ENDS, program.output
    assert "Traceback" not in program.output, program.output
