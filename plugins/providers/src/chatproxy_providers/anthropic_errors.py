"""What Anthropic's library raises, as a client is told it."""

from __future__ import annotations

from typing import Any

import anthropic
import httpx2
import msgspec

from chatproxy.errors import ApiError, UpstreamError, UpstreamStatus, UpstreamTimeout
from chatproxy_providers.hiding import Hider

_PASSED_ON = ("retry-after", "anthropic-", "x-ratelimit-")
_NAME = "anthropic"


def passed_on(headers: httpx2.Headers) -> dict[str, str]:
    """The vendor's headers that a client may see."""
    return {name: value for name, value in headers.items() if name.startswith(_PASSED_ON)}


def error_of(exc: Exception, hider: Hider) -> ApiError:
    """The error for an exception of the library or of its transport."""
    if isinstance(exc, anthropic.APIStatusError):
        return refused(exc.response.status_code, exc.response.content, exc.response.headers, hider)
    cause = exc.__cause__ if isinstance(exc, anthropic.APIConnectionError) else exc
    if isinstance(cause, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        return UpstreamTimeout(f"No connection to '{_NAME}' in time.", code="upstream_connect_timeout")
    if isinstance(cause, httpx2.TimeoutException):
        return UpstreamTimeout(f"'{_NAME}' did not answer in time.", code="upstream_timeout")
    if isinstance(cause, httpx2.ConnectError):
        return UpstreamError(f"'{_NAME}' cannot be reached.", code="upstream_unreachable")
    if isinstance(cause, httpx2.RemoteProtocolError):
        return UpstreamError(f"'{_NAME}' broke the protocol.", code="upstream_protocol_error")
    return UpstreamError(f"The connection to '{_NAME}' broke.", code="upstream_disconnected")


def refused(status: int, content: bytes, headers: httpx2.Headers, hider: Hider) -> UpstreamStatus:
    """The error that passes on the vendor's own; its ``type`` is the code."""
    if status < 400:
        return UpstreamStatus(
            f"'{_NAME}' answered {status}, which is not followed.", status=502, code="upstream_redirect"
        )
    body = hider.clean(content)
    error = _envelope(body)
    if error is None:
        excerpt = hider.text(body.decode("utf-8", "replace"), 200)
        return UpstreamStatus(f"'{_NAME}' answered {status}: {excerpt!r}", status=status, headers=passed_on(headers))
    message, kind = error.get("message"), error.get("type")
    return UpstreamStatus(
        message if isinstance(message, str) else f"'{_NAME}' refused the request.",
        status=status,
        code=kind if isinstance(kind, str) else None,
        body=body,
        headers=passed_on(headers),
    )


def _envelope(body: bytes) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    error = value.get("error") if isinstance(value, dict) else None
    return error if isinstance(error, dict) else None
