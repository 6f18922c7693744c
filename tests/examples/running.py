"""Run an example as a program of its own, or take it into this process where no test is about the program."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from tests.clients.processes import Server

EXAMPLES = Path(__file__).parents[2] / "examples"
VENDORS = ("PROXY_", "ANTHROPIC_", "LOCAL_", "MISTRAL_", "MODERATION_", "OPENAI_")
ENDS = {0, -15}  # uvicorn raises the signal that stopped it once more


class Program:
    """A running example: where it listens, and after its end all that it printed."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.output = ""


@contextmanager
def running(name: str, **environ: str) -> Iterator[Program]:
    """Start ``examples/<name>`` on a free port; it must end well at SIGTERM."""
    ours = [f"{key}={value}" for key, value in os.environ.items() if not key.startswith(VENDORS)]
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


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave nothing in the environment that an example would take."""
    monkeypatch.setenv("CHATPROXY_DISABLED_PLUGINS", "*")
    for name in [name for name in os.environ if name.startswith(VENDORS)]:
        monkeypatch.delenv(name)


def load(name: str, monkeypatch: pytest.MonkeyPatch, **environ: str) -> ModuleType:
    """``examples/<name>`` as a module of its own, made with these settings."""
    for key, value in environ.items():
        monkeypatch.setenv(key, value)
    path = EXAMPLES / name
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
