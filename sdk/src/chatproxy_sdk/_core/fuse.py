"""A limit on how long a blocking read may take, other than the one it was begun with."""

from __future__ import annotations

import socket
from contextlib import suppress
from threading import Lock, Timer
from typing import Any, Self

import httpx


def own_stream(response: httpx.Response) -> Any:
    """The network stream of an answer, where nothing else is on it (HTTP/2 shares them); None otherwise.

    Source: HTTPX, request and response extensions, ``network_stream``.
    """
    return response.extensions.get("network_stream") if response.http_version.startswith("HTTP/1") else None


def shut(stream: Any) -> None:
    """Shut a network stream's socket down: a thread that reads it finds the end, which closing would not tell it.

    The method of SSLSocket would take the TLS layer away under the read.
    """
    found = stream.get_extra_info("socket")
    if isinstance(found, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(found, socket.SHUT_RDWR)


class Fuse:
    """Shuts a network stream's socket down unless the context is left in time; what reads sees the end of the data."""

    def __init__(self, stream: Any, within_s: float) -> None:
        self._stream = stream
        self._lock = Lock()
        self._is_over = False
        self._timer = Timer(within_s, self._blow)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._is_over = True
        self._timer.cancel()

    def _blow(self) -> None:
        with self._lock:
            if not self._is_over:
                shut(self._stream)
