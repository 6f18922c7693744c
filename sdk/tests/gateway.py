"""A chatproxy that runs: a process with the platform and the demo model, for tests that need the real server.

``gateway`` is a fixture of the whole test session: keep to users of your own, and leave its administrator alone.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
TOML = """
port = 0

[models.demo]
handler = "demo"

[models."claude-3-haiku"]
handler = "demo"
owned_by = "demo"
description = "Stands in for a model of this name."
context_length = 200_000
capabilities = ["chat", "tools"]

[plugins]
enabled = ["platform"]

[plugins.platform]
database_url = "sqlite:///platform.db"
"""


class Gateway:
    """A running gateway.

    Attributes:
        url: without ``/v1``.
        key: its administrator's.
        said: what it printed so far.
    """

    def __init__(self, url: str, key: str, said: list[str]) -> None:
        self.url = url
        self.key = key
        self.said = said

    def new_key(self, **spec: object) -> str:
        """A further key; without a ``role`` it is a user's."""
        headers = {"authorization": f"Bearer {self.key}"}
        made = httpx.post(f"{self.url}/v1/platform/keys", json=spec, headers=headers)
        assert made.status_code == 201, made.text
        return str(made.json()["key"])


@contextmanager
def serving(folder: Path, toml: str = TOML) -> Iterator[Gateway]:
    """A process that stops by itself when it is told to, and leaves no traceback."""
    (folder / "chatproxy.toml").write_text(toml)
    said: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-m", "chatproxy", "serve"],
        cwd=folder,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            url = _address(process, said)
            yield Gateway(url, (folder / "chatproxy-admin-key").read_text().strip(), said)
        finally:
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=20)[0].splitlines()
    assert process.returncode == 0, said
    assert "Traceback" not in "".join(said)


def _address(process: subprocess.Popen[str], said: list[str]) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if found := ADDRESS.search(line):
            return found[0]
    raise RuntimeError(f"the gateway did not start: {said}")


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One gateway for all tests."""
    with serving(tmp_path_factory.mktemp("gateway")) as running:
        yield running
    assert all(running.key not in line for line in running.said)
