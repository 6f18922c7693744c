"""Handler: what answers a request in the end."""

from __future__ import annotations

from typing import Protocol

from chatproxy.types.context import RequestContext
from chatproxy.types.reply import Reply
from chatproxy.types.request import ChatRequest


class Handler(Protocol):
    """Answers requests; chosen by `select_handler`.

    A handler may also have:

    - ``surfaces``, a frozenset of the APIs it speaks; without it ``{"chat"}``. It gets requests of these surfaces only
      (``request.layout`` says which) and answers in the same: a client of responses, messages or completions reaches a
      handler that speaks chat through a translation.
    - ``async models(ctx) -> Iterable[Model]``, used by core's own model listing.
    - ``async aclose()``, called when the application ends.
    """

    @property
    def name(self) -> str:
        """Unique in one application."""

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer one request.

        Raises:
            ApiError: the request failed; the class decides what the client sees. Its ``param`` names a field of the
                request that the handler got.
        """
