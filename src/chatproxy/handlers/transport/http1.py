"""Our own HTTP/1.1 transport: httpx's interface over the pool.

Owns what happens between a request and its reply's head: connection, sending, deadlines. It reads no environment
variable, follows no redirect, decodes nothing and tries nothing twice; ``httpx.ConnectError``,
``httpx.ConnectTimeout``, ``httpx.PoolTimeout``, ``httpx.LocalProtocolError`` and ``httpx.UnsupportedProtocol`` mean
that nothing was sent; after any other error the upstream may have acted on the request.
"""

import asyncio
import ssl
from typing import cast

import httpx

from chatproxy.handlers.transport.connect import open_transport
from chatproxy.handlers.transport.connection import Connection
from chatproxy.handlers.transport.pool import Pool, PoolStats
from chatproxy.handlers.transport.request import LeanRequest, Timeouts
from chatproxy.handlers.transport.response import ResponseStream, UpstreamResponse
from chatproxy.handlers.transport.tls import Verify, client_context
from chatproxy.handlers.transport.wire import HeadEncoder, Pairs, Target, TargetCache

_NO_TIMEOUTS: Timeouts = {}


class Http1Transport(httpx.AsyncBaseTransport):
    """HTTP/1.1 on asyncio and httptools; belongs to the event loop it is first used on.

    Args:
        verify: see ``client_context``; give several transports the same context to save memory.
        max_connections: open at once over all origins, None for no limit; who finds none free waits in order, up to
            the ``pool`` timeout.
        max_idle_per_origin: connections kept for reuse.
        idle_expiry_s: how long they are kept.

    Raises:
        OSError: ``verify`` names a file that cannot be read or holds no certificates.
    """

    def __init__(
        self,
        *,
        verify: Verify = True,
        max_connections: int | None = None,
        max_idle_per_origin: int = 512,
        idle_expiry_s: float = 30.0,
    ) -> None:
        self._context: ssl.SSLContext | None = None if verify is True else client_context(verify)
        self._pool = Pool(
            max_connections=max_connections, max_idle_per_origin=max_idle_per_origin, idle_expiry_s=idle_expiry_s
        )
        self._targets = TargetCache()
        self._encoder = HeadEncoder()

    def stats(self) -> PoolStats:
        """Count connections: open, idle, and requests waiting for one."""
        return self._pool.stats()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the reply's head.

        Args:
            request: ``extensions["timeout"]`` holds httpx's limits in seconds (``connect``, ``read``, ``write``,
                ``pool``) and ours, ``first_byte``; see ``lean_request``.

        Returns:
            An ``UpstreamResponse``; its ``stream`` is a ``ResponseStream`` that must be read to its end or closed.

        Raises:
            httpx.TransportError: see the module's docstring.
        """
        pairs = request.current_pairs() if isinstance(request, LeanRequest) else request.headers.raw
        body = _body_of(request)
        timeouts = cast("Timeouts", request.extensions.get("timeout", _NO_TIMEOUTS))
        target = self._targets.get(request.url)
        if body is None:
            return await self._upload(request, target, pairs, timeouts)
        head = self._encoder.with_body(request.method, target, pairs, body)
        connection = self._pool.take(target.origin) or await self._connect(target, timeouts)
        stream = connection.begin(head + body, timeouts, is_bodiless=request.method == "HEAD", is_upload=False)
        return await stream.head()

    async def aclose(self) -> None:
        """Close every connection; replies that are still being read end with ``httpx.ReadError``."""
        self._pool.close()

    async def _connect(self, target: Target, timeouts: Timeouts) -> Connection:
        connection = await self._pool.reserve(target.origin, timeouts.get("pool"))
        if connection.is_new:
            try:
                await self._open_within(connection, timeouts.get("connect"))
            except BaseException:
                connection.abort()
                raise
        return connection

    async def _open_within(self, connection: Connection, limit_s: float | None) -> None:
        deadline = asyncio.timeout(limit_s)
        try:
            async with deadline:
                await self._open(connection)
        except OSError as exc:
            if deadline.expired():
                raise httpx.ConnectTimeout(f"{connection.origin} did not answer within {limit_s} s") from exc
            raise httpx.ConnectError(f"cannot connect to {connection.origin}: {exc}") from exc
        if not connection.is_open:
            raise httpx.ConnectError(f"the connection to {connection.origin} closed before a request could be sent")

    async def _open(self, connection: Connection) -> None:
        origin = connection.origin
        plain = await open_transport(origin.host, origin.port)
        try:
            if origin.scheme == "http":
                plain.set_protocol(connection)
                connection.connection_made(plain)
            else:
                connection.connection_made(await self._secure(plain, connection))
        except BaseException:
            plain.abort()
            raise

    async def _secure(self, plain: asyncio.Transport, connection: Connection) -> asyncio.Transport:
        origin = connection.origin
        context = await self._tls_context()
        if plain.is_closing():
            raise ConnectionResetError("the connection was lost before the TLS handshake")
        loop = asyncio.get_running_loop()
        secure = await loop.start_tls(plain, connection, context, server_hostname=origin.host)
        # Over a connection that is lost meanwhile, asyncio returns None and uvloop a transport that has no TLS.
        session: ssl.SSLObject | None = secure.get_extra_info("ssl_object") if secure is not None else None
        if secure is None or session is None:
            raise ConnectionResetError("the connection was lost in the TLS handshake")
        protocol = session.selected_alpn_protocol()
        if protocol not in {None, "http/1.1"}:
            raise httpx.ConnectError(f"{origin} negotiated {protocol!r}, wanted 'http/1.1'")
        return secure

    async def _tls_context(self) -> ssl.SSLContext:
        """Read the system's authorities on first use, off the event loop: it takes 10 ms and more."""
        if self._context is None:
            self._context = await asyncio.get_running_loop().run_in_executor(None, client_context)
        return self._context

    async def _upload(
        self, request: httpx.Request, target: Target, pairs: Pairs, timeouts: Timeouts
    ) -> UpstreamResponse:
        """Send a body that is an async byte stream; what the upstream says early ends the sending."""
        head, length = self._encoder.with_stream(request.method, target, pairs)
        connection = self._pool.take(target.origin) or await self._connect(target, timeouts)
        stream = connection.begin(head, timeouts, is_bodiless=request.method == "HEAD", is_upload=True)
        try:
            await _send_parts(connection, stream, request, length)
        except BaseException:
            connection.abort()
            raise
        return await stream.head()


async def _send_parts(
    connection: Connection, stream: ResponseStream, request: httpx.Request, length: int | None
) -> None:
    sent = 0
    async for part in cast("httpx.AsyncByteStream", request.stream):
        sent += len(part)
        if length is not None and sent > length:
            raise httpx.LocalProtocolError(f"the body is longer than its content-length of {length} bytes")
        data = part if length is not None else b"%x\r\n%b\r\n" % (len(part), part)
        if part and not await connection.send(stream, data):
            return
    if length is None:
        await connection.send(stream, b"0\r\n\r\n")
    elif sent < length:
        raise httpx.LocalProtocolError(f"the body ended after {sent} of {length} bytes")
    connection.end_upload(stream)


def _body_of(request: httpx.Request) -> bytes | None:
    """Give the body if it is in memory, None if it is still to be read."""
    try:
        return request.content
    except httpx.RequestNotRead:
        return None
