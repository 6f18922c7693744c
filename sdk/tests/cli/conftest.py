"""A running demo gateway, and runs of the chat in a pipe and at a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .terminals import CHAT, Terminal

Pipe = Callable[..., subprocess.CompletedProcess[str]]
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


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """What every run of the chat finds: a home of its own, and nothing of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CHATPROXY_", "PROXY_", "XDG_"))}
    home = tmp_path / "home"
    home.mkdir()
    return {**kept, "HOME": str(home), "XDG_STATE_HOME": str(tmp_path / "state"), "TERM": "xterm-256color"}


@pytest.fixture
def pipe(environ: dict[str, str], tmp_path: Path) -> Pipe:
    """Run the chat without a terminal: ``pipe("-p", "Hello", base_url=…, given="standard input")``."""

    def run(*args: str, base_url: str, given: str | bytes = "", **more: str) -> subprocess.CompletedProcess[str]:
        text = given if isinstance(given, bytes) else given.encode()
        ended = subprocess.run(
            [*CHAT, *args],
            input=text,
            capture_output=True,
            env={**environ, "CHATPROXY_BASE_URL": base_url, **more},
            cwd=tmp_path,
            timeout=30,
            check=False,
        )
        return subprocess.CompletedProcess(ended.args, ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    return run


@pytest.fixture
def terminal(environ: dict[str, str], tmp_path: Path) -> Iterator[Open]:
    """Open the chat in a terminal: ``terminal("-m", "demo", base_url=…)``."""
    opened: list[Terminal] = []

    def start(
        *args: str, base_url: str, lines: int = 24, columns: int = 80, prompt: str = "> ", **more: str
    ) -> Terminal:
        env = {**environ, "CHATPROXY_BASE_URL": base_url, **more}
        opened.append(Terminal(*args, env=env, cwd=tmp_path, lines=lines, columns=columns))
        opened[-1].prompts(prompt)
        return opened[-1]

    yield start
    for one in opened:
        one.close()
