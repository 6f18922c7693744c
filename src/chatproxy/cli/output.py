"""What the command line writes: results to standard output, faults and warnings to standard error, line by line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

PREFIX = "chatproxy: "


def say(*lines: str) -> None:
    """Write lines to standard output at once, also where it is a pipe."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def complain(messages: Iterable[str], *, label: str = "") -> None:
    """Write each line of each message to standard error, as ``chatproxy: <label><line>``."""
    lines = [line for message in messages for line in message.splitlines() if line.strip()]
    sys.stderr.write("".join(f"{PREFIX}{label}{line}\n" for line in lines))
    sys.stderr.flush()


def warn(messages: Iterable[str]) -> None:
    """Write warnings to standard error."""
    complain(messages, label="warning: ")


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows in aligned columns under a heading."""
    cells = [list(heading), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heading))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


@contextmanager
def logged_as_warnings() -> Iterator[None]:
    """Show what chatproxy logs meanwhile as warnings of the command line, without what names a plugin that failed."""
    handler = _WarningLines(logging.WARNING)
    logger = logging.getLogger("chatproxy")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagated


class _WarningLines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, unless the command shows the failed plugin itself."""
        if not hasattr(record, "plugin"):
            warn([record.getMessage()])
