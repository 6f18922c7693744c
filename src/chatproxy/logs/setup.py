"""Set-up of logging for a process that is ours: one handler, one form, for us and for the libraries below us."""

from __future__ import annotations

import logging
import os
import sys
from typing import Literal

from chatproxy.errors import ConfigError
from chatproxy.logs.lines import JsonLines, TextLines
from chatproxy.logs.redaction import ROOT, secrets_of_process
from chatproxy.logs.sink import LineBuffer, Sink, TextStream

LogFormat = Literal["auto", "json", "text"]
FLUSH_LIMIT_S = 1.0
_OURS = (ROOT,)
_LIBRARIES = ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "litestar")


def setup_logging(log_format: LogFormat, log_level: str, stream: TextStream | None = None) -> None:
    """Send the logs of chatproxy, uvicorn, asyncio and litestar to one stream, in one form, without secrets.

    What the root logger gets (plugins, other libraries) goes there too, unless it has handlers of somebody else. Called
    again, it replaces what it did before.

    Args:
        log_format: ``json``; ``text``; or ``auto``: text on a terminal, JSON elsewhere.
        log_level: ``debug``, ``info``, ``warning``, ``error`` or ``critical``.
        stream: None for ``sys.stderr``.

    Raises:
        ConfigError: no such format or level.
    """
    level = level_number(log_level)
    stream = sys.stderr if stream is None else stream
    handler = LineHandler(lines_for(log_format, stream), Sink(stream))
    root = logging.getLogger()
    for name in (*_OURS, *_LIBRARIES):
        logger = logging.getLogger(name)
        _replace(logger, handler, keep_others=False)
        logger.propagate = False
        logger.setLevel(level if name in _OURS else max(level, logging.INFO))
    _replace(root, handler, keep_others=True)


def level_number(log_level: str) -> int:
    """The logging module's number of a level.

    Raises:
        ConfigError: there is no such level.
    """
    levels = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
    try:
        return levels[log_level.lower()]
    except KeyError:
        raise ConfigError(f"log_level: found {log_level!r}, wanted one of {', '.join(levels)}") from None


def lines_for(log_format: LogFormat, stream: TextStream) -> JsonLines | TextLines:
    """The form of the lines of a stream.

    Raises:
        ConfigError: there is no such format.
    """
    on_terminal = _is_terminal(stream)
    if log_format not in {"auto", "json", "text"}:
        raise ConfigError(f"log_format: found {log_format!r}, wanted one of auto, json, text")
    if log_format == "json" or (log_format == "auto" and not on_terminal):
        return JsonLines(secrets_of_process())
    return TextLines(secrets_of_process(), colours=on_terminal and not os.environ.get("NO_COLOR"))


def _is_terminal(stream: TextStream) -> bool:
    try:
        return os.isatty(stream.fileno())
    except (AttributeError, OSError, ValueError):  # a stream in memory, or closed
        return False


class LineHandler(logging.Handler):
    """Writes records as lines; a stream that takes no more costs lines, never time."""

    def __init__(self, lines: JsonLines | TextLines, sink: Sink) -> None:
        super().__init__()
        self._lines = lines
        self._buffer = LineBuffer(sink, lambda lost: lines.line(_note(lost_lines(lost))))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            line = self._lines.line(record)
        except Exception as exc:  # noqa: BLE001 - whatever objects were logged, logging must not raise
            line = self._lines.line(_note(f"a record of {record.name} cannot be written: {type(exc).__name__}"))
        self._buffer.put(line)
        self._buffer.flush()

    def flush(self) -> None:
        """Write what waits; at most a second, as logging calls it at the end of the process."""
        self.acquire()
        try:
            self._buffer.flush_within(FLUSH_LIMIT_S)
        finally:
            self.release()

    def close(self) -> None:
        """Give the stream's descriptor back."""
        self.flush()
        self._buffer.waiting.clear()
        self._buffer.sink.close()
        super().close()


def _replace(logger: logging.Logger, handler: LineHandler, *, keep_others: bool) -> None:
    for found in logger.handlers[:]:
        if isinstance(found, LineHandler) or not keep_others:
            logger.removeHandler(found)
            if isinstance(found, LineHandler):
                found.close()
    if not logger.handlers:
        logger.addHandler(handler)


def lost_lines(count: int) -> str:
    """The message about lines that were lost."""
    return f"{count} log lines were lost: the stream did not take them"


def _note(message: str) -> logging.LogRecord:
    return logging.LogRecord("chatproxy.logs", logging.WARNING, __file__, 0, message, None, None)
