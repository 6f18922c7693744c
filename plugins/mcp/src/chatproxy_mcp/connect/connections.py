"""Connections: open HTTP/1.1 connections of one session, to its server and its token endpoint.

Rule: a connection is opened to an address that the `Gate` let through, and is kept for a short time only: servers
close idle ones after 5 s (uvicorn, Node), and a request that meets that moment may be lost.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import certifi
import httpx2

from chatproxy_mcp.connect.addresses import Gate
from chatproxy_mcp.connect.wire import Wire

KEEP_S = 4.0
MAX_CONNECTIONS = 128

Origin = tuple[str, str, int]
TlsContext = Callable[[], Awaitable[ssl.SSLContext]]


def make_tls() -> ssl.SSLContext:
    """Make the context for connections to servers; reads the system's authorities, or certifi's where it has none.

    Not `ssl.create_default_context`, which writes session keys to the file that SSLKEYLOGFILE names.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    directory: str | None = ssl.get_default_verify_paths().capath
    has_directory = bool(directory) and any(Path(str(directory)).iterdir())
    if not has_directory and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def origin_of(url: httpx2.URL) -> Origin:
    """Give scheme, host and port."""
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


class Connections:
    """Owned by one session; `close` ends every connection."""

    def __init__(self, gate: Gate, tls: TlsContext, *, connect_timeout_s: float) -> None:
        self._gate = gate
        self._tls = tls
        self._timeout_s = connect_timeout_s
        self._idle: dict[Origin, list[Wire]] = {}
        self._open: set[Wire] = set()
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)

    async def take(self, origin: Origin) -> Wire:
        """Give an idle connection, the one used last, or open one.

        Raises:
            httpx2.ConnectError: the server cannot be reached, or must not be (also after too long a wait).
        """
        idle = self._idle.get(origin)
        if idle:
            wire = idle.pop()
            if wire.idle_timer is not None:
                wire.idle_timer.cancel()
            return wire
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._connect(origin)
        except TimeoutError as exc:
            raise httpx2.ConnectError(f"no connection within {self._timeout_s:g} s") from exc
        except ssl.SSLError as exc:
            raise httpx2.ConnectError(f"TLS failed: {exc.reason or 'error'}") from exc
        except ConnectionRefusedError as exc:
            raise httpx2.ConnectError("the connection was refused") from exc
        except OSError as exc:
            said = str(exc) if type(exc) is OSError or exc.errno is None else (exc.strerror or "")
            raise httpx2.ConnectError(said or "the connection failed") from exc

    def close(self) -> None:
        """Close every connection now."""
        for wire in list(self._open):
            wire.close()

    async def _connect(self, origin: Origin) -> Wire:
        scheme, host, port = origin
        context = await self._tls() if scheme == "https" else None
        await self._room.acquire()
        try:
            addresses = await self._gate.resolve(host, port)
            return await self._dial(addresses, origin, context)
        except BaseException:
            self._room.release()
            raise

    async def _dial(self, addresses: list[str], origin: Origin, context: ssl.SSLContext | None) -> Wire:
        """Try the addresses in turn, each for its share of the time."""
        _, host, port = origin
        make = functools.partial(Wire, functools.partial(self._keep, origin), self._forget)
        name = host.strip("[]") if context is not None else None
        for number, address in enumerate(addresses, 1):
            try:
                async with asyncio.timeout(self._timeout_s / len(addresses)):
                    transport, wire = await asyncio.get_running_loop().create_connection(
                        make, address, port, ssl=context, server_hostname=name
                    )
            except (OSError, TimeoutError):
                if number == len(addresses):
                    raise
                continue
            _keep_alive(transport)
            self._open.add(wire)
            return wire
        raise OSError("the name has no address")

    def _keep(self, origin: Origin, wire: Wire) -> None:
        self._idle.setdefault(origin, []).append(wire)
        wire.idle_timer = asyncio.get_running_loop().call_later(KEEP_S, wire.close)

    def _forget(self, wire: Wire) -> None:
        if wire.idle_timer is not None:
            wire.idle_timer.cancel()
        if wire in self._open:
            self._open.discard(wire)
            self._room.release()
        for idle in self._idle.values():
            if wire in idle:
                idle.remove(wire)


def _keep_alive(transport: asyncio.Transport) -> None:
    """Let the kernel notice a peer that vanished while a stream of events is quiet."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
