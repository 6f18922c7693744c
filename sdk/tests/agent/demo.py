"""``chatproxy demo`` that runs: a process with the built-in model and nothing else, for tests with a real server."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator

import pytest

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
TOML = "[plugins]\nenabled = []\n"


@pytest.fixture(scope="session")
def demo_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Base URL, with ``/v1``, of a demo that runs for the whole session."""
    folder = tmp_path_factory.mktemp("demo")
    (folder / "chatproxy.toml").write_text(TOML)
    command = [sys.executable, "-m", "chatproxy", "demo", "--config", "chatproxy.toml", "--port", "0"]
    with subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        said: list[str] = []
        try:
            yield f"{_address(process.stdout, said)}/v1"
        finally:
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=20)[0].splitlines()
    assert process.returncode == 0, said
    assert "Traceback" not in "".join(said)


def _address(lines: Iterable[str], said: list[str]) -> str:
    for line in lines:
        said.append(line)
        if found := ADDRESS.search(line):
            return found[0]
    raise RuntimeError(f"the demo did not start: {said}")
