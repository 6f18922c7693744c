"""One server process: uvicorn's server, with our connections, our way to accept them and our orderly stop.

Rule: the event loop, the lifespan, signals and the order of start and stop are uvicorn's; each step that it lets a
subclass take is taken here. How connections end is in `drain`, several processes are in `supervisor`.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from types import FrameType
from typing import cast

import uvicorn

from chatproxy.errors import StartupError
from chatproxy.server.accept import Acceptor, bind_sockets, urls_of
from chatproxy.server.drain import drain
from chatproxy.server.lifespan import Lifespan
from chatproxy.server.options import AppFactory, Drainable, ServerOptions
from chatproxy.server.protocol import GatewayProtocol
from chatproxy.server.resources import most_connections, raise_descriptor_limit, settle_garbage_collector
from chatproxy.server.state import ServerState
from chatproxy.surfaces.edge import ASGIApp

_SHARED_ACCEPTS_PER_TURN = 4


def _config_of(app: ASGIApp, options: ServerOptions) -> uvicorn.Config:
    """The options for uvicorn: nothing between a connection and `app`, and no word of its own below a warning."""
    if options.loop == "uvloop" and importlib.util.find_spec("uvloop") is None:
        raise StartupError("loop = 'uvloop' needs the package uvloop; install it or choose 'asyncio'")
    config = uvicorn.Config(
        lambda: app,
        factory=True,
        host=options.host,
        port=options.port,
        loop=options.loop,
        http=GatewayProtocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        workers=1,
        backlog=options.backlog,
    )
    config.load()
    config.lifespan_class = functools.partial(Lifespan, shutdown_timeout_s=options.shutdown_timeout_s)
    return config


class Server(uvicorn.Server):
    """An application served by `run`, with its own event loop and signals, or from `start` to `stop` on a running loop.

    Args:
        app: gets a lifespan and HTTP requests.
        gateway: what is told to drain.
        options: host and port are used only where no sockets are given.
        sockets: bound sockets to use; this object closes them.
        on_ready: called by `run` when requests are answered.

    Raises:
        StartupError: the address cannot be bound, or the event loop is not installed.
    """

    state: ServerState
    lifespan: Lifespan

    def __init__(
        self,
        app: ASGIApp,
        gateway: Drainable,
        options: ServerOptions,
        *,
        sockets: Sequence[socket.socket] | None = None,
        on_ready: Callable[[Server], object] | None = None,
    ) -> None:
        super().__init__(_config_of(app, options))
        self._gateway = gateway
        self._options = options
        self._on_ready = on_ready
        self._is_shared = sockets is not None
        self._sockets = bind_sockets(options.host, options.port) if sockets is None else list(sockets)
        self.urls = urls_of(self._sockets)
        self._acceptor: Acceptor | None = None
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._last_signal = signal.SIGTERM

    @property
    def exit_code(self) -> int:
        """What a process ends with: 0, or 128 + the signal's number if the stop was hurried."""
        return 128 + self._last_signal if self.force_exit else 0

    async def start(self) -> None:
        """Start on the running event loop, without signals: the application first, then listen.

        Raises:
            StartupError: the application cannot start, or the address was taken meanwhile.
        """
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup()

    async def stop(self) -> bool:
        """Drain and shut down; False if it was hurried by a second request to stop."""
        await self.shutdown()
        return not self.force_exit

    def request_stop(self) -> None:
        """Ask for an orderly stop; asked a second time, stop at once."""
        if self.should_exit:
            self.force_exit = True
            self._stop_now.set()
        self.should_exit = True
        self._stop.set()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came; here a second one of any kind hurries, and none is raised again after the stop."""
        self._last_signal = signal.Signals(sig)
        asyncio.get_running_loop().call_soon_threadsafe(self.request_stop)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start the application and listen, on the constructor's sockets."""
        try:
            await self.lifespan.startup()
        except BaseException:
            for sock in self._sockets:
                sock.close()
            raise
        options, config, app_state = self._options, self.config, self.lifespan.state
        state = ServerState(cast("ASGIApp", config.loaded_app), options, asyncio.get_running_loop(), app_state)
        self.state = self.server_state = state
        self._acceptor = Acceptor(
            self._sockets,
            lambda: GatewayProtocol(config, state, app_state),
            count_open=lambda: len(state.connections),
            most_open=options.max_connections or most_connections(),
            **({"per_turn": _SHARED_ACCEPTS_PER_TURN} if self._is_shared else {}),
        )
        try:
            self._acceptor.start(config.backlog)
        except OSError as exc:
            await self.lifespan.shutdown()
            raise StartupError(f"cannot listen on {options.host}:{options.port}: {exc.strerror}") from exc
        self.started = True

    async def main_loop(self) -> None:
        """Wait for `request_stop`; nothing ticks meanwhile."""
        settle_garbage_collector()
        if self._on_ready is not None:
            self._on_ready(self)
        await self._stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then shut the application down unless the stop is hurried."""
        self._gateway.begin_drain()
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_arrivals()
        self.state.draining = True
        await drain(self.state, self._gateway, self._stop_now)
        self.state.close()
        if self.force_exit:
            return
        if self.lifespan.supported:
            await self.lifespan.shutdown()
        else:
            await self._gateway.aclose()


@asynccontextmanager
async def running(app: ASGIApp, gateway: Drainable, options: ServerOptions | None = None) -> AsyncIterator[Server]:
    """Serve `app` on the running event loop inside an ``async with``; by default on a free port of 127.0.0.1."""
    server = Server(app, gateway, options or ServerOptions(port=0))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def serve_process(
    app_factory: AppFactory,
    options: ServerOptions,
    *,
    sockets: Sequence[socket.socket] | None = None,
    on_ready: Callable[[Server], object] | None = None,
) -> int:
    """Serve in this process until a signal.

    Returns:
        The exit code: 0 after an orderly stop, 128 + the signal's number after a hurried one.

    Raises:
        StartupError: the start failed.
    """
    try:
        raise_descriptor_limit()
        server = Server(*app_factory(), options, sockets=sockets, on_ready=on_ready)
        server.run()
    except KeyboardInterrupt:  # before the signal handlers were in place
        return 128 + signal.SIGINT
    return server.exit_code
