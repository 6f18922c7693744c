"""The command line with a server: a real process, its first lines, a request, an orderly end."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import chatproxy

SOURCE = str(Path(chatproxy.__file__).parents[1])
END_LIMIT_S = 30

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[subprocess.Popen[str]] = []

    def start_process(*arguments: str, **environ: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "chatproxy", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": SOURCE, "CHATPROXY_DISABLED_PLUGINS": "*", **environ},
        )
        processes.append(process)
        return process

    yield start_process
    for process in processes:
        process.kill()
        process.communicate(timeout=END_LIMIT_S)


def lines(process: subprocess.Popen[str], count: int) -> list[str]:
    """The first lines of standard output; fails with the process's words where it ends before."""
    assert process.stdout is not None
    found = [process.stdout.readline() for _ in range(count)]
    assert all(found), process.communicate(timeout=END_LIMIT_S)
    return [line.rstrip("\n") for line in found]


def address(line: str) -> str:
    version, _, url = line.partition(" listens on ")
    assert version == f"chatproxy {chatproxy.__version__}"
    assert url.startswith("http://127.0.0.1:")
    assert not url.endswith(":0")
    return url


def stop(process: subprocess.Popen[str]) -> tuple[int, str]:
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=END_LIMIT_S)
    return process.returncode, error


def ask(url: str, **fields: Any) -> httpx.Response:
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}], **fields}
    return httpx.post(f"{url}/v1/chat/completions", json=body, trust_env=False)


def test_demo_says_where_it_listens_and_what_to_try(start: Start) -> None:
    process = start("demo", "--port", "0")
    first, to_try, loaded = lines(process, 3)
    url = address(first)
    assert loaded == "Models: demo   Plugins: (none)"
    prompt, *words = shlex.split(to_try)
    assert (prompt, words[:2]) == ("Try:", ["curl", f"{url}/v1/chat/completions"])
    assert words[2:4] == ["-H", "content-type: application/json"]
    header, _, value = words[3].partition(": ")
    answer = httpx.post(words[1], headers={header: value}, content=words[5], trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["choices"][0]["message"]["content"]
    code, error = stop(process)
    assert code == 0
    assert "Traceback" not in error


def test_demo_leaves_the_file_of_the_current_directory_alone(start: Start, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text("prot = 1\n")
    process = start("demo", "--port", "0")
    address(lines(process, 1)[0])
    assert stop(process)[0] == 0


def test_serve_takes_file_environment_arguments_and_plugins(start: Start, tmp_path: Path) -> None:
    (tmp_path / "chatproxy.toml").write_text("""
        port = 1
        log_format = "text"
        [models."my/model"]
        handler = "demo"
    """)
    (tmp_path / "refuser.py").write_text("""
from chatproxy import Reject, hookimpl

@hookimpl
async def before_request(ctx, request):
    if request.get("user") == "nobody":
        raise Reject("Not you.", status=403, code="not_you")
""")
    process = start("serve", "--port", "0", "--plugin", "refuser.py", PROXY_LOG_FORMAT="json")
    first, loaded = lines(process, 2)
    url = address(first)
    assert loaded == "Models: my/model   Plugins: refuser"
    assert ask(url, model="my/model").status_code == 200
    assert ask(url).json()["error"]["code"] == "model_not_found"
    assert ask(url, model="my/model", user="nobody").json()["error"]["code"] == "not_you"
    code, error = stop(process)
    assert code == 0
    logged = [json.loads(line) for line in error.splitlines()]
    assert [line["status"] for line in logged if line.get("event") == "exchange"] == [200, 404, 403]


def test_workers_are_built_from_the_same_arguments(start: Start, tmp_path: Path) -> None:
    (tmp_path / "stamp.py").write_text("""
import os
from chatproxy import hookimpl

@hookimpl
async def before_response(ctx, response):
    response["worker"] = os.getpid()
""")
    process = start("serve", "--demo", "--port", "0", "--workers", "2", "--plugin", "stamp.py")
    first, _, loaded = lines(process, 3)
    url = address(first)
    assert loaded == "Models: demo   Plugins: stamp"
    workers = {ask(url).json()["worker"] for _ in range(3)}
    assert process.pid not in workers
    assert stop(process)[0] == 0


def test_address_in_use_ends_with_1(start: Start) -> None:
    first = start("demo", "--port", "0")
    port = address(lines(first, 1)[0]).rpartition(":")[2]
    second = start("demo", "--port", port)
    out, error = second.communicate(timeout=END_LIMIT_S)
    assert (second.returncode, out) == (1, "")
    assert "Address already in use" in error
    assert "Traceback" not in error
