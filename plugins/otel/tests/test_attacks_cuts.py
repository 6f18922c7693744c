"""Secrets that stand where a text is cut: not even half of one is exported, on spans or as a label."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chatproxy_otel.export.spans import SpanEncoder
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from chatproxy import App, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, reply

from .beside import Clock
from .tracing import traced

SECRET = "".join(f"{number:03d}q" for number in range(60))
"""The upstream's key: no pattern knows it, and every part of it can be told from the others."""
CUTS = [1, 64, 128, 256, 512, 1024, 3072, 4096, 16_384]
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


class Measured:
    """Brings a meter provider, and says what an exchange has to say."""

    chatproxy_name = "measured"

    def __init__(self, text: str = "") -> None:
        self._text = text
        self.reader = InMemoryMetricReader()

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.provide(MeterProvider([self.reader], shutdown_on_exit=False))
        yield

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.trace.set("x", self._text)
        ctx.trace.event(self._text, {self._text: [self._text]})
        verdict = {"policy": self._text, "check": self._text, "findings": {self._text: 1}}
        ctx.exchange.notes["guardrails"] = {"verdicts": [verdict]}


def at(cut: int) -> str:
    """A text in which the secret crosses a place."""
    return "x" * max(0, cut - 30) + SECRET + "y" * 2000


def answer(text: str) -> Any:
    body = json.loads(reply().parts[0])
    body |= {"id": text, "model": text, "system_fingerprint": text, "service_tier": text}
    body["choices"][0]["finish_reason"] = text
    made = reply()
    return type(made)(parts=[json.dumps(body).encode()], headers={**made.headers, "x-request-id": text})


def halves(exported: str) -> set[str]:
    """Parts of the secret."""
    return {SECRET[start : start + 8] for start in range(0, len(SECRET) - 8, 4)} & {
        exported[start : start + 8] for start in range(len(exported))
    }


@pytest.mark.parametrize("cut", CUTS)
async def test_half_a_key_is_not_exported(cut: int) -> None:
    text = at(cut)
    measured = Measured(text)
    upstream = ScriptedUpstream(answer(text))
    async with traced(measured, upstream=upstream, upstream_api_key=SECRET) as running:
        body = CHAT | {
            "model": text,
            "stop": text,
            "previous_response_id": text,
            "reasoning_effort": text,
            "user": text,
        }
        headers = {"user-agent": text} if cut < 5000 else {}
        path = f"/v1/chat/completions?{text}" if cut < 5000 else "/v1/chat/completions"
        asked = await running.gateway.client.post(path, json=body, headers=headers)
        assert asked.status_code == 200
        await running.tree()
        spans = SpanEncoder()(running.spans.finished).decode("latin-1")
        metrics = measured.reader.get_metrics_data()
    assert metrics is not None
    assert "gen_ai.client.operation.duration" in metrics.to_json()
    assert halves(spans) == set()
    assert halves(metrics.to_json()) == set()


@pytest.mark.parametrize("cut", CUTS)
async def test_half_a_key_in_a_tool_is_not_exported(cut: int) -> None:
    call = {"id": at(cut), "type": "function", "function": {"name": at(cut), "arguments": "{}"}}
    body = json.loads(reply().parts[0])
    body["choices"][0] = {
        "index": 0,
        "finish_reason": "tool_calls",
        "message": {"role": "assistant", "tool_calls": [call]},
    }
    calls = reply()
    calls = type(calls)(parts=[json.dumps(body).encode()], headers=calls.headers)
    async with traced(Clock(), upstream=ScriptedUpstream(calls, reply()), upstream_api_key=SECRET) as running:
        asked = await running.gateway.client.post("/v1/chat/completions", json=CHAT)
        assert asked.status_code == 200
        tree = await running.tree()
        spans = SpanEncoder()(running.spans.finished).decode("latin-1")
    assert any(span.name.startswith("execute_tool ") for span in tree.walk())
    assert halves(spans) == set()
