"""Attacks: ways in which a banned word might slip past policies, each through the whole gateway."""

from __future__ import annotations

import json
from typing import Any

import chatproxy_guardrails
import pytest

from chatproxy import RequestContext, hookimpl
from chatproxy.sse import DONE, encode_frame
from chatproxy.testing import (
    Fault,
    Gateway,
    ScriptedUpstream,
    events_of,
    make_app,
    raw_reply,
    text_of,
)  # fmt: skip
from chatproxy.types import ToolCall, ToolResult

Json = dict[str, Any]
REDACT: Json = {"action": "redact", "replacement": "*"}
HELLO = [{"role": "user", "content": "Hi"}]
CARD = 4111111111111111


def gateway_with(*policies: Json, plugins: tuple[Any, ...] = (), upstream: Any = None, **options: Any) -> Gateway:
    """Policies look for the word SECRET unless they say otherwise."""
    made = [{"name": f"p{i}", "check": "probe_word", **policy} for i, policy in enumerate(policies)]
    tables = {"guardrails": {"policy": made}}
    return make_app(plugins=[chatproxy_guardrails, *plugins], plugin_settings=tables, upstream=upstream, **options)


def chunk(*choices: Json) -> Json:
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(choices)}


def delta(index: int = 0, finish: str | None = None, logprobs: Any = None, **fields: Any) -> Json:
    return {"index": index, "delta": fields, "logprobs": logprobs, "finish_reason": finish}


def streamed(*events: Json, fault: Fault | None = None) -> ScriptedUpstream:
    """An upstream that sends events as they are, with the end that its surface wants where nothing breaks."""
    frames = [encode_frame(json.dumps(event).encode(), event=event.get("type")) for event in events]
    end = [] if fault is not None or "type" in events[0] else [DONE]
    return ScriptedUpstream(raw_reply(*frames, *end, content_type="text/event-stream", fault=fault))


def answered(body: Json) -> ScriptedUpstream:
    return ScriptedUpstream(raw_reply(json.dumps(body).encode()))


def native(surface: str) -> Json:
    return {"upstreams": {"default": {"base_url": "http://upstream/v1", "surfaces": [surface]}}}


def choices_of(body: bytes) -> list[Json]:
    """Every choice of every chunk."""
    return [choice for event in events_of(body) if isinstance(event, dict) for choice in event.get("choices", ())]


def said_in(body: bytes, *names: str) -> list[str]:
    """What a chunk's fields said, joined; a name is a path with dots."""
    found = dict.fromkeys(names, "")
    for choice in choices_of(body):
        for name in names:
            value: Any = choice["delta"]
            for key in name.split("."):
                value = value[int(key)] if isinstance(value, list) and value else (value or {}).get(key)
            found[name] += value or ""
    return list(found.values())


# -- fields of a chunk ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [("so SECRET ok",), ("so SE", "CRET ok"), tuple("so SECRET ok")], ids=len)
async def test_fields_that_say_the_same_twice_are_texts_of_their_own(pieces: tuple[str, ...]) -> None:
    twice = [
        chunk(
            delta(reasoning=text, reasoning_content=text, reasoning_details=[{"type": "reasoning.text", "text": text}])
        )
        for text in pieces
    ]
    upstream = streamed(*twice, chunk(delta(finish="stop")))
    async with gateway_with(REDACT, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    names = ("reasoning", "reasoning_content", "reasoning_details.0.text")
    assert said_in(answer.content, *names) == ["so * ok"] * 3


async def test_spoken_words_do_not_part_written_ones() -> None:
    upstream = streamed(
        chunk(delta(content="so SEC")),
        chunk(delta(audio={"transcript": "well SEC"})),
        chunk(delta(content="RET")),
        chunk(delta(audio={"transcript": "RET"})),
        chunk(delta(finish="stop")),
    )
    async with gateway_with(REDACT, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert said_in(answer.content, "content", "audio.transcript") == ["so *", "well *"]


@pytest.mark.parametrize("late", [{}, {"content": ""}, {"content": None}], ids=str)
async def test_log_probabilities_do_not_spell_out_what_was_redacted(late: Json) -> None:
    def spelled(token: str) -> Json:
        return {"content": [{"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": []}]}

    upstream = streamed(
        chunk(delta(content="good ", logprobs=spelled("good "))),
        chunk(delta(content="SEC", logprobs=spelled("SEC"))),
        chunk(delta(content="RET", logprobs=spelled("RET"))),
        chunk(delta(logprobs=spelled("SECRET"), **late)),
        chunk(delta(finish="stop")),
    )
    async with gateway_with(REDACT, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    assert text_of(answer.content) == "good *"
    assert "good " in answer.text
    assert "SEC" not in answer.text
    assert "RET" not in answer.text


async def test_blocked_choice_ends_all_that_are_open_and_shows_nothing_more() -> None:
    upstream = streamed(
        chunk(delta(0, content="one "), delta(1, content="so SEC"), delta(2, content="three")),
        chunk(delta(2, finish="stop")),
        chunk(delta(0, content="SECOND"), delta(1, content="RET and more")),
        chunk(delta(0, content=" late")),
        chunk(delta(0, finish="stop"), delta(1, finish="stop")),
    )
    async with gateway_with({"refusal": "No."}, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    reasons = {one["index"]: one["finish_reason"] for one in choices_of(answer.content) if one["finish_reason"]}
    assert reasons == {0: "content_filter", 1: "content_filter", 2: "stop"}
    assert "RET" not in answer.text
    assert "late" not in answer.text


@pytest.mark.parametrize("fault", [Fault.TRUNCATE, Fault.RESET])
async def test_what_is_held_stays_unsaid_where_the_upstream_breaks_off(fault: Fault) -> None:
    upstream = streamed(chunk(delta(content="so SECRE")), fault=fault)
    async with gateway_with(REDACT, upstream=upstream) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    last = events_of(answer.content)[-1]
    assert text_of(answer.content.replace(b"SEC", b"?")) == "so "
    assert last["error"]["code"]


@pytest.mark.parametrize("role", ["user", "USER", " user", "human", "", None, 5])
async def test_role_nobody_knows_is_a_users(role: Any) -> None:
    async with gateway_with({"roles": ["user"]}) as gateway:
        answer = await gateway.chat(messages=[{"role": role, "content": "a SECRET"}])
        assert (await gateway.chat(messages=[{"role": "system", "content": "a SECRET"}])).status_code == 200
    assert answer.status_code == 400


# -- tool calls -------------------------------------------------------------------------------------------------------


def used(arguments: Json) -> Json:
    block = {"type": "tool_use", "id": "t", "name": "pay", "input": arguments}
    return {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [block], "usage": {}}


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [({"card": CARD}, {"card": "*"}), ({"n": [CARD]}, {"n": ["*"]}), ({"me@posteo.de": 1}, {"*": 1}), ({}, {})],
    ids=str,
)
@pytest.mark.parametrize("where", ["request", "reply", "event"])
async def test_arguments_without_any_text_are_looked_at(arguments: Json, wanted: Json, where: str) -> None:
    body: Json = {"model": "m", "max_tokens": 9, "messages": HELLO}
    message = used(arguments)
    if where == "event":
        begun = {"type": "content_block_start", "index": 0, "content_block": message["content"][0]}
        ends: list[Json] = [{"type": "content_block_stop", "index": 0}, {"type": "message_stop"}]
        upstream = streamed({"type": "message_start", "message": {**message, "content": []}}, begun, *ends)
        body["stream"] = True
    else:
        upstream = answered(message)
    if where == "request":
        result = {"type": "tool_result", "tool_use_id": "t", "content": "paid"}
        body["messages"] = [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": [result]}]
    async with gateway_with({"check": "pii", **REDACT}, upstream=upstream, **native("messages")) as gateway:
        answer = await gateway.client.post("/v1/messages", json=body)
    if where == "event":
        found = next(event for event in events_of(answer.content) if event["type"] == "content_block_start")
        assert found["content_block"]["input"] == wanted
    elif where == "reply":
        assert answer.json()["content"][0]["input"] == wanted
    else:
        assert upstream.requests[0].json["messages"][0]["content"][0]["input"] == wanted


async def test_object_of_arguments_stays_one_where_a_judge_cuts_its_braces() -> None:
    judge = {"check": "probe_judge", "options": {"word": '{"a":"x"}'}, **REDACT}
    async with gateway_with(judge, upstream=answered(used({"a": "x"})), **native("messages")) as gateway:
        body = {"model": "m", "max_tokens": 9, "messages": HELLO}
        answer = await gateway.client.post("/v1/messages", json=body)
    assert answer.status_code == 200
    assert answer.json()["content"][0]["input"] == {"redacted": "*"}


class Tools:
    """Runs a tool by the gateway and notes what it got."""

    chatproxy_name = "tools"

    def __init__(self, arguments: Json) -> None:
        self.arguments = arguments

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: Any, call_next: Any) -> Any:
        """One call before the model's turn."""

        async def run(call: ToolCall) -> ToolResult:
            self.arguments = call.arguments
            return ToolResult(content="done")

        await ctx.call_tool(ToolCall(id="1", name="pay", arguments=self.arguments), run)
        return await call_next(request)


async def test_numbers_and_keys_of_gateway_tools_are_looked_at() -> None:
    tools = Tools({"card": CARD, "me@posteo.de": True, "n": [1, 2.5, None]})
    async with gateway_with({"check": "pii", **REDACT}, plugins=(tools,)) as gateway:
        answer = await gateway.chat("Hi")
    assert answer.status_code == 200
    assert tools.arguments == {"card": "*", "*": True, "n": [1, 2.5, None]}


@pytest.mark.parametrize("cut", [8, 22, 27, 41])
async def test_escapes_cut_in_half_hide_nothing(cut: int) -> None:
    arguments = '{"a":"\\ud83d\\ude00 \\u0053ECR\\u0045T \\ud83d"}'
    pieces = [arguments[:cut], arguments[cut:]]
    calls = [chunk(delta(tool_calls=[{"index": 0, "function": {"arguments": piece}}])) for piece in pieces]
    async with gateway_with(REDACT, upstream=streamed(*calls, chunk(delta(finish="tool_calls")))) as gateway:
        answer = await gateway.chat("Hi", stream=True)
    (heard,) = said_in(answer.content, "tool_calls.0.function.arguments")
    assert heard == '{"a":"\\ud83d\\ude00 * \\ud83d"}'
