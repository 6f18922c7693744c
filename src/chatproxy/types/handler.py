"""Handler: what answers a request in the end."""

from __future__ import annotations

from typing import Protocol

from chatproxy.types.context import RequestContext
from chatproxy.types.reply import Reply
from chatproxy.types.request import ChatRequest


class Handler(Protocol):
    """Answers requests; chosen by `select_handler`.

    A handler may also have ``async aclose()``, called when the application ends, and
    ``async models(ctx) -> Iterable[Model]``, used by core's own model listing.
    """

    @property
    def name(self) -> str:
        """Unique in one application."""

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer one request.

        Raises:
            ApiError: the request failed; the class decides what the client sees.
        """
