"""The system's own document: its samples run as they stand, with other names in their imports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

MY_SERVER = """\
from chatproxy_graphs import Context, Worker, Graph, END
from chatproxy_graphs.serve import create_app, GraphRegistry


class MyWorker(Worker):
    async def arun(self, ctx: Context) -> Context:
        ctx.response = f"Response to: {ctx.user_query}"
        return ctx


graph = Graph(name="my_graph")
graph.add_node("worker", MyWorker())
graph.add_edge("worker", END)

registry = GraphRegistry()
registry.register("my-model", graph, set_default=True)

app = create_app(registry)

if __name__ == "__main__":
    import uvicorn
    uvicorn.run(app, host="0.0.0.0", port=8000)
"""
PYTHON = [sys.executable, "-m"]
OTHERS = ",".join(point.name for point in entry_points(group="chatproxy") if point.name != "graphs")
READY_S = 40.0


@contextmanager
def served(argv: list[str], folder: Path, disabled: str = OTHERS) -> Iterator[str]:
    """A server as a process of its own; its address. It must have ended well when this ends.

    Args:
        argv: ``{port}`` stands for the port.
        disabled: plugins that happen to be installed here.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    env = {**os.environ, "CHATPROXY_DISABLED_PLUGINS": disabled}
    command, log = [part.replace("{port}", str(port)) for part in argv], folder / "log"
    with log.open("wb") as out, subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out) as process:
        try:
            wait_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            finally:
                process.kill()
    assert process.returncode in {0, -signal.SIGTERM}, log.read_text()
    assert "Traceback" not in log.read_text()


def wait_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until the server answers."""
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "my_server.py").write_text(MY_SERVER)
    return tmp_path


def ask(url: str, **fields: Any) -> httpx.Response:
    body = {"model": "my-model", "messages": [{"role": "user", "content": "Hello"}], "stream": False, **fields}
    body = {key: value for key, value in body.items() if value is not None}
    return httpx.post(f"{url}/v1/chat/completions", json=body, timeout=20)


def check(url: str) -> None:
    """All that the document says of a running server."""
    answer = ask(url)
    assert answer.json()["choices"][0]["message"]["content"] == "Response to: Hello"
    client = OpenAI(base_url=f"{url}/v1", api_key="not-needed")
    with client:
        resp = client.chat.completions.create(
            model="my-model", messages=[{"role": "user", "content": "What is ThinkAgain?"}]
        )
        assert resp.choices[0].message.content == "Response to: What is ThinkAgain?"
        stream = client.chat.completions.create(
            model="my-model", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Response to: Hi"
        assert [model.id for model in client.models.list()] == ["my-model"]
    assert httpx.get(f"{url}/").json()["name"] == "chatproxy"
    assert httpx.get(f"{url}/health").json()["status"] == "ok"
    for page in ("/docs", "/redoc"):
        assert "<html" in httpx.get(url + page).text


@pytest.mark.parametrize("disabled", [OTHERS, "*"], ids=["installed", "not loaded by itself"])
def test_sample_runs_with_uvicorn(folder: Path, disabled: str) -> None:
    with served([*PYTHON, "uvicorn", "my_server:app", "--port", "{port}"], folder, disabled) as url:
        check(url)
        assert ask(url, model="other").status_code == 404
        assert ask(url, model=None).json()["model"] == "my-model"
        assert ask(url, messages=[]).json()["error"]["param"] == "messages"


def test_sample_runs_with_several_workers(folder: Path) -> None:
    argv = [*PYTHON, "uvicorn", "my_server:app", "--host", "127.0.0.1", "--port", "{port}", "--workers", "2"]
    with served(argv, folder) as url:
        check(url)


@pytest.mark.parametrize("worker", ["uvicorn.workers.UvicornWorker", "uvicorn_worker.UvicornWorker"])
def test_sample_runs_with_gunicorn(folder: Path, worker: str) -> None:
    argv = [*PYTHON, "gunicorn", "my_server:app", "-w", "2", "-k", worker, "--bind", "127.0.0.1:{port}"]
    with served(argv, folder) as url:
        check(url)


def test_sample_runs_as_a_program(folder: Path) -> None:
    program = folder / "my_server.py"
    program.write_text("import sys\n" + MY_SERVER.replace("port=8000", "port=int(sys.argv[1])"))
    with served([sys.executable, "my_server.py", "{port}"], folder) as url:
        check(url)


def test_demo_serves_three_graphs(tmp_path: Path) -> None:
    with served([*PYTHON, "chatproxy_graphs", "--port", "{port}"], tmp_path) as url:
        models = [model["id"] for model in httpx.get(f"{url}/v1/models").json()["data"]]
        said = {name: ask(url, model=name).json()["choices"][0]["message"]["content"] for name in models}
        streamed = ask(url, model="ask", stream=True).text
    assert models == ["demo", "ask", "count", "shorten"]
    assert said["count"] == '{"words":1,"letters":5}'
    assert said["shorten"] == "Hello"
    assert said["ask"] == said["demo"]
    assert streamed.count("data: ") > 5
