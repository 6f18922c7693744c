"""Listening sockets, and accepting from them without ever spinning or giving up.

Rule: no HTTP here. Both event loops' own servers fail when file descriptors run out: asyncio 3.11 logs a traceback
for every place in the backlog, each second; uvloop closes the listening socket for good on errors such as ENOBUFS.
Here a failed accept pauses accepting for a moment, and says so once a second at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Sequence

from chatproxy.errors import StartupError

logger = logging.getLogger("chatproxy.server")

_PAUSE_S = 0.1
_LOG_EVERY_S = 1.0
_ACCEPTS_PER_TURN = 64


def bind_sockets(host: str, port: int) -> list[socket.socket]:
    """Bind (not yet listen) every address of `host`; with port 0 all share the one the system chose.

    Raises:
        StartupError: the name is unknown, or an address is not free or not ours.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        families = {info[0] for info in found}
        for family, kind, proto, _, address in dict.fromkeys(found):
            sock = socket.socket(family, kind, proto)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6 and len(families) > 1:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((address[0], port or sockets[0].getsockname()[1], *address[2:]))
    except OSError as exc:
        for sock in sockets:
            sock.close()
        raise StartupError(f"cannot listen on {host}:{port}: {exc.strerror or exc}") from exc
    return sockets


def urls_of(sockets: Sequence[socket.socket]) -> list[str]:
    """The address of each socket, as a client writes it: ``http://127.0.0.1:8765``."""
    urls = []
    for sock in sockets:
        host, port = sock.getsockname()[:2]
        urls.append(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
    return urls


class Acceptor:
    """Accepts connections from listening sockets, up to a number of them at a time.

    Args:
        sockets: bound; owned and closed by this object.
        make_protocol: called for every connection.
        count_open: how many connections are open now.
        most_open: above it, new connections wait in the backlog.
        per_turn: how many are accepted at a time; few where several processes share the sockets.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        count_open: Callable[[], int],
        most_open: int,
        per_turn: int = _ACCEPTS_PER_TURN,
    ) -> None:
        self._sockets = list(sockets)
        self._make_protocol = make_protocol
        self._count_open = count_open
        self._most_open = most_open
        self._per_turn = per_turn
        self._loop = asyncio.get_running_loop()
        self._arrivals: set[asyncio.Task[object]] = set()
        self._resume: asyncio.TimerHandle | None = None
        self._logged_at = float("-inf")
        self._unlogged = 0

    def start(self, backlog: int) -> None:
        """Listen, and accept from now on."""
        for sock in self._sockets:
            sock.setblocking(False)
            sock.listen(backlog)
        self._read()

    def close(self) -> None:
        """Accept the connections that already wait, for closing would reset them; then stop listening."""
        self._unread()
        for sock in self._sockets:
            self._accept_some(sock, self._most_open)
            sock.close()
        self._sockets.clear()
        self._unread()

    async def wait_arrivals(self) -> None:
        """Wait until every accepted socket is a connection."""
        if self._arrivals:
            await asyncio.wait(self._arrivals)

    def _read(self) -> None:
        self._resume = None
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept_some, sock, self._per_turn)

    def _unread(self) -> None:
        if self._resume is not None:
            self._resume.cancel()
            self._resume = None
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())

    def _pause(self) -> None:
        self._unread()
        self._resume = self._loop.call_later(_PAUSE_S, self._read)

    def _accept_some(self, sock: socket.socket, most: int) -> None:
        for _ in range(most):
            if self._count_open() + len(self._arrivals) >= self._most_open:
                self._complain(f"{self._most_open} connections are open, the most allowed")
                self._pause()
                return
            try:
                client, _ = sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as exc:
                self._complain(exc.strerror or str(exc))
                self._pause()
                return
            self._adopt(client)

    def _adopt(self, client: socket.socket) -> None:
        client.setblocking(False)
        with contextlib.suppress(OSError):
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(client))
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _connect(self, client: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._make_protocol, client)
        except OSError as exc:
            client.close()
            self._complain(exc.strerror or str(exc))

    def _complain(self, reason: str) -> None:
        now = self._loop.time()
        if now - self._logged_at < _LOG_EVERY_S:
            self._unlogged += 1
            return
        more = f" ({self._unlogged} more times since the last such line)" if self._unlogged else ""
        logger.warning("no new connection is accepted for %g s: %s%s", _PAUSE_S, reason, more)
        self._logged_at = now
        self._unlogged = 0
