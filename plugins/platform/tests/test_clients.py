"""Real clients and a real process: the key of the first start, a limit that is hit, a session that goes on."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import openai
import pytest

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
TOML = """
port = 0

[models.demo]
handler = "demo"

[plugins]
enabled = ["platform"]

[plugins.platform]
database_url = "sqlite:///platform.db"

[plugins.platform.limits.user]
requests_per_minute = 20
"""


class Server(NamedTuple):
    """A running gateway and its administrator's key."""

    url: str
    key: str
    said: list[str]


@contextmanager
def serving(folder: Path, *, workers: int = 1) -> Iterator[Server]:
    """A process that stops by itself when it is told to, and leaves no traceback."""
    (folder / "chatproxy.toml").write_text(TOML)
    command = [sys.executable, "-m", "chatproxy", "serve", "--workers", str(workers)]
    said: list[str] = []
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            raise RuntimeError(f"the gateway did not start: {said}")
        try:
            yield Server(found[0], (folder / "chatproxy-admin-key").read_text().strip(), said)
        finally:
            process.send_signal(signal.SIGTERM)
            said += process.communicate(timeout=20)[0].splitlines()
    assert process.returncode == 0, said
    assert "Traceback" not in "".join(said)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("gateway")) as found:
        yield found
    assert all(found.key not in line for line in found.said)


def client(server: Server, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=key or server.key, max_retries=0)


def test_other_key_is_an_authentication_error(server: Server) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        client(server, "sk-other").models.list()
    assert caught.value.code == "invalid_api_key"


def test_session_of_the_client_goes_on_and_is_listed(server: Server) -> None:
    ask = client(server).chat.completions.create
    first = ask(model="demo", messages=[{"role": "user", "content": "Draft a mail."}], user="ann")
    session = first.system_fingerprint
    assert session is not None
    stream = ask(
        model="demo",
        messages=[{"role": "user", "content": "Add a list of risks."}],
        user="ann",
        stream=True,
        extra_body={"metadata": {"session_id": session}},
    )
    assert {chunk.system_fingerprint for chunk in stream} == {session}
    headers = {"authorization": f"Bearer {server.key}"}
    listed = httpx.get(f"{server.url}/atoms/chat/sessions?user_id=ann", headers=headers).json()["sessions"]
    detail = httpx.get(f"{server.url}/atoms/chat/sessions/{session}?user_id=ann", headers=headers).json()
    assert [found["id"] for found in listed] == [session]
    assert [message["role"] for message in detail["messages"]] == ["user", "assistant", "user", "assistant"]


def test_limit_is_a_rate_limit_error_that_says_when_to_come_back(server: Server) -> None:
    headers = {"authorization": f"Bearer {server.key}"}
    made = httpx.post(
        f"{server.url}/v1/platform/keys", json={"limits": {"requests_per_minute": 1}}, headers=headers
    ).json()
    limited = client(server, made["key"])
    message = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    limited.chat.completions.create(**message)  # type: ignore[call-overload]
    with pytest.raises(openai.RateLimitError) as caught:
        limited.chat.completions.create(**message)  # type: ignore[call-overload]
    assert caught.value.code == "rate_limit_exceeded"
    assert int(caught.value.response.headers["retry-after"]) >= 1


def test_workers_share_one_first_key(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2) as found:
        answers = [
            httpx.get(f"{found.url}/v1/platform/me", headers={"authorization": f"Bearer {found.key}"}) for _ in range(8)
        ]
    assert {answer.status_code for answer in answers} == {200}
    assert {answer.json()["role"] for answer in answers} == {"platform_admin"}
