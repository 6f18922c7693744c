"""Real servers on loopback."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from chatproxy import ModelConfig
from chatproxy.testing import make_app


@asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """An ASGI application behind a socket; its address."""
    config = uvicorn.Config(app, port=0, log_level="error", http="chatproxy.server:GatewayProtocol", ws="none")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
            raise RuntimeError("the server did not start")
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def demo_as(model: str) -> AsyncIterator[str]:
    """The base URL of a gateway whose demo model has this name."""
    gateway = make_app(models={model: ModelConfig(id=model, handler="demo")})
    async with served(gateway.app) as url:
        yield f"{url}/v1"


@contextmanager
def program(path: Path, *lines: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """A program that runs until it has said these lines and longer; it must end well when it is told to.

    Gives the process, and what it says, complete when the block has ended.
    """
    own = {name: value for name, value in os.environ.items() if not name.startswith("PROXY_")}
    env = {**own, "PYTHONUNBUFFERED": "1", "CHATPROXY_DISABLED_PLUGINS": "*", **environment}
    said: list[str] = []
    command = [sys.executable, str(path)]
    with subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            while any(all(line not in found for found in said) for line in lines):
                found = process.stdout.readline()
                assert found, "".join(said)
                said.append(found)
            yield process, said
        finally:
            process.send_signal(signal.SIGTERM)
            said += process.stdout.readlines()
    text = "".join(said)
    assert "Traceback" not in text, text
    assert process.returncode == 0, text
