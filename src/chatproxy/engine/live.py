"""Live: one running exchange as the rest of the process can reach it, to stop it for a stated reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from chatproxy.errors import ApiError, Overloaded

Reason = Literal["client_left", "server_shutdown"]


class Live:
    """An exchange that has not ended.

    Attributes:
        reason: why it was interrupted; None while it goes on by itself.
        end_trace: what the tracer wants called at the end.
    """

    __slots__ = ("_cancelled", "end_trace", "reason", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.reason: Reason | None = None
        self._cancelled = 0
        self.end_trace: Callable[[], None] | None = None

    def interrupt(self, reason: Reason) -> None:
        """Stop the exchange where it waits; the first reason counts."""
        if self.reason is None or (self.reason == "server_shutdown" and reason == "client_left"):
            self.reason = reason
            self._cancelled += 1
            self.task.cancel()

    def client_left(self) -> None:
        """Stop the exchange because nobody reads its reply any more."""
        self.interrupt("client_left")

    def absorb(self) -> bool:
        """Take back the cancellations that `interrupt` made; whether there was any.

        Call it where CancelledError was caught; where it returns False, somebody else cancelled: raise it again.
        """
        absorbed = self._cancelled > 0
        while self._cancelled:
            self._cancelled -= 1
            self.task.uncancel()
        return absorbed


def shutdown_error() -> ApiError:
    """What a client is told when the drain time is over (503, code ``server_shutdown``)."""
    return Overloaded("The server is shutting down; send the request again.", code="server_shutdown")
