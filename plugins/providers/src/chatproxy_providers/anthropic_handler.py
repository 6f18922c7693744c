"""Anthropic's models by Anthropic's own library, in the words of its Messages API.

Rule: a request of this API goes out as it came in and its answer comes back as it is; the library brings the
credentials, the headers and the connections, and nothing is parsed into its types, which would lose what they do not
know. Requests of other APIs are translated by the core.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

import anthropic
import httpx2

from chatproxy import ChatRequest, ChatResponse, Completed, Reply, RequestContext, Stream
from chatproxy.errors import ConfigError, InvalidRequest, UpstreamError
from chatproxy.types import Attempt
from chatproxy_providers.anthropic_errors import error_of, passed_on
from chatproxy_providers.anthropic_stream import Chunks
from chatproxy_providers.config import Entry
from chatproxy_providers.hiding import Hider
from chatproxy_providers.place import Place
from chatproxy_providers.waiting import Waiting

BASE_URL = "https://api.anthropic.com"
SURFACES = frozenset({"messages", "count_tokens"})

VERSION = "2023-06-01"
"""Of the API, where neither the operator nor a client of this API names one: what the core's translations are written
for. The library's own choice, 2026-10-21, answers 400 to every ``temperature``.

Source: Anthropic API reference, "Versions".
"""

_MAJOR = 2
_VERSION = "anthropic-version"
_BETA = "anthropic-beta"
_HOPS = "x-chatproxy-hops"
_IDEMPOTENCY = "idempotency-key"
_EXCERPT = 200


class AnthropicHandler:
    """`Handler` for one model of Anthropic's.

    Args:
        name: unique in the gateway.
        client: shared by the models that are reached in the same way.
    """

    surfaces = SURFACES

    def __init__(self, name: str, model: str, entry: Entry, client: anthropic.AsyncAnthropic, hider: Hider) -> None:
        self.name = name
        self._model = model
        self._entry = entry
        self._client = client
        self._hider = hider
        self._place = Place(entry.provider, entry.base_url or BASE_URL)
        self._own = frozenset(header.lower() for header in entry.headers)

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Send the request on.

        Raises:
            UpstreamStatus: the vendor answered 4xx or 5xx.
            UpstreamTimeout: it did not answer in time (504).
            UpstreamError: it could not be reached or its answer is broken (502).
        """
        path = "/v1" + request.layout.path
        attempt = self._place.begin(ctx, self.name, self._model, path)
        waiting = Waiting(self._entry)
        try:
            response = await waiting.wait(self._send(ctx, attempt, request, path))
            _answered(ctx, attempt, response)
            return await self._reply(request, response, Chunks(response, waiting, self._hider, attempt))
        except (anthropic.AnthropicError, httpx2.HTTPError, httpx2.InvalidURL) as exc:
            if isinstance(exc, anthropic.APIStatusError):
                _answered(ctx, attempt, exc.response)
            raise error_of(exc, self._hider) from exc

    async def aclose(self) -> None:
        """Close the vendor's connections; closing twice does nothing."""
        await self._client.close()

    async def _reply(self, request: ChatRequest, response: httpx2.Response, chunks: Chunks) -> Reply:
        headers, status = passed_on(response.headers), response.status_code
        found = response.headers.get("content-type", "")
        if request.stream:
            if "text/event-stream" not in found:
                raise await self._strange(chunks, found, "text/event-stream")
            return Stream(chunks, status=status, headers=headers, layout=request.layout)
        if found and "json" not in found:
            raise await self._strange(chunks, found, "json")
        body = await chunks.whole(self._entry.max_response_bytes)
        try:
            lens = ChatResponse.of(body, request.layout)
        except InvalidRequest as exc:
            raise UpstreamError("The upstream's answer is not a JSON object.", code="upstream_invalid_json") from exc
        return Completed(lens, status=status, headers=headers)

    async def _send(self, ctx: RequestContext, attempt: Attempt, request: ChatRequest, path: str) -> httpx2.Response:
        changes: dict[str, Any] = {key: value for key, value in self._entry.params.items() if key not in request}
        if request.model != self._model:
            changes["model"] = self._model
        content = request.encode_with(changes) if changes else request.encode()
        headers = self._headers(ctx, attempt, is_stream=request.stream)
        answer: Any = await self._client.post(
            path,
            cast_to=httpx2.Response,
            content=content,
            options={"headers": headers},
            stream=True,  # also for a buffered answer: it is read under a limit
            stream_cls=anthropic.AsyncStream[Any],
        )
        response: httpx2.Response = answer  # what `cast_to` asks for, where the types promise a stream of events
        return response

    def _headers(self, ctx: RequestContext, attempt: Attempt, *, is_stream: bool) -> dict[str, str]:
        """What is new in each request: the client's versions and betas, the trace, the gateways passed."""
        given = ctx.headers
        hops = given.get(_HOPS, "")
        headers = {
            "accept": "text/event-stream" if is_stream else "application/json",
            "x-request-id": ctx.request_id,
            "traceparent": attempt.traceparent,
            _HOPS: str(int(hops[:6]) + 1 if hops.isascii() and hops.isdigit() else 1),
        }
        if ctx.trace.tracestate:
            headers["tracestate"] = ctx.trace.tracestate
        wanted = [_IDEMPOTENCY]
        if ctx.surface in SURFACES:  # another API's client has no say in what a translation is made for
            wanted += [_VERSION, _BETA]
        headers.update({name: given[name] for name in wanted if name in given and name not in self._own})
        if _VERSION not in self._own:
            headers.setdefault(_VERSION, VERSION)
        return headers

    async def _strange(self, chunks: Chunks, found: str, wanted: str) -> UpstreamError:
        await chunks.aclose()
        message = f"The upstream answered with content type {found[:80]!r}, wanted {wanted!r}."
        return UpstreamError(message, code="upstream_invalid_response")


def make_client(entry: Entry, place: str) -> anthropic.AsyncAnthropic:
    """The library's client; no credential or address comes from the environment, and spans are the gateway's affair.

    Args:
        place: of the model in the configuration, for faults.

    Raises:
        ConfigError: the library is of another age.
    """
    found = anthropic.__version__
    if int(found.partition(".")[0]) != _MAJOR:
        raise ConfigError(f"{place}: found anthropic {found}, wanted 2; pip install 'chatproxy-providers[anthropic]'")
    limits = httpx2.Limits(max_connections=entry.max_connections, max_keepalive_connections=100, keepalive_expiry=30.0)
    timeout = httpx2.Timeout(None, connect=entry.connect_timeout_s, write=60.0)
    http = httpx2.AsyncClient(limits=limits, timeout=timeout, trust_env=False, verify=_certificates())
    return anthropic.AsyncAnthropic(
        api_key=entry.api_key,
        base_url=(entry.base_url or BASE_URL).rstrip("/"),
        timeout=timeout,
        max_retries=entry.max_retries,
        default_headers={"accept-encoding": "identity", **entry.headers},
        open_telemetry=False,
        http_client=http,
    )


@cache
def _certificates() -> ssl.SSLContext:
    """Made once in a process: reading the system's takes 0.1 s."""
    return httpx2.create_ssl_context(trust_env=False)


def _answered(ctx: RequestContext, attempt: Attempt, response: httpx2.Response) -> None:
    attempt.status = response.status_code
    found = response.headers.get("request-id") or response.headers.get("x-request-id")
    attempt.upstream_request_id = ctx.exchange.upstream_request_id = found
