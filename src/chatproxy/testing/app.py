"""make_app: a gateway in memory, for async and for plain tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar, cast

import httpx

from chatproxy.app import ChatproxyApp, create_app
from chatproxy.config import ProxyConfig
from chatproxy.embedding.plugin import adapt_plugin
from chatproxy.surfaces.edge import Send
from chatproxy.testing.transport import InMemoryTransport
from chatproxy.testing.upstream import ScriptedUpstream
from chatproxy.types.handler import Handler

T = TypeVar("T")


class Gateway:
    """A gateway in memory; use it as an async context manager, which runs its lifespan.

    Attributes:
        app: the ASGI application.
        upstream: answers for every upstream.
        client: an ``httpx.AsyncClient`` whose requests reach the application; set inside the context.
    """

    def __init__(self, app: ChatproxyApp, upstream: httpx.AsyncBaseTransport) -> None:
        self.app = app
        self.upstream = upstream
        self._stack: Any = None
        self.client = httpx.AsyncClient(transport=upstream)  # a stand-in; one without a transport reads certificates

    async def __aenter__(self) -> Self:
        self._stack = self._open()
        await self._stack.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.__aexit__(*exc)

    def sync(self) -> SyncGateway:
        """The same for tests that are not async; a context manager too."""
        return SyncGateway(self)

    async def chat(
        self, text: str | None = None, *, model: str = "scripted", stream: bool = False, **fields: Any
    ) -> httpx.Response:
        """Send one chat request and read the whole answer."""
        body: dict[str, Any] = {"model": model, **fields}
        if text is not None:
            body["messages"] = [{"role": "user", "content": text}]
        if stream:
            body["stream"] = True
        return await self.client.post("/v1/chat/completions", json=body)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[None]:
        async with _lifespan(self.app):
            transport = InMemoryTransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=30) as client:
                self.client = client
                yield


@asynccontextmanager
async def _lifespan(app: ChatproxyApp) -> AsyncIterator[None]:
    """Run the application's lifespan as a server does: in a task of its own, so that a failing test stays itself."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope: dict[str, Any] = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}, "app": app.litestar}
    task = asyncio.get_running_loop().create_task(app(scope, inbox.get, cast("Send", outbox.put)), name="lifespan")
    try:
        await _step(task, inbox, outbox, "startup")
        yield
        await _step(task, inbox, outbox, "shutdown")
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _step(
    task: asyncio.Task[None], inbox: asyncio.Queue[dict[str, Any]], outbox: asyncio.Queue[dict[str, Any]], name: str
) -> None:
    """Send one lifespan message and wait for its answer; raises what the application raised."""
    inbox.put_nowait({"type": f"lifespan.{name}"})
    answer = asyncio.ensure_future(outbox.get())
    await asyncio.wait((task, answer), return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        task.result()
        raise RuntimeError(f"the application ended before its {name}")
    message = answer.result()
    if message["type"] == f"lifespan.{name}.failed":
        await asyncio.wait((task,))
        task.result()
        raise RuntimeError(message.get("message", name))


class SyncGateway:
    """A `Gateway` on an event loop of its own, stepped by each call."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.run(self.gateway.__aenter__())
        return self

    def __exit__(self, *exc: object) -> None:
        try:
            self._runner.run(self.gateway.__aexit__(*exc))
        finally:
            self._runner.__exit__(*exc)

    def chat(self, text: str | None = None, **fields: Any) -> httpx.Response:
        """As `Gateway.chat`."""
        return self.run(self.gateway.chat(text, **fields))

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Any request; options as ``httpx.AsyncClient.request`` takes them."""
        return self.run(self.gateway.client.request(method, path, **options))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the gateway's loop, for example ``recorder.wait()``."""
        return self._runner.run(work)


def make_app(
    *,
    plugins: Sequence[object] = (),
    upstream: httpx.AsyncBaseTransport | None = None,
    config: ProxyConfig | None = None,
    handler: Handler | None = None,
    demo: bool = False,
    installed: bool = False,
    plugin_settings: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Gateway:
    """A gateway whose upstream is scripted and whose environment is empty.

    Args:
        plugins: the plugins under test.
        upstream: None answers a short text to everything.
        config: None makes one of ``settings``, by `ProxyConfig`'s names.
        installed: also load the plugins installed in this environment.
        plugin_settings: the table ``[plugins]``, for example ``{"redact": {"limit": 3}, "order": ["redact"]}``.

    Raises:
        ConfigError: the settings are wrong.
        PluginError: a plugin cannot be used.
    """
    if config is None:
        environ = {} if installed else {"CHATPROXY_DISABLED_PLUGINS": "*"}
        values = {"log_level": "error", "plugins": dict(plugin_settings or {}), **settings}
        config = ProxyConfig(environ=environ, **values)
    upstream = upstream if upstream is not None else ScriptedUpstream()
    adapted = [adapt_plugin(plugin) for plugin in plugins]
    return Gateway(create_app(config, adapted, handler=handler, demo=demo, transport=upstream), upstream)
