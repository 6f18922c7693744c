"""Anthropic's error envelope, for answers and for the event that ends a stream.

Source: Anthropic API reference, "Errors"; ``code`` and ``param`` are extra keys, as OpenAI's envelope has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy.errors import ApiError
from chatproxy.sse import encode_frame

_TYPES: Mapping[int, str] = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_WORDS = frozenset({*_TYPES.values(), "invalid_request_error", "api_error"})

_encode = msgspec.json.Encoder().encode


def error_type(status: int) -> str:
    """The ``type`` of Anthropic's envelope that goes with an HTTP status."""
    return _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


def error_body(error: ApiError, request_id: str) -> dict[str, Any]:
    """``{"type": "error", "error": {…}, "request_id": …}``."""
    return {**_envelope(error, error_type(error.status)), "request_id": request_id}


def error_frame(error: ApiError) -> bytes:
    """The event ``error``; one that the upstream sent keeps its type, which is all that a client can tell it by."""
    kept = error.code if error.code in _WORDS else None
    return encode_frame(_encode(_envelope(error, kept or error_type(error.status))), event="error")


def _envelope(error: ApiError, kind: str) -> dict[str, Any]:
    said = (("code", error.code), ("param", error.param))
    extra: dict[str, Any] = {key: value for key, value in said if value is not None}
    if error.param == "thread":  # by this the libraries' tool loops know that they must go on without threads
        extra["details"] = {"error_code": "thread_unsupported_request", "unsupported": [error.param]}
    return {"type": "error", "error": {"type": kind, "message": error.message, **extra}}
