"""Lines: a log record as one line of JSON, or as one line for people.

Rule: whatever a record carries, its line holds exactly one line break, the last character.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from typing import Any

import msgspec

from chatproxy.logs.redaction import Secrets

_STANDARD = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime", "taskName", "color_message"}
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_AFTER_JSON = re.compile("[\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_MILLISECONDS = tuple(f"{ms:03d}Z" for ms in range(1000))
_encode = msgspec.json.Encoder().encode


class Stamp:
    """RFC 3339 time in UTC with milliseconds; the part up to the second is kept for as long as it holds."""

    __slots__ = ("_prefix", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._prefix = ""

    def of(self, unix_s: float) -> str:
        """For example ``2026-01-31T23:59:59.123Z``."""
        second = int(unix_s)
        if second != self._second:
            self._prefix = time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._second = second
        return self._prefix + _MILLISECONDS[int((unix_s - second) * 1000)]


def one_line(text: str) -> str:
    """The text with line breaks, escape sequences and other control characters made visible."""
    return text if text.isprintable() else _UNPRINTABLE.sub(_visible, text)


def escape_json(line: bytes) -> bytes:
    """Encoded JSON with the control characters escaped that JSON itself lets pass: DEL, C1, U+2028, bidi marks."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _AFTER_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    named = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def message_of(record: logging.LogRecord) -> str:
    """The record's message; where its arguments do not fit, template and arguments as they are."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - the arguments may be any objects, whose __str__ may raise anything
        return f"{record.msg} {record.args}"


def extra_of(record: logging.LogRecord, secrets: Secrets) -> dict[str, Any]:
    """The fields somebody added with ``extra=``."""
    added = {key: value for key, value in record.__dict__.items() if key not in _STANDARD}
    return {secrets.clean(key): secrets.clean_item(key, value) for key, value in added.items()}


class JsonLines:
    """Records as JSON: ``ts``, ``level``, ``logger``, ``message``, added fields, ``exception``."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._stamp = Stamp()

    def line(self, record: logging.LogRecord) -> bytes:
        """One line, its line break included."""
        clean = self._secrets.clean
        fields: dict[str, Any] = {
            "ts": self._stamp.of(record.created),
            "level": record.levelname.lower(),
            "logger": clean(record.name),
            "message": clean(message_of(record)),
        }
        for key, value in extra_of(record, self._secrets).items():
            fields.setdefault(key, value)
        if record.exc_info and record.exc_info[1] is not None:
            fields["exception"] = clean("".join(traceback.format_exception(record.exc_info[1])))
        return escape_json(_encode(fields)) + b"\n"


class TextLines:
    """Records for people: time, level, logger, message, added fields, and the exception in short.

    Args:
        colours: whether the level is coloured; for terminals only.
    """

    def __init__(self, secrets: Secrets, *, colours: bool = False) -> None:
        self._secrets = secrets
        self._colours = colours
        self._stamp = Stamp()

    def line(self, record: logging.LogRecord) -> bytes:
        """One line, its line break included."""
        parts = [one_line(self._secrets.clean(f"{record.name}: {message_of(record)}"))]
        parts += [one_line(f"{key}={value}") for key, value in extra_of(record, self._secrets).items()]
        if record.exc_info and record.exc_info[1] is not None:
            parts.append(one_line(self._secrets.clean(short_exception(record.exc_info[1]))))
        return self.put(record.levelname.lower(), record.created, " ".join(parts))

    def put(self, level: str, unix_s: float, text: str) -> bytes:
        """A line of any text that is one line already."""
        label = f"{level:<8}"
        if self._colours and level in _COLOURS:
            label = f"\x1b[{_COLOURS[level]}m{label}\x1b[0m"
        return f"{self._stamp.of(unix_s)} {label} {text}\n".encode("utf-8", "backslashreplace")


def short_exception(exc: BaseException) -> str:
    """An exception in one line: type, message, the calls that led to it, and what caused it."""
    calls = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(exc.__traceback__, -8)]
    text = f"[{_last_line(exc)}" + (f" at {' > '.join(calls)}]" if calls else "]")
    cause = exc.__cause__ or (None if exc.__suppress_context__ else exc.__context__)
    return f"{text} caused by [{_last_line(cause)}]" if cause is not None else text


def _last_line(exc: BaseException) -> str:
    return traceback.format_exception_only(exc)[-1].strip()
