"""One server process: application, sockets and connections from start to stop.

Rule: owns the order of starting and stopping; how connections end is in `drain`, several processes are in `workers`.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from chatproxy.errors import StartupError
from chatproxy.server.accept import Acceptor, bind_sockets, urls_of
from chatproxy.server.drain import drain
from chatproxy.server.lifespan import Lifespan
from chatproxy.server.options import AppFactory, Drainable, OnReady, ServerOptions
from chatproxy.server.protocol import GatewayProtocol
from chatproxy.server.resources import (
    loop_factory,
    most_connections,
    raise_descriptor_limit,
    settle_garbage_collector,
)
from chatproxy.server.state import ServerState
from chatproxy.surfaces.edge import ASGIApp

logger = logging.getLogger("chatproxy.server")

STARTUP_FAILED = 1
_SHARED_ACCEPTS_PER_TURN = 4


class Server:
    """An application served on the running event loop.

    Args:
        app: gets a lifespan and HTTP requests.
        gateway: what is told to drain.
        options: host and port are used only where no sockets are given.
        sockets: bound sockets to use; this object closes them.
    """

    def __init__(
        self,
        app: ASGIApp,
        gateway: Drainable,
        options: ServerOptions,
        *,
        sockets: Sequence[socket.socket] | None = None,
    ) -> None:
        self._gateway = gateway
        self._options = options
        self._is_shared = sockets is not None
        self._sockets = bind_sockets(options.host, options.port) if sockets is None else list(sockets)
        self.urls = urls_of(self._sockets)
        self.state = ServerState(app, options, asyncio.get_running_loop())
        self._lifespan = Lifespan(app, self.state.lifespan_state)
        self._acceptor: Acceptor | None = None
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()

    async def start(self) -> None:
        """Start the application, then listen.

        Raises:
            StartupError: the application cannot start, or the address was taken meanwhile.
        """
        try:
            await self._lifespan.start()
        except BaseException:
            for sock in self._sockets:
                sock.close()
            raise
        options, state = self._options, self.state
        self._acceptor = Acceptor(
            self._sockets,
            lambda: GatewayProtocol(state),
            count_open=lambda: len(state.connections),
            most_open=options.max_connections or most_connections(),
            **({"per_turn": _SHARED_ACCEPTS_PER_TURN} if self._is_shared else {}),
        )
        try:
            self._acceptor.start(options.backlog)
        except OSError as exc:
            await self._lifespan.stop(options.shutdown_timeout_s)
            raise StartupError(f"cannot listen on {options.host}:{options.port}: {exc.strerror}") from exc

    def request_stop(self) -> None:
        """Ask for an orderly stop; asked a second time, stop at once."""
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    async def wait_stop_requested(self) -> None:
        """Wait for `request_stop`."""
        await self._stop.wait()

    async def stop(self) -> bool:
        """Drain and shut down; False if it was hurried by a second request to stop."""
        self._gateway.begin_drain()
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_arrivals()
        self.state.draining = True
        await drain(self.state, self._gateway, self._stop_now)
        self.state.close()
        if self._stop_now.is_set():
            return False
        if self._lifespan.supported:
            await self._lifespan.stop(self._options.shutdown_timeout_s)
        else:
            await self._gateway.aclose()
        return True


@asynccontextmanager
async def running(app: ASGIApp, gateway: Drainable, options: ServerOptions | None = None) -> AsyncIterator[Server]:
    """Serve `app` on the running event loop inside an ``async with``; by default on a free port of 127.0.0.1."""
    server = Server(app, gateway, options or ServerOptions(port=0))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def _serve(
    app_factory: AppFactory,
    options: ServerOptions,
    sockets: Sequence[socket.socket] | None,
    on_ready: OnReady | None,
    watch: Callable[[Server], object] | None,
) -> int:
    app, gateway = app_factory()
    server = Server(app, gateway, options, sockets=sockets)
    received: list[int] = []

    def on_signal(number: int) -> None:
        received.append(number)
        server.request_stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    raise_descriptor_limit()
    await server.start()
    settle_garbage_collector()
    if watch is not None:
        watch(server)
    if on_ready is not None:
        on_ready(server.urls)
    await server.wait_stop_requested()
    return 0 if await server.stop() else 128 + (received[-1] if received else signal.SIGTERM)


def serve_process(
    app_factory: AppFactory,
    options: ServerOptions,
    *,
    sockets: Sequence[socket.socket] | None = None,
    on_ready: OnReady | None = None,
    watch: Callable[[Server], object] | None = None,
) -> int:
    """Serve in this process until a signal; returns the exit code.

    Returns:
        0 after an orderly stop, 1 if the start failed, 128 + the signal's number after a hurried stop.
    """
    try:
        with asyncio.Runner(loop_factory=loop_factory(options.loop)) as runner:
            return runner.run(_serve(app_factory, options, sockets, on_ready, watch))
    except StartupError as exc:
        logger.critical("%s", exc)
        return STARTUP_FAILED
    except KeyboardInterrupt:  # before the signal handlers were in place
        return 128 + signal.SIGINT
