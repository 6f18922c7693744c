"""``count_tokens`` of the Messages API: how many tokens of the demo model a request has.

Source: Anthropic API reference, "Count tokens in a Message".
"""

from __future__ import annotations

from typing import Any

from chatproxy.handlers.demo.faults import missing, want_list, want_object
from chatproxy.handlers.demo.parameters import model_of
from chatproxy.handlers.demo.tokens import count_tokens
from chatproxy.types.context import RequestContext
from chatproxy.types.request import ChatRequest


async def count(ctx: RequestContext, request: ChatRequest) -> dict[str, Any]:
    """The reply to a request to count: the tokens of every text, tools and system prompt included.

    Raises:
        InvalidRequest: there is no model, or no message (400).
    """
    model_of(request)
    if request.get("messages") is None:
        raise missing("messages")
    for i, message in enumerate(want_list(request["messages"], "messages")):
        want_object(message, f"messages[{i}]")
    return {"input_tokens": max(1, sum(count_tokens(text.value) for text in request.texts()))}
