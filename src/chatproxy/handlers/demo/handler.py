"""`DemoHandler`: answers by itself, on chat buffered or as a stream, on the other surfaces in one piece.

Rule: an answer is made whole first; the stream is the same answer in pieces.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

from chatproxy.handlers.base import chunk, completion, make_id, usage_object
from chatproxy.handlers.demo.ask import Ask, read_ask
from chatproxy.handlers.demo.choices import Answer, as_choice, as_deltas, make_answer
from chatproxy.handlers.demo.counting import count
from chatproxy.handlers.demo.embeddings import embed
from chatproxy.handlers.demo.moderations import moderate
from chatproxy.handlers.demo.parameters import MODEL
from chatproxy.handlers.demo.rerank import rerank
from chatproxy.types.context import RequestContext
from chatproxy.types.model import Model
from chatproxy.types.reply import ChatResponse, Completed, Reply, Stream
from chatproxy.types.request import ChatRequest

CAPABILITIES = (
    "chat", "completions", "embeddings", "json_schema", "messages", "moderations", "reasoning", "rerank", "responses",
    "streaming", "tools", "vision",
)  # fmt: skip
_FINGERPRINT = "fp_chatproxy_demo"
_DESCRIPTION = "chatproxy's own model: deterministic and offline, for a first run, for tests and for examples."

_WORK: Mapping[str, Callable[[RequestContext, ChatRequest], Awaitable[dict[str, Any]]]] = {
    "embeddings": embed,
    "moderations": moderate,
    "rerank": rerank,
    "count_tokens": count,
}


class DemoHandler:
    """The embedded model.

    Args:
        delay_s: seconds between two events of a stream, so that a person sees it flow.

    Attributes:
        surfaces: what it answers itself; other conversations reach it as chat.
    """

    name = "demo"
    surfaces = frozenset({"chat", *_WORK})

    def __init__(self, *, delay_s: float = 0.0) -> None:
        self._delay_s = delay_s

    async def models(self, ctx: RequestContext) -> list[Model]:
        """The one model there is; any other name is answered as well."""
        return [Model(id=MODEL, owned_by="chatproxy", description=_DESCRIPTION, capabilities=list(CAPABILITIES))]

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer a request of any of its surfaces.

        The same request gives the same answer; ids come from ``ctx.request_id``.

        Raises:
            InvalidRequest: the request is not one the surface's API would take, or wants what this model cannot (400).
        """
        work = _WORK.get(request.layout.surface)
        if work is None:
            return self._chat(ctx, request)
        return Completed(ChatResponse(await work(ctx, request), layout=request.layout))

    def _chat(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Answer a chat completion; its id also holds the messages' number, so that turns of a tool loop differ."""
        ask = read_ask(request)
        seeds = (ctx.request_id, str(len(request["messages"])))
        answers = [make_answer(ask, index, seeds) for index in range(ask.choices)]
        head: dict[str, Any] = {
            "model": ask.model,
            "completion_id": make_id("chatcmpl-", *seeds),
            "created": int(time.time()),
            "service_tier": "default",
            "system_fingerprint": _FINGERPRINT,
        }
        usage = _usage(ask, answers)
        if not ask.stream:
            return Completed(completion([as_choice(made) for made in answers], usage=usage, **head))
        return Stream.of(self._events(answers, ask, head, usage))

    async def _events(
        self, answers: list[Answer], ask: Ask, head: dict[str, Any], usage: dict[str, Any]
    ) -> AsyncIterator[dict[str, Any]]:
        """Chunks of all answers in turn, then the usage chunk."""
        no_usage = {"usage": None} if ask.wants_null_usage else {}
        for i, part in enumerate(_interleaved([as_deltas(made) for made in answers])):
            if i and self._delay_s:
                await asyncio.sleep(self._delay_s)
            yield {**chunk([part], **head), **no_usage}
        yield chunk(usage=usage, **head)


def _usage(ask: Ask, answers: list[Answer]) -> dict[str, Any]:
    usage = usage_object(ask.conversation.tokens, sum(made.completion_tokens for made in answers))
    usage["completion_tokens_details"]["reasoning_tokens"] = sum(len(made.reasoning) for made in answers)
    return usage


def _interleaved(runs: list[Iterator[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """One of each in turn, until all have ended."""
    while runs:
        left = []
        for run in runs:
            item = next(run, None)
            if item is not None:
                yield item
                left.append(run)
        runs = left
