"""Captured contents under attack: keys in odd places, and tools whose calls cannot be told apart by their ids."""

from __future__ import annotations

import json
from typing import Any

from chatproxy_otel.export.spans import SpanEncoder

from chatproxy import RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import ScriptedUpstream, reply, stream_reply, tool_calls_reply

from .beside import Clock
from .captured import capturing
from .tracing import Traced

KEY = "sk-canary0123456789abcdef"
PLAIN = "CanaryOfTheUpstreamPlain"
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}


class Counting(Clock):
    """A clock that is at another hour each time."""

    async def run(self, call: ToolCall) -> ToolResult:
        self.given.append(call)
        return ToolResult(content=f"{len(self.given)} o'clock")


def asks(number: int) -> Any:
    """A model that gives every call the same id, as small servers do."""
    body = json.loads(tool_calls_reply(("now", json.dumps({"round": number}))).parts[0])
    body["choices"][0]["message"]["tool_calls"][0]["id"] = "call_0"
    made = tool_calls_reply(("now", "{}"))
    return type(made)(parts=[json.dumps(body).encode()], headers=made.headers)


async def test_calls_with_the_same_id_keep_their_own_contents() -> None:
    upstream = ScriptedUpstream(asks(1), asks(2), reply())
    async with capturing(Counting(), upstream=upstream) as running:
        answer = await running.gateway.client.post("/v1/chat/completions", json=CHAT)
        assert answer.status_code == 200
        tree = await running.tree()
    tools = [span.attributes for span in tree.walk() if span.name == "execute_tool now"]
    assert [tool["gen_ai.tool.call.result"] for tool in tools] == ["1 o'clock", "2 o'clock"]
    assert [tool["gen_ai.tool.call.arguments"] for tool in tools] == ['{"round":1}', '{"round":2}']


class Hiding:
    """A plugin that masks a value for the model, and puts it back for the client."""

    chatproxy_name = "hiding"

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.trace.hide("canary of a name", "[name]")


def exported(running: Traced) -> str:
    return SpanEncoder()(running.spans.finished).decode("latin-1")


async def test_keys_and_hidden_texts_are_not_in_contents() -> None:
    said = f"{KEY} and {PLAIN} and canary of a name and http://me:canaryPassword1@host/ and Bearer canaryBearer123"
    body = {
        "model": "scripted",
        "messages": [
            {"role": "system", "content": said},
            {"role": "user", "content": [{"type": "text", "text": said},
                                         {"type": "image_url", "image_url": {"url": f"https://x/y?s={KEY}&a=canary"}},
                                         {"type": "input_audio", "input_audio": {"data": "canary", "format": "wav"}}]},
            {"role": "assistant", "content": None, "tool_calls": [
                {"id": KEY, "type": "function",
                 "function": {"name": KEY, "arguments": json.dumps({"api_key": "canaryPlain1", KEY: said})}}]},
            {"role": "tool", "tool_call_id": KEY, "content": json.dumps({"password": "canaryPlain2"})},
        ],
        "tools": [{"type": "mcp", "server_label": "x", "authorization": "canaryPlain3", "headers": {"a": "canary4"}},
                  {"type": "function", "function": {"name": "f", "description": said,
                   "parameters": {"properties": {"token": {"type": "string", "default": "canaryPlain5"}}}}}],
        "metadata": {"a": "canaryPlain6"}, "user": "canaryPlain7",
    }  # fmt: skip
    for stream in (False, True):
        upstream = ScriptedUpstream(stream_reply([said[:7], said[7:20], said[20:]]) if stream else reply(said))
        async with capturing(Hiding(), upstream=upstream, upstream_api_key=PLAIN) as running:
            headers = {"authorization": "Bearer canaryHeader1", "x-other": "canaryHeader2"}
            asked = body | {"stream": stream}
            if stream:
                asked |= {"tools": []}
            answer = await running.gateway.client.post("/v1/chat/completions", json=asked, headers=headers)
            assert answer.status_code == 200, answer.text
            await running.tree()
            spans = exported(running)
        assert "gen_ai.output.messages" in spans
        assert "[name]" in spans
        assert "anary" not in spans
