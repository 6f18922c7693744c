"""Scope: on whose behalf a worker runs, and what it opened."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chatproxy import RequestContext
    from chatproxy.types import TraceSpan
    from chatproxy_graphs.chat import ChatCall

logger = logging.getLogger("chatproxy_graphs")


class Scope:
    """One run of one worker.

    Attributes:
        gateway: the exchange that the graph answers; None outside of a gateway.
        span: of the node; None where nobody traces.
    """

    __slots__ = ("_open", "gateway", "span")

    def __init__(self, gateway: RequestContext | None, span: TraceSpan | None = None) -> None:
        self.gateway = gateway
        self.span = span
        self._open: list[ChatCall] = []

    def opened(self, call: ChatCall) -> ChatCall:
        """Keep a call, to close it when the worker is done."""
        self._open.append(call)
        return call

    @property
    def has_open(self) -> bool:
        """Whether there is anything to close."""
        return bool(self._open)

    async def aclose(self) -> None:
        """Close every stream that the worker left open."""
        while self._open:
            try:
                await self._open.pop().aclose()
            except RuntimeError:  # a task of the worker's own is reading it
                logger.warning("a worker is done, but a task that it started still reads an answer")
