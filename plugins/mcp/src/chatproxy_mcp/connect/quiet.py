"""Quiet: what the SDK logs of servers' faults, made fit for an operator's log.

Rule: one line for each kind of fault in a while, without what the server sent. The SDK (mcp 2.3) logs a traceback and
an excerpt of every message that it cannot read; a server can send hundreds a second, and its answers are not for logs.
"""

from __future__ import annotations

import logging
import time
from math import inf
from pathlib import Path

from chatproxy_mcp.connect.errors import clean

EVERY_S = 60.0
MAX_WORDS = 200
_LOGGERS = ("mcp.client.streamable_http", "mcp.shared.jsonrpc_dispatcher", "client")  # the last is `mcp.client.session`
_SDK = "mcp"
_CLIENT = "httpx2"  # says the address of every request, and some services put a key into the path


class _Quiet(logging.Filter):
    """Lets a warning of one place in the code pass once in `EVERY_S`."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, int], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING or _SDK not in Path(record.pathname).parts:
            return True  # others may call a logger of theirs "client"
        place, now = (record.pathname, record.lineno), time.monotonic()
        if now - self._said.get(place, -inf) < EVERY_S:
            return False
        self._said[place] = now
        record.msg, record.args = clean(record.getMessage(), MAX_WORDS), ()
        record.exc_info = record.exc_text = None
        return True


_QUIET = _Quiet()


def quiet_sdk() -> None:
    """Keep the SDK's loggers quiet from now on; more than once does nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_QUIET)
    for name in (_CLIENT, _LOGGERS[0]):
        if logging.getLogger(name).level == logging.NOTSET:
            logging.getLogger(name).setLevel(logging.WARNING)
