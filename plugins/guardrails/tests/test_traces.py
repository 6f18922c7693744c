"""What telemetry is told: which texts to hide from what it exports, and when a verdict fell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import chatproxy_guardrails
import pytest

from chatproxy import App, Principal, RequestContext, hookimpl
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, make_app, reply, stream_reply


class Tracing:
    """Records every exchange, and keeps what is to be hidden of it."""

    chatproxy_name = "tracing"

    def __init__(self, *, is_recording: bool = True) -> None:
        self.is_recording = is_recording
        self.hidden: list[dict[str, str]] = []

    def begin(self, ctx: RequestContext) -> None:
        ctx.trace.adopt("a" * 32, "b" * 16, 1, is_recording=self.is_recording)

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.set_tracer(self)
        yield

    @hookimpl
    async def authenticate(self) -> Principal:
        return Principal(id="tim")

    @hookimpl
    async def after_response(self, ctx: RequestContext) -> None:
        self.hidden.append(dict(ctx.trace.hidden))


def gateway_with(tracing: Tracing, recorder: Recorder, *script: Any, **settings: Any) -> Gateway:
    policy = {
        "name": "mask",
        "check": "probe_word",
        "action": "mask_reversibly",
        "options": {"words": ["ANNA", "BERT"]},
    }
    tables = {"guardrails": {"policy": [policy], **settings}}
    plugins = [chatproxy_guardrails, tracing, recorder]
    return make_app(plugins=plugins, plugin_settings=tables, upstream=ScriptedUpstream(*script))


@pytest.mark.parametrize("is_streamed", [False, True], ids=["buffered", "streamed"])
async def test_masked_values_are_hidden_from_what_is_exported(is_streamed: bool) -> None:
    tracing, recorder = Tracing(), Recorder()
    script = stream_reply(["[WORD_1]"]) if is_streamed else reply("[WORD_1]")
    async with gateway_with(tracing, recorder, script) as gateway:
        await gateway.chat("ANNA and BERT", stream=is_streamed)
        await recorder.wait()
    assert tracing.hidden == [{"ANNA": "[WORD_1]", "BERT": "[WORD_2]"}]


async def test_values_of_a_session_are_hidden_in_its_later_exchanges() -> None:
    tracing, recorder = Tracing(), Recorder()
    async with gateway_with(tracing, recorder, reply("fine"), reply("[WORD_1]"), mask_scope="session") as gateway:
        for text in ("ANNA", "Who was it?"):
            body = {"model": "m", "messages": [{"role": "user", "content": text}]}
            await gateway.client.post("/v1/chat/completions", json=body, headers={"x-session-id": "one"})
        await recorder.wait(2)
    assert tracing.hidden == [{"ANNA": "[WORD_1]"}] * 2


async def test_nothing_is_kept_of_an_exchange_that_is_not_recorded() -> None:
    tracing, recorder = Tracing(is_recording=False), Recorder()
    async with gateway_with(tracing, recorder, reply("fine")) as gateway:
        await gateway.chat("ANNA")
        await recorder.wait()
    assert tracing.hidden == [{}]


async def test_a_verdict_says_when_it_fell() -> None:
    recorder = Recorder()
    async with gateway_with(Tracing(), recorder, reply("fine")) as gateway:
        await gateway.chat("ANNA")
        exchange = await recorder.wait()
    (verdict,) = exchange.notes["guardrails"]["verdicts"]
    assert 0 < verdict["at_s"] <= exchange.duration_s
    assert verdict["at_s"] == round(verdict["at_s"], 6)
