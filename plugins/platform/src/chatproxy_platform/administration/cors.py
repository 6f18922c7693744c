"""Cross-origin pages that the configuration allows: the headers by which their browsers let them read an answer.

Rule: this opens nothing; what a page may do is decided by its credential. Other pages get no such header, so that their
browsers keep the answer from them, beside being refused (`browsers`). Cookies are never allowed for: there are none.
Source: WHATWG Fetch, section 3.2 "CORS protocol".
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from litestar.types import ASGIApp, Message, Receive, Scope, Send

_METHODS = b"GET, POST, PATCH, DELETE"
_REQUEST_HEADERS = b"authorization, content-type, x-api-key"
_ANSWER_HEADERS = b"x-request-id, retry-after, content-disposition"
_MAX_AGE_S = b"600"


def allowing(origins: Collection[str]) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware for routes that pages of these origins may call."""
    allowed = frozenset(origin.encode() for origin in origins) - {b"null"}

    def around(app: ASGIApp) -> ASGIApp:
        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            headers = dict(scope["headers"])
            origin = headers.get(b"origin")
            if origin not in allowed or origin is None:
                await app(scope, receive, send)
            elif scope.get("method") == "OPTIONS" and b"access-control-request-method" in headers:
                await _grant(send, origin)
            else:
                await app(scope, receive, _naming(send, origin))

        return serve

    return around


async def _grant(send: Send, origin: bytes) -> None:
    """Answer a preflight, which carries no credential."""
    headers = [
        *_origin_headers(origin),
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _REQUEST_HEADERS),
        (b"access-control-max-age", _MAX_AGE_S),
    ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _naming(send: Send, origin: bytes) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            exposed = (b"access-control-expose-headers", _ANSWER_HEADERS)
            message["headers"] = [*message["headers"], *_origin_headers(origin), exposed]
        await send(message)

    return with_headers


def _origin_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
