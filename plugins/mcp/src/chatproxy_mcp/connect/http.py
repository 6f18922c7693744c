"""Streamable HTTP: what goes to a server and what comes back, bounded.

Rule: headers and credentials go to the configured origin only, and nothing of a client's request does: there is no way
to hand it in. A request that fails becomes an error of that one call, since an exception would end the SDK's transport
and with it every other call of the session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy

import httpx2
import msgspec
from mcp.client._transport import TransportStreams
from mcp.client.streamable_http import streamable_http_client

from chatproxy_mcp.config import Server
from chatproxy_mcp.connect import replies
from chatproxy_mcp.connect.auth import Credentials
from chatproxy_mcp.connect.connections import Connections, origin_of
from chatproxy_mcp.connect.errors import CallRefusedError, ConnectionLostError, ServerDownError, ServerError, clean
from chatproxy_mcp.connect.events import Events
from chatproxy_mcp.connect.pace import message_pace, stream_pace
from chatproxy_mcp.connect.replies import Reply
from chatproxy_mcp.connect.watch import CALL, Call, Watch, WatchedStream
from chatproxy_mcp.connect.weight import check_weight

SESSION = "mcp-session-id"
SIDE_TIMEOUT_S = 5.0
FAREWELL_S = 2.0
MAX_SIDE_TASKS = 16
MAX_METADATA_BYTES = 1 << 20
_AUTH = frozenset({401, 403})
_EVENTS = b"text/event-stream"


class _Envelope(msgspec.Struct):
    """What kind of message a request's body is."""

    method: str | None = None
    id: int | str | None = None


class HttpTransport(httpx2.AsyncBaseTransport):
    """The network side of one session's `httpx2.AsyncClient`."""

    def __init__(self, server: Server, connections: Connections, credentials: Credentials, watch: Watch) -> None:
        self._server = server
        self._connections = connections
        self._credentials = credentials
        self._watch = watch
        self._url = httpx2.URL(server.url or "")
        self._origin = origin_of(self._url)
        self._headers = httpx2.Headers(server.headers).raw
        self._own = frozenset(name.lower() for name, _ in self._headers) | {b"accept-encoding", b"connection"}
        self._max_bytes = server.max_message_bytes
        self._side: set[asyncio.Task[None]] = set()
        self._streams = stream_pace()
        self._messages = message_pace()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send what the SDK asks for, each kind of message by its own rules."""
        body = await request.aread()
        if request.method == "POST":
            kind = msgspec.json.decode(body, type=_Envelope)
            if kind.method is not None and kind.id is not None:
                return await self._ask(request, kind)
            if kind.method == "notifications/initialized":
                # Before any request that follows; the connect deadline is over it.
                await self._send_aside(request, self._server.connect_timeout_s)
                return httpx2.Response(HTTPStatus.ACCEPTED)
            return self._tell(request)
        if request.method == "DELETE":
            return await self._farewell(request)
        reply = await self._stream(request, CALL.get())
        if reply.status == HTTPStatus.OK:
            return self._open_stream(reply, None)
        return reply.response(request, await reply.whole(self._max_bytes))

    async def aclose(self) -> None:
        """End everything that is still under way."""
        for task in self._side:
            task.cancel()
        if self._side:
            await asyncio.wait(self._side, timeout=1.0)
        self._connections.close()

    # Kinds of messages.

    async def _ask(self, request: httpx2.Request, kind: _Envelope) -> httpx2.Response:
        """Send a request of the protocol; whatever goes wrong is answered, not raised."""
        call = CALL.get()
        try:
            # A server that is silent about `server/discover` may still know `initialize`.
            probes = kind.method == "server/discover"
            async with asyncio.timeout(self._server.connect_timeout_s / 2 if probes else None):
                return await self._judge(request, await self._exchange(request, call), call, kind.id)
        except TimeoutError:
            return replies.made_up("no answer")
        except httpx2.ConnectError as exc:
            self._watch.expired()
            return replies.failed(call, ServerDownError(f"it cannot be reached: {clean(str(exc))}"))
        except httpx2.TransportError as exc:
            return replies.failed(call, ConnectionLostError(f"the connection was lost: {clean(str(exc))}"))
        except ServerError as exc:
            return replies.failed(call, exc)

    async def _stream(self, request: httpx2.Request, call: Call | None) -> Reply:
        """Ask for a stream of events; a server that closes each at once would be asked for one in a loop."""
        if call is None or call not in self._watch.calls:
            await self._streams.spend()
            return await self._exchange(request, None)
        if call.streams is None:
            call.streams = stream_pace()
        await call.streams.spend()
        return await self._exchange(request, call)

    def _tell(self, request: httpx2.Request) -> httpx2.Response:
        """Send a notification, or an answer to the server, beside the calls: it must not hold them up."""
        if len(self._side) < MAX_SIDE_TASKS:
            task = asyncio.create_task(self._send_aside(request, SIDE_TIMEOUT_S))
            self._side.add(task)
            task.add_done_callback(self._side.discard)
        return httpx2.Response(HTTPStatus.ACCEPTED)

    async def _farewell(self, request: httpx2.Request) -> httpx2.Response:
        """Tell the server that the session is over, unless it said so itself."""
        if self._watch.fault is None and not self._watch.is_forgotten:
            await self._send_aside(request, FAREWELL_S)
        return httpx2.Response(HTTPStatus.NO_CONTENT)

    async def _send_aside(self, request: httpx2.Request, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                reply = await self._exchange(request, None)
                await reply.whole(self._max_bytes)
        except (TimeoutError, httpx2.TransportError, ServerError):
            return  # a courtesy; what it belongs to is over

    # What came back.

    async def _judge(
        self, request: httpx2.Request, reply: Reply, call: Call | None, request_id: int | str | None
    ) -> httpx2.Response:
        status, content_type = reply.status, reply.content_type
        if status == HTTPStatus.OK and content_type == "text/event-stream":
            return self._open_stream(reply, call)
        body = await reply.whole(self._max_bytes)
        check_weight(body)
        is_success = status < HTTPStatus.MULTIPLE_CHOICES and status != HTTPStatus.ACCEPTED
        if is_success and request_id is not None:
            fault = replies.fault_of(body if content_type == "application/json" else b"", request_id)
            if fault is not None:
                return replies.failed(call, fault)
        if status < HTTPStatus.BAD_REQUEST:
            return reply.response(request, body)
        error = replies.rpc_error(body)
        if _is_unknown_session(request, status, error):
            self._watch.is_forgotten = True
            self._watch.expired()
            if call is not None:
                call.is_sent = False
            return replies.failed(call, ConnectionLostError("the server ended the session"))
        if status in _AUTH:
            words = f"HTTP {status}: the gateway's credentials were not accepted"
            return replies.failed(call, CallRefusedError(status, words))
        if error is None:
            return replies.failed(call, CallRefusedError(status, f"HTTP {status} {replies.phrase(status)}"))
        return reply.response(request, body)

    def _open_stream(self, reply: Reply, call: Call | None) -> httpx2.Response:
        events = Events(reply, self._max_bytes, self._messages, call)
        # Without a charset: such streams are in UTF-8, and are looked at as such.
        reply.pairs = [(name, _EVENTS if name == b"content-type" else value) for name, value in reply.pairs]
        return httpx2.Response(reply.status, headers=reply.pairs, stream=events)

    # On the wire.

    async def _exchange(self, request: httpx2.Request, call: Call | None) -> Reply:
        """Send a request to the server, once more where a new token may help."""
        if not self._is_own(request.url):
            raise httpx2.ConnectError("a request to another origin was refused")
        header = await self._credentials.header(self._elsewhere)
        reply = await self._send(request, header, call)
        if reply.status not in _AUTH or not self._credentials.is_renewable:
            return reply
        challenge = reply.response(request, await reply.whole(self._max_bytes))
        renewed = await self._credentials.renew(challenge, header, self._elsewhere)
        if renewed is None:
            raise CallRefusedError(reply.status, f"HTTP {reply.status}: the gateway may not do this")
        return await self._send(request, renewed, call)

    async def _send(self, request: httpx2.Request, authorization: str | None, call: Call | None) -> Reply:
        pairs = [pair for pair in request.headers.raw if pair[0].lower() not in self._own]
        pairs += [*self._headers, (b"Accept-Encoding", b"identity")]
        if authorization is not None:
            pairs = [pair for pair in pairs if pair[0].lower() != b"authorization"]
            pairs.append((b"Authorization", authorization.encode()))
        # What the SDK logs has no query, where some servers want their key.
        target = request.url.raw_path
        if target == self._url.raw_path.partition(b"?")[0]:
            target = self._url.raw_path
        reply = await self._carry(request, target, pairs, call)
        if reply.header(b"content-encoding").lower() not in {"", "identity"}:
            reply.close()
            raise ServerError("the server compressed its reply, which it was not asked for")
        if SESSION not in request.headers and not reply.header(SESSION.encode()):
            # Without a session, one connection serves every tenant: nothing may be remembered between calls.
            reply.pairs = [pair for pair in reply.pairs if pair[0] != b"set-cookie"]
        return reply

    async def _elsewhere(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to a token endpoint, or for metadata; the address rules hold, the server's headers do not."""
        if self._origin[0] == "https" and request.url.scheme != "https":
            raise httpx2.ConnectError("it must be reached by https, as the server is")
        await request.aread()
        async with asyncio.timeout(self._server.connect_timeout_s):
            reply = await self._carry(request, request.url.raw_path, request.headers.raw, None)
            return reply.response(request, await reply.whole(MAX_METADATA_BYTES))

    async def _carry(
        self, request: httpx2.Request, target: bytes, pairs: list[tuple[bytes, bytes]], call: Call | None
    ) -> Reply:
        data = _encode(request, target, pairs)
        while True:
            wire = await self._connections.take(origin_of(request.url))
            if wire.is_open:
                break
        if call is not None:
            call.is_sent = True
            call.hang_ups.add(wire.close)
        wire.start(data)
        await wire.head()
        return Reply(wire, call)

    def _is_own(self, url: httpx2.URL) -> bool:
        """Whether it is the configured origin, or the same host by https, which the SDK follows a redirect to."""
        origin = origin_of(url)
        if origin == self._origin:
            return True
        return self._origin == ("http", origin[1], 80) and origin == ("https", origin[1], 443)


def _encode(request: httpx2.Request, target: bytes, pairs: list[tuple[bytes, bytes]]) -> bytes:
    lines = [request.method.encode() + b" " + target + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in pairs]
    head = b"\r\n".join(lines)
    if head.count(b"\n") != len(pairs) or head.count(b"\r") != len(pairs):
        raise httpx2.LocalProtocolError("a header has a line break in it")
    return head + b"\r\n\r\n" + request.content


def _is_unknown_session(request: httpx2.Request, status: int, error: replies.RpcError | None) -> bool:
    """Whether the server forgot the session: 404; servers made of the TypeScript SDK's examples say 400."""
    if SESSION not in request.headers:
        return False
    if status == HTTPStatus.NOT_FOUND:
        return True
    return status == HTTPStatus.BAD_REQUEST and error is not None and "session" in error.message.lower()


@asynccontextmanager
async def open_http(
    server: Server, connections: Connections, credentials: Credentials, watch: Watch, *, user_agent: str
) -> AsyncIterator[TransportStreams]:
    """Give the streams of a session over HTTP, as the SDK's `Client` takes them."""
    transport = HttpTransport(server, connections, credentials, watch)
    async with httpx2.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, timeout=None, headers={"user-agent": user_agent}
    ) as client:
        client.cookies.jar.set_policy(DefaultCookiePolicy(strict_domain=True))
        bare = str(httpx2.URL(server.url or "").copy_with(userinfo=b"", query=None, fragment=None))
        inner = streamable_http_client(bare, http_client=client, max_sse_event_size=None)
        async with inner as (reading, writing):
            yield WatchedStream(reading, watch), writing
