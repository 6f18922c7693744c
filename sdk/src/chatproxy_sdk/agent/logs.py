"""What an agent says in the log ``chatproxy_sdk``.

Rule: every text goes through the redactor. Nothing of ``logging`` is configured but that logger's level, while nobody
else has set it, and one handler to stderr, where nobody has any.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy_sdk.agent.config import RuntimeConfig
from chatproxy_sdk.agent.redaction import Redactor

LOGGER = logging.getLogger("chatproxy_sdk")


class _StderrHandler(logging.Handler):
    """Writes to what ``sys.stderr`` is at the time, until there is another handler."""

    def emit(self, record: logging.LogRecord) -> None:
        if len(LOGGER.handlers) > 1 or logging.getLogger().handlers:
            return
        try:
            sys.stderr.write(f"{self.format(record)}\n")
        except (OSError, ValueError):
            self.handleError(record)


class Log:
    """One agent's log lines, from its own level upwards."""

    def __init__(self, runtime: RuntimeConfig, redactor: Redactor) -> None:
        self._redactor = redactor
        self._level = logging.getLevelNamesMapping()[runtime.log_level.upper()]
        self._is_on = runtime.enable_logging
        self._requests = runtime.log_http_requests
        self._responses = runtime.log_http_responses
        if self._is_on:
            _prepare(self._level)

    def info(self, message: str, *values: object) -> None:
        """What went well."""
        self._say(logging.INFO, message, *values)

    def warning(self, message: str, *values: object) -> None:
        """What may go wrong, or went wrong and is tried again."""
        self._say(logging.WARNING, message, *values)

    def error(self, message: str, *values: object) -> None:
        """What went wrong."""
        self._say(logging.ERROR, message, *values)

    def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> None:
        """A request as it is sent."""
        if self._requests and self._takes(logging.DEBUG):
            shown = self._redactor.value(dict(headers))
            self._say(logging.DEBUG, "> %s %s headers=%s body=%s", method, url, shown, self._shown(body))

    def response(self, status: int, headers: Mapping[str, str], body: bytes | None, elapsed_s: float) -> None:
        """The head of an answer, and its body, if it is not a stream."""
        if self._responses and self._takes(logging.DEBUG):
            shown = self._redactor.value(dict(headers))
            content = "(stream)" if body is None else self._shown(body)
            self._say(logging.DEBUG, "< %d in %.3f s headers=%s body=%s", status, elapsed_s, shown, content)

    def streamed(self, completion: Mapping[str, Any]) -> None:
        """What a stream's chunks added up to."""
        if self._responses and self._takes(logging.DEBUG):
            self._say(logging.DEBUG, "< stream added up to %s", _json(self._redactor.value(completion)))

    def _shown(self, body: bytes | None) -> str:
        if not body:
            return "(none)"
        try:
            return _json(self._redactor.value(msgspec.json.decode(body)))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            return self._redactor.text(body.decode(errors="replace"))

    def _takes(self, level: int) -> bool:
        return self._is_on and level >= self._level and LOGGER.isEnabledFor(level)

    def _say(self, level: int, message: str, *values: object) -> None:
        if self._takes(level):
            clean = [self._redactor.text(value) if isinstance(value, str) else value for value in values]
            LOGGER.log(level, message, *clean, stacklevel=3)


def _prepare(level: int) -> None:
    """Make sure that lines of this level come out somewhere, and leave alone what others have set."""
    if not LOGGER.hasHandlers():
        handler = _StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        LOGGER.addHandler(handler)
    ours = getattr(LOGGER, "_set_by_chatproxy_sdk", None)
    if LOGGER.level in {logging.NOTSET, ours}:
        lowest = level if LOGGER.level == logging.NOTSET else min(level, LOGGER.level)
        LOGGER.setLevel(lowest)
        LOGGER.__dict__["_set_by_chatproxy_sdk"] = lowest


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
