"""Opening connections: name resolution and the race between addresses.

uvloop has no ``happy_eyeballs_delay``, so the race is run here, alike on every event loop: addresses of both families
in turn, each started 250 ms after the one before it or as soon as that one failed; the first to connect wins and the
others are closed. Addresses, not sockets, are given to the event loop: uvloop 0.23 closes the descriptor of a socket
that it was given twice if the connection ends before ``create_connection`` returns. Source: RFC 8305 sections 4 and 5.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from itertools import chain, zip_longest
from typing import cast

STAGGER_S = 0.25

Address = tuple[str, int]


async def open_transport(host: str, port: int) -> asyncio.Transport:
    """Connect to the first address of a host that answers.

    Returns:
        A plain TCP transport that waits for its protocol; a peer that speaks first has closed it.

    Raises:
        OSError: the name does not resolve, or no address answered (the first error).
    """
    addresses = await _resolve(host, port)
    if len(addresses) == 1:
        return await _dial(addresses[0])
    return await _Race(addresses).run()


class _Parked(asyncio.Protocol):
    """Stands in until the connection's own protocol takes over."""

    __slots__ = ("_transport",)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._transport.abort()


async def _resolve(host: str, port: int) -> Sequence[Address]:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return _alternate(await _look_up(host, port))
    return [(host, port)]


async def _look_up(host: str, port: int) -> list[Address]:
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise OSError(f"{host!r} is no host name") from exc
    if not infos:
        raise OSError(f"{host!r} has no address")
    return list(dict.fromkeys((str(info[4][0]), port) for info in infos))


def _alternate(addresses: Sequence[Address]) -> list[Address]:
    """Put the families in turn, beginning with that of the first address."""
    six = [address for address in addresses if ":" in address[0]]
    four = [address for address in addresses if ":" not in address[0]]
    first, second = (six, four) if addresses[0] in six else (four, six)
    return [address for address in chain.from_iterable(zip_longest(first, second)) if address is not None]


async def _dial(address: Address) -> asyncio.Transport:
    host, port = address
    transport, _ = await asyncio.get_running_loop().create_connection(_Parked, host, port)
    return transport


class _Race:
    """Owns the attempts: whatever way the race ends, every connection but the winner is closed."""

    __slots__ = ("_attempts", "_errors", "_left", "_loop", "_timer", "_winner")

    def __init__(self, addresses: Sequence[Address]) -> None:
        self._loop = asyncio.get_running_loop()
        self._left = list(reversed(addresses))
        self._attempts: set[asyncio.Task[asyncio.Transport]] = set()
        self._errors: list[BaseException] = []
        self._winner: asyncio.Future[asyncio.Transport] = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> asyncio.Transport:
        """Race; raises the first error if all fail."""
        self._start_next()
        try:
            return await self._winner
        except asyncio.CancelledError:
            if self._winner.done() and not self._winner.cancelled() and self._winner.exception() is None:
                self._winner.result().abort()
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

    def _settle(self, attempt: asyncio.Task[asyncio.Transport]) -> None:
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

    def _win(self, transport: asyncio.Transport) -> None:
        if self._winner.done():
            transport.abort()
        else:
            self._winner.set_result(transport)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
