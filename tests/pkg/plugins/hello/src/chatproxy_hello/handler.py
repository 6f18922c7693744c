"""The handler of the model ``hello``: it greets, buffered and streamed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from chatproxy import ChatRequest, Completed, Reply, RequestContext, Stream

NAME = "hello"
USAGE = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}


class HelloHandler:
    """Greets, whatever was asked.

    Args:
        greeting: what it says.
    """

    name = NAME

    def __init__(self, greeting: str) -> None:
        self._greeting = greeting

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """One greeting."""
        head: dict[str, Any] = {"id": f"chatcmpl-{ctx.request_id}", "created": 0, "model": request.model}
        if request.stream:
            return Stream.of(self._events({**head, "object": "chat.completion.chunk"}))
        message = {"role": "assistant", "content": self._greeting}
        choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
        return Completed({**head, "object": "chat.completion", "choices": choices, "usage": USAGE})

    async def _events(self, head: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        first, _, rest = self._greeting.partition(" ")
        for delta in ({"role": "assistant", "content": first}, {"content": f" {rest}"}):
            yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE}
