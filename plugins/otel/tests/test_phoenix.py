"""Arize Phoenix, a receiver that others wrote: what a gateway exports is what it shows, over HTTP and over gRPC."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import chatproxy_otel
import pytest

from chatproxy import RequestContext, hookimpl
from chatproxy.testing import (
    Fault,
    Scripted,
    ScriptedUpstream,
    make_app,
    raw_reply,
    reply,
    stream_reply,
    tool_calls_reply,
)

from .beside import Clock
from .phoenix import Phoenix, Span, running

INSTALL_START_AND_TEST_S = 480
pytestmark = pytest.mark.timeout(INSTALL_START_AND_TEST_S)

CLIENT = "b7ad6b7169203331"
QUESTION, RESULT, ANSWER = "What is the time?", "12:00", "Noon."
VERDICT = {
    "policy": "private", "check": "pii", "on": "input", "action": "redact", "mode": "enforce", "outcome": "redacted",
    "findings": {"email": 2},
}  # fmt: skip


class Verdicts:
    """Leaves a verdict on record as guardrails do."""

    chatproxy_name = "verdicts"

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.note("guardrails", verdicts=[VERDICT])


class Exported(NamedTuple):
    """What Phoenix has of one exchange, and what others heard of its spans.

    Attributes:
        trace_id: the client's.
        upstream: the ``traceparent`` of each attempt, in order; ``tools`` of each call.
    """

    trace_id: str
    spans: list[Span]
    upstream: list[str]
    tools: list[str]

    def named(self, name: str) -> list[Span]:
        return [span for span in self.spans if span["name"] == name]

    def traceparents(self, name: str) -> list[str]:
        return [f"00-{self.trace_id}-{span['context']['span_id']}-01" for span in self.named(name)]


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Phoenix]:
    with running(tmp_path_factory.mktemp("phoenix")) as server:
        yield server


@pytest.fixture(scope="module", params=["http/protobuf", "grpc"], ids=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
async def tool_round(phoenix: Phoenix, protocol: str) -> Exported:
    script = (tool_calls_reply(("now", "{}")), reply(ANSWER, usage=(30, 4)))
    return await exported(phoenix, protocol, "tool", *script, count=6)


async def exported(
    phoenix: Phoenix, protocol: str, project: str, *script: Scripted, count: int, stream: bool = False
) -> Exported:
    """Have one exchange, end the gateway, and read so many spans back."""
    project = f"{project}-{protocol.partition('/')[0]}"
    trace_id = hashlib.md5(project.encode(), usedforsecurity=False).hexdigest()  # Phoenix has a trace in one project
    otel = {
        "endpoint": phoenix.grpc if protocol == "grpc" else phoenix.http,
        "protocol": protocol,
        "metrics": "none",
        "logs": "none",
        "capture_content": "span_only",
        "resource": {"openinference.project.name": project},
    }
    clock, upstream = Clock(), ScriptedUpstream(*script)
    plugins = [Verdicts(), clock, chatproxy_otel]
    body: dict[str, Any] = {"model": "scripted", "messages": [{"role": "user", "content": QUESTION}], "stream": stream}
    async with make_app(plugins=plugins, upstream=upstream, plugin_settings={"otel": otel}) as gateway:
        headers = {"traceparent": f"00-{trace_id}-{CLIENT}-01"}
        await gateway.client.post("/v1/chat/completions", json={**body, "temperature": 0.5}, headers=headers)
    return Exported(
        trace_id,
        phoenix.spans(project, lambda found: len(found) >= count),
        [request.headers["traceparent"] for request in upstream.requests],
        [call.traceparent for call in clock.given],
    )


def outline(spans: list[Span], parent: str = CLIENT) -> list[Any]:
    """Names and kinds, each with those below it."""
    return [
        [span["name"], span["span_kind"], *outline(spans, span["context"]["span_id"])]
        for span in spans
        if span["parent_id"] == parent
    ]


async def test_round_with_a_tool_is_the_tree_that_was_sent(tool_round: Exported) -> None:
    assert outline(tool_round.spans) == [
        [
            "POST /v1/chat/completions",
            "UNKNOWN",
            ["chat scripted", "LLM", ["POST", "UNKNOWN"]],
            ["execute_tool now", "TOOL"],
            ["chat scripted", "LLM", ["POST", "UNKNOWN"]],
        ]
    ]
    assert len(tool_round.spans) == 6


async def test_ids_are_those_that_upstreams_and_tools_were_told(tool_round: Exported) -> None:
    assert {span["context"]["trace_id"] for span in tool_round.spans} == {tool_round.trace_id}
    assert tool_round.traceparents("POST") == tool_round.upstream
    assert tool_round.traceparents("execute_tool now") == tool_round.tools


async def test_attributes_are_those_that_were_sent(tool_round: Exported) -> None:
    first, second = (span["attributes"] for span in tool_round.named("chat scripted"))
    seen = {name: value for name, value in second.items() if name.startswith(("gen_ai.re", "gen_ai.us", "server."))}
    assert seen.pop("gen_ai.response.id").startswith("chatcmpl-")
    assert seen == {
        "gen_ai.request.model": "scripted",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.model": "scripted",
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 4,
        "server.address": "api.openai.com",
        "server.port": 443,
    }
    (tool,) = tool_round.named("execute_tool now")
    assert tool["attributes"]["gen_ai.tool.call.id"] == "call_0"
    assert json.loads(first["gen_ai.input.messages"])[0]["parts"] == [{"type": "text", "content": QUESTION}]


async def test_receiver_understands_the_conventions(tool_round: Exported) -> None:
    first, second = (span["attributes"] for span in tool_round.named("chat scripted"))
    (tool,) = (span["attributes"] for span in tool_round.named("execute_tool now"))
    assert first["llm.input_messages.0.message.content"] == QUESTION
    assert second["llm.output_messages.0.message.content"] == ANSWER
    assert second["llm.token_count.total"] == 34
    assert (tool["tool.name"], tool["output.value"]) == ("now", RESULT)


async def test_verdict_is_an_event_of_the_exchange(tool_round: Exported) -> None:
    (root,) = tool_round.named("POST /v1/chat/completions")
    (verdict,) = [event for event in root["events"] if event["name"] == "chatproxy.guardrail"]
    assert verdict["attributes"] == {
        "chatproxy.guardrail.policy": "private",
        "chatproxy.guardrail.check": "pii",
        "chatproxy.guardrail.target": "input",
        "chatproxy.guardrail.action": "redact",
        "chatproxy.guardrail.mode": "enforce",
        "chatproxy.guardrail.outcome": "redacted",
        "chatproxy.guardrail.findings": ["email=2"],
    }


async def test_stream_is_one_call_with_its_first_chunk(phoenix: Phoenix, protocol: str) -> None:
    script = stream_reply(("No", "on."), usage=(30, 4))
    found = await exported(phoenix, protocol, "stream", script, count=3, stream=True)
    assert outline(found.spans) == [
        ["POST /v1/chat/completions", "UNKNOWN", ["chat scripted", "LLM", ["POST", "UNKNOWN"]]]
    ]
    (call,) = (span["attributes"] for span in found.named("chat scripted"))
    assert call["gen_ai.request.stream"] is True
    assert call["gen_ai.response.time_to_first_chunk"] > 0
    assert call["llm.output_messages.0.message.content"] == ANSWER


async def test_failure_has_its_status_and_exception(phoenix: Phoenix, protocol: str) -> None:
    script = raw_reply(b"", fault=Fault.REFUSE)
    found = await exported(phoenix, protocol, "failure", script, count=3)
    (root,), (call,) = found.named("POST /v1/chat/completions"), found.named("chat scripted")
    assert [root["status_code"], call["status_code"]] == ["ERROR", "ERROR"]
    assert call["attributes"]["error.type"] == "upstream_unreachable"
    exceptions = [
        event["attributes"] for span in found.spans for event in span["events"] if event["name"] == "exception"
    ]
    assert [exception["exception.message"] for exception in exceptions] == ["the upstream cannot be reached"]
