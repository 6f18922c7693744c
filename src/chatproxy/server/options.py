"""What a server is told: its options, and the two objects it runs.

Rule: declarations only; everything here can be pickled, because worker processes get it that way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from chatproxy.surfaces.edge import ASGIApp, EdgeLimits

LoopName = Literal["auto", "uvloop", "asyncio"]


class Drainable(Protocol):
    """The gateway behind the application, as far as an orderly stop needs it."""

    def begin_drain(self) -> None:
        """Say "not ready" to load balancers from now on; requests are still answered."""

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no exchange is running; False if some still are after `timeout_s`."""

    async def expire_streams(self) -> None:
        """End what still runs: a stream by the error event ``server_shutdown``, a buffered answer by a 503."""

    async def aclose(self) -> None:
        """Release what the application's lifespan would; called only where it has no lifespan."""


AppFactory = Callable[[], tuple[ASGIApp, Drainable]]
OnReady = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Sockets, processes, deadlines (seconds) and limits (fields, bytes, connections) of a server.

    Args:
        port: 0 lets the system choose; the address is reported when ready.
        header_timeout_s: from a connection's start, or a later request's first byte, to the end of its headers.
        body_timeout_s: the longest wait for more of a body.
        write_timeout_s: the longest time in which a client takes none of an answer that waits for it.
        keep_alive_timeout_s: how long a connection may idle between requests.
        drain_timeout_s: how long running exchanges may go on after SIGTERM.
        drain_idle_grace_s: how long an idle connection may still bring a request after SIGTERM, so that
            a request on its way is answered (with ``connection: close``) and not reset.
        shutdown_timeout_s: the longest time the application's lifespan may take to shut down.
        max_connections: accepted at a time; None takes half of the process's file descriptors.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 1
    loop: LoopName = "auto"
    backlog: int = 2048
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    write_timeout_s: float = 30.0
    keep_alive_timeout_s: float = 75.0
    drain_timeout_s: float = 30.0
    drain_idle_grace_s: float = 0.5
    shutdown_timeout_s: float = 30.0
    max_header_fields: int = 100
    max_header_bytes: int = 65_536
    max_target_bytes: int = 8_192
    max_body_bytes: int = 20_000_000
    max_upload_bytes: int = 512 << 20
    max_connections: int | None = None

    @property
    def edge(self) -> EdgeLimits:
        """The part of it that the edge guard keeps as well."""
        return EdgeLimits(
            max_header_fields=self.max_header_fields,
            max_header_bytes=self.max_header_bytes,
            max_target_bytes=self.max_target_bytes,
            max_body_bytes=self.max_body_bytes,
            max_upload_bytes=self.max_upload_bytes,
        )
