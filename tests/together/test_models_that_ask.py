"""A model that asks another one, behind keys and guards: what it asks is guarded, counted, and no session."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.together.platforms import guarded

from chatproxy import ChatRequest, Completed, Handler, Reply, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, reply

EMAIL = "ann@example.org"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


class Asking:
    """The model ``outer``."""

    name = "asking"

    @hookimpl
    def handlers(self) -> Iterable[Handler]:
        return [self]

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> str | None:
        return "asking" if request.model == "outer" else None

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        messages = [{"role": "user", "content": f"Ask {EMAIL}."}]
        return Completed(await ctx.ask({"model": "scripted", "messages": messages, "user": "ann"}))


async def test_what_a_model_asks_is_guarded_counted_and_no_session(tmp_path: Path) -> None:
    models = ScriptedUpstream(reply("fine"))
    redact = {"action": "redact", "options": {"entities": ["email"]}}
    async with guarded(tmp_path, models, redact, plugins=[Asking()]) as found:
        answer = await found.chat("Hello", model="outer")
        session, said = await found.session(), await found.said()
        await found.platform.usage.flush()
        used = (await found.client.get("/v1/platform/usage?by=model")).json()
    assert answer.json()["choices"][0]["message"]["content"] == "fine"
    assert models.requests[0].json["messages"][0]["content"] == "Ask [REDACTED:email]."
    assert (session["message_count"], said) == (2, ["Hello", "fine"])
    assert answer.json()["system_fingerprint"] == session["id"]
    assert sorted((row["model"], row["requests"]) for row in used["rows"]) == [("outer", 1), ("scripted", 1)]
