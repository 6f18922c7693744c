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


class Fuse:
    """Shuts a network stream's socket down unless the context is left in time; what reads sees the end of the data."""

    def __init__(self, stream: Any, within_s: float) -> None:
        self._socket = stream.get_extra_info("socket")
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
            if not self._is_over and isinstance(self._socket, socket.socket):
                # The method of SSLSocket would take the TLS layer away under the read.
                with suppress(OSError):
                    socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
