"""A running demo gateway, and runs of the chat in a pipe and at a terminal."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest
from chatproxy_sdk.cli import main

from .forks import ForkServer
from .pipes import Piped
from .terminals import Terminal


class Ended(NamedTuple):
    """How a run of the chat ended."""

    returncode: int
    stdout: str
    stderr: str


Pipe = Callable[..., Ended]
Start = Callable[..., Piped]
Open = Callable[..., Terminal]


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    environ = {**os.environ, "CHATPROXY_DISABLED_PLUGINS": "*"}
    command = [sys.executable, "-m", "chatproxy", "demo", "--port", "0"]
    place = tmp_path_factory.mktemp("demo")
    with (
        (place / "log").open("w") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environ, cwd=place) as process,
    ):
        assert process.stdout is not None
        found = re.search(r"listens on (\S+)", process.stdout.readline())
        assert found, (place / "log").read_text()
        yield f"{found[1]}/v1"
        process.terminate()


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """Starts runs of the chat as processes of their own."""
    with ForkServer() as running:
        yield running


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What every run of the chat finds: a home of its own, and nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATPROXY_", "PROXY_", "XDG_"))}
    home = tmp_path / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm-256color"}


@pytest.fixture
def pipe(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipe:
    """Run the chat here, without a terminal: ``pipe("-p", "Hello", base_url=…, given="standard input")``."""
    monkeypatch.setattr(sys, "path", [*sys.path])  # modules of tools are looked for where the chat runs

    def run(
        *args: str, base_url: str, given: str | bytes = "", program: Callable[..., int] = main, **more: str
    ) -> Ended:
        streams = {name: io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for name in ("stdin", "stdout", "stderr")}
        streams["stdin"].buffer.write(given if isinstance(given, bytes) else given.encode())
        streams["stdin"].seek(0)
        for name, stream in streams.items():
            monkeypatch.setattr(sys, name, stream)
        with (
            contextlib.chdir(tmp_path),
            patch.dict(os.environ, {**environ, "CHATPROXY_BASE_URL": base_url, **more}, clear=True),
        ):
            code = program(args)
        return Ended(code, written(streams["stdout"]), written(streams["stderr"]))

    return run


def written(stream: io.TextIOWrapper) -> str:
    """What was written, whether or not it was flushed."""
    stream.flush()
    stream.seek(0)
    return stream.read()


@pytest.fixture
def start(forks: ForkServer, environ: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Run the chat in a pipe as a process of its own: ``start("-m", "demo", "-p", "Hello", base_url=…)``."""
    started: list[Piped] = []

    def run(*args: str, base_url: str, output: str | None = None) -> Piped:
        started.append(
            Piped(forks, *args, env={**environ, "CHATPROXY_BASE_URL": base_url}, cwd=tmp_path, output=output)
        )
        return started[-1]

    yield run
    for one in started:
        one.close()


@pytest.fixture
def terminal(forks: ForkServer, environ: dict[str, str], tmp_path: Path) -> Iterator[Open]:
    """Open the chat in a terminal, and wait for its prompt: ``terminal("-m", "demo", base_url=…)``."""
    opened: list[Terminal] = []

    def start(
        *args: str, base_url: str, lines: int = 24, columns: int = 80, prompt: str | None = "> ", **more: str
    ) -> Terminal:
        env = {**environ, "CHATPROXY_BASE_URL": base_url, **more}
        opened.append(Terminal(forks, *args, env=env, cwd=tmp_path, lines=lines, columns=columns))
        if prompt is not None:
            opened[-1].prompts(prompt)
        return opened[-1]

    yield start
    for one in opened:
        one.close()
