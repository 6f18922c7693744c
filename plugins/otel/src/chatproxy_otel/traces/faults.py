"""How a failure is shown: its code, its class, and a few words for the codes of the gateway's own.

Rule: an error's message may quote what a client sent or an upstream answered, and neither may leave by a span.
"""

from __future__ import annotations

import re

from opentelemetry.trace import Span, StatusCode

from chatproxy import ApiError
from chatproxy_otel.fitting import Fitter
from chatproxy_otel.labels import OTHER
from chatproxy_otel.names import Names

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_OWN_WORDS = {
    "upstream_connect_timeout": "no connection to the upstream in time",
    "upstream_timeout": "the upstream did not answer in time",
    "upstream_first_byte_timeout": "the upstream sent nothing in time",
    "upstream_idle_timeout": "the upstream went silent",
    "exchange_timeout": "the exchange took too long",
    "upstream_unreachable": "the upstream cannot be reached",
    "upstream_disconnected": "the connection to the upstream broke",
    "upstream_incomplete": "the upstream ended the stream before it was finished",
    "upstream_invalid_json": "the upstream sent no valid JSON",
    "upstream_protocol_error": "the upstream broke the protocol",
    "upstream_redirect": "the upstream answered with a redirect",
    "plugin_failed": "a plugin failed",
    "plugin_timeout": "a plugin passed its deadline",
    "handler_failed": "a handler failed",
    "server_shutdown": "the server is shutting down",
}


def error_type(code: str | None, fitter: Fitter | None = None) -> str:
    """A failure's code where it can be one; upstreams may send anything as such, and keys look like codes.

    Args:
        fitter: takes secrets out of texts; None where somebody else does.
    """
    if code is None or not _CODE.fullmatch(code) or (fitter is not None and fitter.text(code) != code):
        return OTHER
    return code


def mark(span: Span, names: Names, code: str | None, fitter: Fitter) -> None:
    """Mark a span as failed."""
    span.set_attribute(names.error_type, error_type(code, fitter))
    span.set_status(StatusCode.ERROR, _OWN_WORDS.get(code or ""))


def describe(span: Span, names: Names, code: str | None, error: ApiError | None, at_ns: int, *, fitter: Fitter) -> None:
    """Add the exception event; once in a trace, to the span where the failure began.

    Args:
        error: what was raised, where that is known.
        at_ns: Unix time.
    """
    exception = {names.exception_type: error_type(code, fitter) if error is None else _class(error)}
    if code in _OWN_WORDS:
        exception[names.exception_message] = _OWN_WORDS[code]
    span.add_event(names.exception_event, exception, at_ns)


def _class(error: ApiError) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
