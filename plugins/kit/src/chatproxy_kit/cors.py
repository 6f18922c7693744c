"""Pages of other origins that may call a kit's path, by Litestar's rules for CORS.

Litestar's middleware for it is private and serves whole applications; its `CORSConfig` is public and decides here.
Source: WHATWG Fetch, section 3.2 "CORS protocol".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from litestar.config.cors import CORSConfig

Asgi = Callable[[Any, Any, Any], Any]
_EXPOSED = ["retry-after", "x-chatproxy-session-id", "x-request-id"]


def allowing(origins: Sequence[str]) -> Callable[[Asgi], Asgi]:
    """A wrapper for the ASGI application of one path."""
    config = CORSConfig(allow_origins=list(origins), allow_methods=["POST"], expose_headers=_EXPOSED)

    def around(app: Asgi) -> Asgi:
        async def serve(scope: Any, receive: Any, send: Any) -> None:
            headers = dict(scope["headers"])
            origin = headers.get(b"origin", b"").decode("latin-1")
            if not origin or not config.is_origin_allowed(origin):
                await app(scope, receive, send)
            elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
                await _grant(send, config, origin, headers.get(b"access-control-request-headers", b""))
            else:
                await app(scope, receive, _naming(send, config, origin))

        return serve

    return around


async def _grant(send: Any, config: CORSConfig, origin: str, wanted: bytes) -> None:
    """Answer a preflight, which carries no credential."""
    headers = _pairs({**config.preflight_headers, **_origin(config, origin)})
    if wanted:
        headers.append((b"access-control-allow-headers", wanted))
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _naming(send: Any, config: CORSConfig, origin: str) -> Any:
    added = _pairs({**config.simple_headers, **_origin(config, origin)})

    async def tell(message: Any) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *added]
        await send(message)

    return tell


def _origin(config: CORSConfig, origin: str) -> dict[str, str]:
    return {} if config.is_allow_all_origins else {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}


def _pairs(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
