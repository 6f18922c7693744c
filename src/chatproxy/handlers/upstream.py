"""The upstream handler: forwards a request to an OpenAI-compatible server.

What leaves: the request as the plugins left it, the upstream's own credentials, and no header of the client that was
not asked for. What comes back is checked before a plugin or a client sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import httpx
import msgspec

from chatproxy.errors import ApiError, InvalidRequest, UpstreamError, UpstreamStatus, UpstreamTimeout
from chatproxy.handlers.chunks import StreamChunks
from chatproxy.handlers.decoding import Decoder, decoder_for, too_large
from chatproxy.handlers.headers import Pairs, header_text, next_hop, passed_on, place_of, static_headers
from chatproxy.handlers.patience import Deadlines, Patience
from chatproxy.handlers.redact import Redactor
from chatproxy.handlers.transport import lean_request
from chatproxy.types.attempt import Attempt
from chatproxy.types.context import RequestContext
from chatproxy.types.layout import Layout
from chatproxy.types.model import Model
from chatproxy.types.reply import ChatResponse, Completed, Reply, Stream
from chatproxy.types.request import ChatRequest

HOPS_HEADER = b"x-chatproxy-hops"

_IDEMPOTENCY = b"idempotency-key"
_ANTHROPIC = frozenset({"messages", "count_tokens"})
_BETA_HEADER = b"anthropic-beta"
_VERSION_HEADER = b"anthropic-version"
_VERSION = b"2023-06-01"
"""Of the messages API, for a client that names none. Source: Anthropic API reference, "Versions"."""
_ANSWERS = (b"{", b"[", b'"', b"data:", b"event:", b":")  # how JSON and event streams begin
_EXCERPT = 200


class UpstreamTarget(NamedTuple):
    """Where an upstream is and how it is spoken to.

    Attributes:
        surfaces: the APIs it speaks; a request of another is translated before it comes here.
        headers: sent with every request, names lower-case, credentials included.
        request_usage: ask for token counts at the end of streams.
        api_key_header: where this server looks for a key.
        forward_authorization: send the client's own key; only for an upstream without a key of ours.
        forward_headers: names of client headers to send on, lower-case.
    """

    name: str
    base_url: str
    headers: Mapping[str, str]
    deadlines: Deadlines
    surfaces: frozenset[str] = frozenset({"chat"})
    request_usage: bool = True
    api_key_header: str = "authorization"
    forward_authorization: bool = False
    forward_headers: tuple[str, ...] = ()
    max_response_bytes: int = 16 << 20


class UpstreamHandler:
    """`Handler` for one upstream; named ``upstream:<name>``."""

    def __init__(self, target: UpstreamTarget, transport: httpx.AsyncBaseTransport, redactor: Redactor) -> None:
        self.name = f"upstream:{target.name}"
        self.surfaces = target.surfaces
        self.target = target
        self._transport = transport
        self._redactor = redactor
        self._urls: dict[str, httpx.URL] = {}
        self._place = place_of(target.base_url)
        self._json_headers = static_headers(target.headers, accept="application/json")
        self._stream_headers = static_headers(target.headers, accept="text/event-stream")
        wanted = (_IDEMPOTENCY, *(name.encode() for name in target.forward_headers))
        self._forwarded = tuple(name for name in wanted if name.decode() not in target.headers)
        self.timeout = {"connect": target.deadlines.connect_s, "read": None, "write": 60.0, "pool": None}

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Forward the request.

        Raises:
            UpstreamStatus: the upstream answered 4xx or 5xx.
            UpstreamTimeout: it did not answer in time (504).
            UpstreamError: it could not be reached or its answer is broken (502).
        """
        attempt = ctx.attempt or ctx.begin_attempt(self.name)
        exchange = ctx.exchange
        exchange.upstream = self.target.name
        if exchange.upstream_model is None:
            exchange.upstream_model = request.model
        attempt.model = exchange.upstream_model
        self.place(attempt, request.layout.path)
        patience = Patience(self.target.deadlines)
        reply: Reply | None = None
        try:
            reply = await patience.wait(self._exchange(ctx, attempt, request, patience))
            return reply
        finally:
            if not isinstance(reply, Stream):
                patience.stop()

    async def _exchange(self, ctx: RequestContext, attempt: Attempt, request: ChatRequest, patience: Patience) -> Reply:
        headers = self.headers(ctx, attempt.traceparent, streamed=request.stream)
        if request.layout.surface in _ANTHROPIC:
            headers += self._versions(ctx)
        response = await self._send("POST", request.layout.path, headers, self._outgoing(request))
        pairs = response.header_pairs
        self.answered(ctx, attempt, response)
        if not 200 <= response.status_code < 300:
            raise await self.refused(response, patience)
        decoder = self._decoder(pairs)
        if not request.stream:
            return await self._completed(request.layout, response, decoder, patience)
        await self._check_type(response, decoder, patience, "text/event-stream")
        chunks = StreamChunks(response, decoder, patience, self.failure, attempt)
        return Stream(chunks, status=200, headers=passed_on(pairs), layout=request.layout)

    async def models(self, ctx: RequestContext) -> list[Model]:
        """What the upstream's ``GET /models`` lists."""
        patience = Patience(self.target.deadlines)
        try:
            body = await patience.wait(self._list(ctx, patience))
        finally:
            patience.stop()
        try:
            return msgspec.json.decode(body, type=_ModelList).data
        except msgspec.MsgspecError as exc:
            raise UpstreamError("The upstream's list of models is broken.", code="upstream_invalid_json") from exc

    async def aclose(self) -> None:
        """Close the upstream's connections."""
        await self._transport.aclose()

    async def _list(self, ctx: RequestContext, patience: Patience) -> bytes:
        response = await self._send("GET", "/models", self.headers(ctx, ctx.traceparent, streamed=False), b"")
        if response.status_code != 200:
            raise await self.refused(response, patience)
        return await self._read(response, self._decoder(response.header_pairs), patience)

    def _decoder(self, pairs: Pairs) -> Decoder:
        return decoder_for(header_text(pairs, b"content-encoding") or "", self.target.max_response_bytes)

    def _outgoing(self, request: ChatRequest) -> bytes:
        if request.stream and request.layout.usage_on_request and self.target.request_usage:
            options = request.get("stream_options")
            if not (isinstance(options, dict) and "include_usage" in options):
                options = {**(options if isinstance(options, dict) else {}), "include_usage": True}
                return request.encode_with({"stream_options": options})
        return request.encode()

    async def _send(self, method: str, path: str, headers: Pairs, body: bytes) -> Any:
        return await self.send(lean_request(method, self._url(path), headers, body, self.timeout))

    async def send(self, request: httpx.Request) -> Any:
        """Send a request; its response has ``header_pairs``. Raises what `failure` makes of the transport's errors."""
        try:
            response: Any = await self._transport.handle_async_request(request)
        except (httpx.TransportError, httpx.InvalidURL) as exc:
            raise self.failure(exc) from exc
        if not hasattr(response, "header_pairs"):
            response.header_pairs = [(name.lower(), value) for name, value in response.headers.raw]
        return response

    def _url(self, path: str) -> httpx.URL:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self.target.base_url.rstrip("/") + path)
        return url

    def _versions(self, ctx: RequestContext) -> Pairs:
        """The API's version and beta features: the operator's, else those of a client of this API, else our own."""
        is_own = ctx.surface in _ANTHROPIC  # another API's client has no say in what a translation is made for
        found = {_VERSION_HEADER: _VERSION}
        for name in (_VERSION_HEADER, _BETA_HEADER):
            given = ctx.headers.first(name) if is_own else None
            if given is not None:
                found[name] = given
        return [(name, value) for name, value in found.items() if name.decode() not in self.target.headers]

    def place(self, attempt: Attempt, path: str) -> None:
        """Put on record where an attempt goes; ``path`` below the base URL, without a query."""
        base, attempt.address, attempt.port = self._place
        attempt.upstream, attempt.url = self.target.name, base + path

    def answered(self, ctx: RequestContext, attempt: Attempt, response: Any) -> None:
        """Put on record what the head of an answer says."""
        pairs: Pairs = response.header_pairs
        attempt.status = response.status_code
        attempt.upstream_request_id = header_text(pairs, b"x-request-id") or header_text(pairs, b"request-id")
        ctx.exchange.upstream_request_id = attempt.upstream_request_id

    def headers(self, ctx: RequestContext, traceparent: str, *, streamed: bool) -> Pairs:
        """What goes with every request: credentials, identity, trace, and what of the client's is passed on."""
        trace = ctx.trace
        pairs = [
            *(self._stream_headers if streamed else self._json_headers),
            (b"x-request-id", ctx.request_id.encode()),
            (b"traceparent", traceparent.encode()),
        ]
        if trace.tracestate:
            pairs.append((b"tracestate", trace.tracestate.encode("latin-1")))
        if trace.baggage:
            pairs.append((b"baggage", trace.baggage.encode("latin-1")))
        given = ctx.headers
        pairs.append((HOPS_HEADER, next_hop(given.first(HOPS_HEADER))))
        pairs.extend((name, value) for name in self._forwarded if (value := given.first(name)) is not None)
        if self.target.forward_authorization and (own := ctx.credentials.reveal()) is not None:
            pairs.append(_credentials(self.target.api_key_header, own))
        return pairs

    async def _completed(self, layout: Layout, response: Any, decoder: Decoder, patience: Patience) -> Completed:
        await self._check_type(response, decoder, patience, "json")
        body = await self._read(response, decoder, patience)
        try:
            lens = ChatResponse.of(body, layout)
        except InvalidRequest as exc:
            raise UpstreamError(
                f"The upstream's answer is not a JSON object{self._quoted(body)}", code="upstream_invalid_json"
            ) from exc
        return Completed(lens, status=response.status_code, headers=passed_on(response.header_pairs))

    async def _check_type(self, response: Any, decoder: Decoder, patience: Patience, wanted: str) -> None:
        found = header_text(response.header_pairs, b"content-type") or ""
        if wanted in found or (not found and wanted == "json"):
            return
        body = await self._read(response, decoder, patience, excerpt_only=True)
        raise UpstreamError(
            f"The upstream answered with content type {found[:80]!r}, wanted {wanted!r}{self._quoted(body)}",
            code="upstream_invalid_response",
        )

    def _quoted(self, body: bytes) -> str:
        """The beginning of a page that is no answer; not of what a model may have written, which no guard has seen."""
        return "." if body.lstrip().startswith(_ANSWERS) else f": {self._redactor.excerpt(body)}"

    async def refused(self, response: Any, patience: Patience) -> UpstreamStatus:
        """The error that passes on an upstream's own error answer."""
        status = response.status_code
        if status < 400:
            await response.stream.aclose()
            return UpstreamStatus(
                f"The upstream answered {status}, which is not followed.", status=502, code="upstream_redirect"
            )
        decoder = self._decoder(response.header_pairs)
        body = self._redactor.clean(await self._read(response, decoder, patience))
        headers = passed_on(response.header_pairs)
        error = _envelope_of(body)
        if error is not None:
            message = error.get("message")
            code = error.get("code")
            return UpstreamStatus(
                message if isinstance(message, str) else "The upstream refused the request.",
                status=status,
                code=code if isinstance(code, str) else "upstream_status",
                body=body,
                headers=headers,
            )
        excerpt = self._redactor.excerpt(body)
        return UpstreamStatus(f"The upstream answered {status}: {excerpt}", status=status, headers=headers)

    async def _read(self, response: Any, decoder: Decoder, patience: Patience, *, excerpt_only: bool = False) -> bytes:
        """Read a body under the size limit; the beginning of it where only an excerpt is wanted."""
        stream, parts, size = response.stream, [], 0
        iterator = stream.__aiter__()
        try:
            while True:
                try:
                    part = decoder.decode(await iterator.__anext__())
                except StopAsyncIteration:
                    if not excerpt_only:
                        decoder.finish()
                    break
                patience.alive()
                size += len(part)
                if size > self.target.max_response_bytes:
                    raise too_large()
                parts.append(part)
                if excerpt_only and size > _EXCERPT:
                    break
        except httpx.TransportError as exc:
            raise self.failure(exc) from exc
        finally:
            await stream.aclose()
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def failure(self, exc: Exception) -> ApiError:
        """What a transport's exception means to a client."""
        name = self.target.name
        if isinstance(exc, httpx.ConnectTimeout | httpx.PoolTimeout):
            return UpstreamTimeout(f"No connection to the upstream '{name}' in time.", code="upstream_connect_timeout")
        if isinstance(exc, httpx.TimeoutException):
            return UpstreamTimeout(f"The upstream '{name}' did not answer in time.", code="upstream_timeout")
        if isinstance(exc, httpx.ConnectError):
            return UpstreamError(f"The upstream '{name}' cannot be reached.", code="upstream_unreachable")
        if isinstance(exc, httpx.LocalProtocolError | httpx.InvalidURL):
            return InvalidRequest(f"The request cannot be sent on: {exc}", code="invalid_header")
        if isinstance(exc, httpx.RemoteProtocolError):
            return UpstreamError(f"The upstream '{name}' broke the protocol: {exc}", code="upstream_protocol_error")
        return UpstreamError(f"The connection to the upstream '{name}' broke.", code="upstream_disconnected")


class _ModelList(msgspec.Struct):
    data: list[Model]


def _credentials(header: str, own: bytes) -> tuple[bytes, bytes]:
    """A client's own key, given as ``Bearer <key>``, in the header where the upstream looks for one."""
    scheme, _, key = own.partition(b" ")
    if header == "authorization" or scheme.lower() != b"bearer":
        return b"authorization", own
    return header.encode(), key


def _envelope_of(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else None
