"""Opening sockets: name resolution and the race between addresses.

uvloop has no ``happy_eyeballs_delay``, so the race is run here, alike on every event loop: addresses of both families
in turn, each started 250 ms after the one before it or as soon as that one failed; the first to connect wins and the
others are closed. Source: RFC 8305 sections 4 and 5.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import Any

STAGGER_S = 0.25

Address = tuple[socket.AddressFamily, Any]


async def open_socket(host: str, port: int) -> socket.socket:
    """Connect to the first address of a host that answers.

    Returns:
        A connected, non-blocking TCP socket.

    Raises:
        OSError: the name does not resolve, or no address answered (the first error).
    """
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _dial(addresses[0])
    return await _Race(addresses).run()


async def _resolve(host: str, port: int) -> Sequence[Address]:
    try:
        literal = ipaddress.ip_address(host)
    except ValueError:
        infos = await _look_up(host, port)
        found = dict.fromkeys((socket.AddressFamily(family), address) for family, _, _, _, address in infos)
        return _alternate(list(found))
    if literal.version == 4:
        return [(socket.AF_INET, (host, port))]
    return [(socket.AF_INET6, (host, port, 0, 0))]


async def _look_up(host: str, port: int) -> list[Any]:
    try:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise OSError(f"{host!r} is no host name") from exc


def _alternate(addresses: list[Address]) -> list[Address]:
    """Put the families in turn, beginning with that of the first address."""
    if not addresses:
        raise OSError("the name has no address")
    first = [address for address in addresses if address[0] == addresses[0][0]]
    others = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain.from_iterable(zip_longest(first, others)) if address is not None]


async def _dial(address: Address) -> socket.socket:
    family, where = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    loop = asyncio.get_running_loop()
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, where)
    except BaseException:
        loop.remove_writer(sock)
        sock.close()
        raise
    return sock


class _Race:
    """Owns the attempts: whatever way the race ends, every socket but the winner's is closed."""

    __slots__ = ("_attempts", "_errors", "_left", "_loop", "_timer", "_winner")

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = list(reversed(addresses))
        self._attempts: set[asyncio.Task[socket.socket]] = set()
        self._errors: list[BaseException] = []
        self._winner: asyncio.Future[socket.socket] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> socket.socket:
        """Race; raises the first error if all fail."""
        self._start_next()
        try:
            return await self._winner
        except asyncio.CancelledError:
            if self._winner.done() and not self._winner.cancelled() and self._winner.exception() is None:
                self._winner.result().close()
            raise
        finally:
            self._left.clear()
            self._stop_timer()
            for attempt in self._attempts:
                attempt.cancel()

    def _start_next(self) -> None:
        self._stop_timer()
        if self._left:
            attempt = self._loop.create_task(_dial(self._left.pop()))
            self._attempts.add(attempt)
            attempt.add_done_callback(self._settle)
            self._timer = self._loop.call_later(STAGGER_S, self._start_next)

    def _settle(self, attempt: asyncio.Task[socket.socket]) -> None:
        self._attempts.discard(attempt)
        if attempt.cancelled():
            return
        error = attempt.exception()
        if error is None:
            self._win(attempt.result())
            return
        self._errors.append(error)
        if not self._winner.done():
            self._start_next()
            if not self._attempts:
                self._winner.set_exception(self._errors[0])

    def _win(self, sock: socket.socket) -> None:
        if self._winner.done():
            sock.close()
        else:
            self._winner.set_result(sock)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
