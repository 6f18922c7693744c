"""Plugins and handlers that exit: an error for their client, and a process that lives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import pytest

from chatproxy import ChatRequest, Handler, Reply, RequestContext, as_reply, hookimpl
from chatproxy.testing import events_of, make_app

KINDS: dict[str, type[BaseException]] = {"exit": SystemExit, "interrupt": KeyboardInterrupt}


class Exiting:
    """A plugin with a handler; where it exits, and how, the model's name says."""

    name = "exiting"

    @hookimpl
    def handlers(self) -> Iterable[Handler]:
        return [self]

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> str | None:
        return "exiting" if "-" in request.model else None

    @hookimpl
    async def before_request(self, request: ChatRequest) -> None:
        kind, _, place = request.model.partition("-")
        if place == "late hook":
            await asyncio.sleep(0)
        if "hook" in place:
            raise KINDS[kind]

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        kind, _, place = request.model.partition("-")
        if place == "handler":
            raise KINDS[kind]

        async def texts() -> AsyncIterator[str]:
            yield "so far"
            raise KINDS[kind]

        return await as_reply(texts(), model=request.model, stream=request.stream)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["hook", "late hook", "handler", "stream"])
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_code_that_exits_has_failed(kind: str, place: str, stream: bool) -> None:
    async with make_app(plugins=[Exiting()], demo=True) as gateway:
        answer = await gateway.chat("Hi", model=f"{kind}-{place}", stream=stream)
        assert (await gateway.chat("Hi", model="demo")).status_code == 200
    error: Any = events_of(answer.content)[-1] if stream and place == "stream" else answer.json()
    assert error["error"]["code"] == ("plugin_failed" if "hook" in place else "handler_failed")
