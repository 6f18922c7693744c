"""Telemetry beside guardrails: what a policy takes out is in no content that is captured."""

from __future__ import annotations

import json
from typing import Any

import chatproxy_guardrails
import chatproxy_otel
import pytest

from chatproxy import ChatRequest, RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import ScriptedUpstream, SpanCapture, SpanTree, make_app
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted
from chatproxy.types import Completed, Reply

MAIL = "erika.mustermann@posteo.de"
KEY = "AKIAQ7MZK3VXR5TJWN2C"  # of a form that the gateway itself does not take for a credential
OTEL = {
    "traces": "none",
    "metrics": "none",
    "logs": "none",
    "log_level": None,
    "capture_content": "span_and_event",
}
NATIVE = [cell for cell in CELLS if cell.is_native]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def gateway(spans: SpanCapture, cell: Cell, said: Said, *others: object, **policy: Any) -> Any:
    return make_app(
        plugins=[spans, chatproxy_otel, chatproxy_guardrails, *others],
        upstream=ScriptedUpstream(scripted(cell.upstream_dialect, said, is_streamed=cell.is_streamed)),
        upstreams=cell.upstreams,
        plugin_settings={"otel": OTEL, "guardrails": {"policy": [{"name": "private", **policy}]}},
    )


def exported(spans: SpanCapture) -> str:
    """All that left, as one text."""
    return "\n".join(span.to_json() for span in spans.finished)


def messages(tree: SpanTree, way: str) -> list[dict[str, Any]]:
    (found,) = [span.attributes[name] for span in tree.walk() for name in span.attributes if name == way]
    decoded: list[dict[str, Any]] = json.loads(found)
    return decoded


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_a_masked_address_is_the_clients_and_is_not_captured(cell: Cell) -> None:
    spans = SpanCapture()
    policy = {"check": "pii", "on": ["input"], "action": "mask_reversibly"}
    async with gateway(spans, cell, Said(content="Wrote to [EMAIL_1] at once."), **policy) as running:
        heard = await cell.ask(running, f"Write to {MAIL}")
        tree = await spans.tree()
    assert heard.content == f"Wrote to {MAIL} at once."
    assert MAIL not in exported(spans)
    assert messages(tree, "gen_ai.input.messages")[-1]["parts"] == [{"type": "text", "content": "Write to [EMAIL_1]"}]
    (answer,) = messages(tree, "gen_ai.output.messages")
    assert answer["parts"] == [{"type": "text", "content": "Wrote to [EMAIL_1] at once."}]


@pytest.mark.parametrize("action", ["block", "redact"])
@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_a_secret_of_a_model_is_not_captured(cell: Cell, action: str) -> None:
    spans = SpanCapture()
    policy = {"check": "secrets", "on": ["output"], "action": action}
    async with gateway(spans, cell, Said(content=f"Your key is {KEY} now."), **policy) as running:
        heard = await cell.ask(running, "Which key?")
        tree = await spans.tree()
    assert KEY not in heard.content
    assert KEY not in exported(spans)
    (answer,) = messages(tree, "gen_ai.output.messages")
    assert answer["finish_reason"] == ("content_filter" if action == "block" else "stop")
    said = "".join(part["content"] for part in answer["parts"])
    assert said == heard.content


@pytest.mark.parametrize("action", ["block", "redact"])
@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_a_secret_of_a_client_is_not_captured(cell: Cell, action: str) -> None:
    spans = SpanCapture()
    policy = {"check": "secrets", "on": ["input"], "action": action}
    async with gateway(spans, cell, Said(content="Thanks."), **policy) as running:
        heard = await cell.ask(running, f"My key is {KEY} now.")
        tree = await spans.tree()
    assert heard.status == (400 if action == "block" else 200)
    assert KEY not in exported(spans)
    names = {name for span in tree.walk() for name in span.attributes}
    assert ("gen_ai.input.messages" in names) is (action == "redact")


class Telling:
    """A plugin with a tool of the gateway's own, which is told an address and tells another."""

    chatproxy_name = "telling"

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    async def run(self, call: ToolCall) -> ToolResult:
        self.told.append(call.arguments)
        return ToolResult(content=f"Sent, copy to {MAIL}, by Bearer abcdef0123456789")

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: Any) -> Reply:
        await ctx.call_tool(ToolCall(id="call_1", name="tell", arguments={"to": "[EMAIL_1]"}), self.run)
        reply: Completed = await call_next(request)
        return reply


async def test_what_a_tool_is_told_and_tells_is_captured_without_it() -> None:
    spans, telling, cell = SpanCapture(), Telling(), NATIVE[0]
    policy = {"check": "pii", "on": ["input", "tool_results"], "action": "mask_reversibly"}
    async with gateway(spans, cell, Said(content="Done."), telling, **policy) as running:
        await cell.ask(running, f"Tell {MAIL}")
        tree = await spans.tree()
    assert telling.told == [{"to": MAIL}]
    assert MAIL not in exported(spans)
    tool = tree.find("execute_tool tell").attributes
    assert tool["gen_ai.tool.call.arguments"] == '{"to":"[EMAIL_1]"}'
    assert tool["gen_ai.tool.call.result"] == "Sent, copy to [EMAIL_1], by Bearer ***"
