"""Counting a request's tokens where its handler has no way to."""

from __future__ import annotations

from chatproxy.types.context import RequestContext
from chatproxy.types.exchange import Loss
from chatproxy.types.reply import ChatResponse, Completed
from chatproxy.types.request import ChatRequest
from chatproxy.types.usage import estimate_tokens

SURFACE = "count_tokens"
_LOSS = Loss("input_tokens", "changed", "estimated from characters, since the handler cannot count")


def estimated_count(ctx: RequestContext, request: ChatRequest) -> Completed:
    """The reply of Anthropic's token counting, by the rule of thumb of four characters a token; put on record.

    Source: Anthropic API reference, "Count tokens in a Message".
    """
    tokens = estimate_tokens(sum(len(text.value) for text in request.texts()))
    ctx.exchange.translation_losses = [_LOSS]
    return Completed(ChatResponse({"input_tokens": tokens}, layout=request.layout))
