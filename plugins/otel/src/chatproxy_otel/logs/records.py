"""Entry: what OpenTelemetry's log data model makes of a record of Python's logging.

Rule: nothing that a record holds makes this raise, except `RecursionError` and the like; no I/O of our own.
Source: OpenTelemetry's log data model, appendix B, "Severity fields"; exceptions/exceptions-logs.md.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from itertools import islice
from typing import NamedTuple

from opentelemetry._logs import SeverityNumber
from opentelemetry.util.types import AnyValue

from chatproxy_otel.fitting import Fitter
from chatproxy_otel.names import STABLE_NAMES

MAX_EXTRA = 24
KNOWN: Mapping[str, str] = {
    "request_id": STABLE_NAMES.request_id,
    "plugin": STABLE_NAMES.plugin,
    "hook": STABLE_NAMES.hook,
}
"""Fields that chatproxy adds to its records, and the attributes they are; other ``extra`` fields keep their names."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_TEXTS = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class Entry(NamedTuple):
    """A record, ready to be sent; ``at_ns`` is Unix time."""

    at_ns: int
    severity: SeverityNumber
    severity_text: str
    body: str
    attributes: dict[str, AnyValue]


def entry_of(record: logging.LogRecord, fitter: Fitter) -> Entry:
    """The record without secrets, bounded."""
    return Entry(
        at_ns=int(record.created * 1e9),
        severity=severity_of(record.levelno),
        severity_text=fitter.text(_TEXTS.get(record.levelname, str(record.levelname)), 64),
        body=fitter.text(_message_of(record)),
        attributes={**_extra_of(record, fitter), **_exception_of(record, fitter)},
    )


def severity_of(level: int) -> SeverityNumber:
    """The severity of a level of Python's: ``INFO`` for 20, ``INFO2`` for 21, up to ``INFO4`` for 23 to 29."""
    if level <= 0:
        return SeverityNumber.UNSPECIFIED
    step = min(level // 10, 5)
    return SeverityNumber(4 * step + 1 + min(level - 10 * step, 3))


def _message_of(record: logging.LogRecord) -> str:
    try:
        message = record.getMessage()
    except Exception:  # noqa: BLE001 - the arguments may be any objects, whose __str__ may raise anything
        message = f"{record.msg!s:.1000} ({type(record.args).__name__} of arguments that do not fit)"
    return f"{message}\n{record.stack_info}" if record.stack_info else message


def _extra_of(record: logging.LogRecord, fitter: Fitter) -> dict[str, AnyValue]:
    added = ((name, value) for name, value in list(vars(record).items()) if name not in _STANDARD)
    return {
        KNOWN.get(name) or fitter.name(name): _guarded(fitter, name, value)
        for name, value in islice(added, MAX_EXTRA)
        if value is not None
    }


def _guarded(fitter: Fitter, name: str, value: object) -> AnyValue:
    try:
        return fitter.item(name, value)
    except Exception as exc:  # noqa: BLE001 - any object may have been added, whose __str__ may raise anything
        return f"({type(value).__name__}: {type(exc).__name__})"


def _exception_of(record: logging.LogRecord, fitter: Fitter) -> dict[str, AnyValue]:
    exc = record.exc_info[1] if record.exc_info else None
    if exc is None:
        return {}
    names = STABLE_NAMES
    try:
        message, stacktrace = str(exc), "".join(traceback.format_exception(exc))
    except Exception as failed:  # noqa: BLE001 - as above
        message, stacktrace = f"({type(failed).__name__})", ""
    said = {names.exception_message: message, names.exception_stacktrace: stacktrace}
    fitting: dict[str, AnyValue] = {name: fitter.text(text) for name, text in said.items() if text}
    return {names.exception_type: type_name(exc), **fitting}


def type_name(exc: BaseException) -> str:
    """The full name of an exception's type, as ``exception.type`` wants it; a builtin's without its module."""
    kind = type(exc)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
