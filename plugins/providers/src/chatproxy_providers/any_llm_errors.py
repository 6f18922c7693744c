"""What any-llm raises, as a client is told it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from any_llm.exceptions import AnyLLMError, UnsupportedParameterError
from pydantic import ValidationError

from chatproxy.errors import ApiError, InvalidRequest, UpstreamError, UpstreamStatus, UpstreamTimeout
from chatproxy_providers.hiding import Hider

logger = logging.getLogger("chatproxy.providers")

_PASSED_ON = ("retry-after", "x-ratelimit-")
_MOST_CAUSES = 8


def error_of(exc: Exception, provider: str, hider: Hider) -> ApiError:
    """The error for an exception of the library, or of the vendor's library below it."""
    if isinstance(exc, ApiError):
        return exc
    if isinstance(exc, UnsupportedParameterError | NotImplementedError):
        return InvalidRequest(hider.text(str(exc)), code="unsupported_parameter")
    causes = _causes(exc)
    status = next((found for cause in causes if (found := _status(cause)) is not None), None)
    if status is not None and 400 <= status <= 599:
        return _refused(causes, status, hider)
    return _broken(causes, status, provider)


def invalid_request(exc: ValidationError) -> InvalidRequest:
    """What is wrong with a request's fields, from the check of the library."""
    first = exc.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else None
    return InvalidRequest(f"{name or 'the request'}: {first['msg']}", code="invalid_value", param=name)


def _refused(causes: list[BaseException], status: int, hider: Hider) -> UpstreamStatus:
    said = causes[0]
    body = _body(causes)
    kind = (
        getattr(said, "code", None)
        or getattr(said, "error_type", None)
        or next((value for name in ("code", "status", "type") if isinstance(value := body.get(name), str)), None)
    )
    message = body.get("message")
    text = message if isinstance(message, str) and message else getattr(said, "message", None) or str(said)
    return UpstreamStatus(
        hider.text(str(text)),
        status=status,
        code=kind if isinstance(kind, str) else None,
        headers=_headers(causes),
    )


def _broken(causes: list[BaseException], status: int | None, provider: str) -> UpstreamError:
    names = " ".join(type(cause).__name__.lower() for cause in causes)
    if "connecttimeout" in names:
        return UpstreamTimeout(f"No connection to '{provider}' in time.", code="upstream_connect_timeout")
    if "timeout" in names:
        return UpstreamTimeout(f"'{provider}' did not answer in time.", code="upstream_timeout")
    if "remoteprotocolerror" in names:
        return UpstreamError(f"'{provider}' broke the protocol.", code="upstream_protocol_error")
    if "connecterror" in names or "clientconnector" in names:
        return UpstreamError(f"'{provider}' cannot be reached.", code="upstream_unreachable")
    if "readerror" in names or "connection" in names or "disconnected" in names:
        return UpstreamError(f"The connection to '{provider}' broke.", code="upstream_disconnected")
    logger.warning("any-llm could not make sense of an answer of %r (%s, status %s)", provider, names, status)
    return UpstreamError(f"The answer of '{provider}' cannot be read.", code="upstream_invalid_response")


def _causes(exc: BaseException) -> list[BaseException]:
    """The exception and what it came from, outermost first."""
    found: list[BaseException] = []
    now: BaseException | None = exc
    while now is not None and now not in found and len(found) < _MOST_CAUSES:
        found.append(now)
        below = now.original_exception if isinstance(now, AnyLLMError) else None
        now = below or now.__cause__ or (None if now.__suppress_context__ else now.__context__)
    return found


def _status(exc: BaseException) -> int | None:
    values = (getattr(exc, name, None) for name in ("status_code", "code", "status"))
    return next((value for value in values if type(value) is int and 100 <= value <= 599), None)


def _body(causes: list[BaseException]) -> Mapping[str, Any]:
    """The error object that the vendor sent, where its library kept it."""
    for cause in causes:
        body = getattr(cause, "body", None) or getattr(cause, "details", None)
        if isinstance(body, str):
            body = _decoded(body)
        if isinstance(body, Mapping):
            inner = body.get("error")
            return inner if isinstance(inner, Mapping) else body
    return {}


def _decoded(body: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _headers(causes: list[BaseException]) -> dict[str, str]:
    for cause in causes:
        for holder in (getattr(cause, "response", None), getattr(cause, "raw_response", None), cause):
            headers = getattr(holder, "headers", None)
            if isinstance(headers, Mapping):
                pairs = ((str(name).lower(), str(value)) for name, value in headers.items())
                return {name: value for name, value in pairs if name.startswith(_PASSED_ON)}
    return {}
