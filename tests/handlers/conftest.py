"""What the handlers' tests share: a context of one exchange, and a way to ask the demo model."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from chatproxy.handlers.demo import DemoHandler
from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.types import CHAT, App, ChatRequest, Completed, Exchange, RequestContext, Stream

Ask = Callable[..., Awaitable[dict[str, Any]]]
AskStream = Callable[..., Awaitable[list[dict[str, Any]]]]


def make_context(request_id: str = "req-1") -> RequestContext:
    app = App(version="0", session_store=MemorySessionStore(), settings={})
    return RequestContext(app=app, exchange=Exchange(request_id=request_id), layout=CHAT)


def chat_request(text: str = "Tell me about cats", **fields: Any) -> ChatRequest:
    """A request as it comes off the wire; ``messages`` in the fields replaces the text, None drops a field."""
    body = {"model": "demo", "messages": [{"role": "user", "content": text}], **fields}
    return ChatRequest.of(json.dumps({key: body[key] for key in body if body[key] is not ...}).encode(), CHAT)


@pytest.fixture
def context() -> RequestContext:
    return make_context()


@pytest.fixture
def ask() -> Ask:
    """Ask the demo model; the buffered reply's body."""

    async def run(text: str = "Tell me about cats", *, request_id: str = "req-1", **fields: Any) -> dict[str, Any]:
        reply = await DemoHandler().execute(make_context(request_id), chat_request(text, **fields))
        assert isinstance(reply, Completed)
        assert reply.status == 200
        return reply.body.to_dict()

    return run


@pytest.fixture
def ask_stream() -> AskStream:
    """Ask the demo model for a stream; its chunks."""

    async def run(text: str = "Tell me about cats", **fields: Any) -> list[dict[str, Any]]:
        reply = await DemoHandler().execute(make_context(), chat_request(text, stream=True, **fields))
        assert isinstance(reply, Stream)
        return [event.data async for event in reply.events()]

    return run
