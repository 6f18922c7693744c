"""When the demo model reasons, and what becomes of its thoughts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.handlers.demo import DemoHandler
from chatproxy.handlers.demo.tokens import count_tokens
from chatproxy.types import Completed, Stream
from tests.handlers.conftest import Ask, chat_request, make_context
from tests.handlers.shapes import merged, read_completion, told

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CALL = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
ANSWERED = [
    {"role": "user", "content": "weather?"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
]


def take_thoughts(body: dict[str, Any]) -> list[str | None]:
    """The reasoning of every choice, taken out; the rest has OpenAI's shape."""
    taken = [choice["message"].pop("reasoning_content", None) for choice in body["choices"]]
    read_completion(body)
    return taken


async def thoughts(ask: Ask, text: str = "Tell me about cats", **fields: Any) -> str | None:
    body = await ask(text, **{"reasoning_effort": "medium", **fields})
    return take_thoughts(body)[0]


@pytest.mark.parametrize("effort", [None, "", "none"])
async def test_no_effort_is_no_reasoning(ask: Ask, effort: str | None) -> None:
    body = await ask(reasoning_effort=effort)
    assert take_thoughts(body) == [None]
    assert body["usage"]["completion_tokens_details"]["reasoning_tokens"] == 0


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param(
            {"text": "Hi"},
            'The user says "Hi". There are no tools, so I work it out myself. So I answer in words.',
            id="text",
        ),
        pytest.param({"reasoning_effort": "minimal"}, "So I answer in words.", id="minimal"),
        pytest.param(
            {"reasoning_effort": "low"}, 'The user says "Tell me about cats". So I answer in words.', id="low"
        ),
        pytest.param(
            {"text": "weather in Rome", "tools": [WEATHER]},
            'The user says "weather in Rome". The tools at hand are get_weather. So I call get_weather.',
            id="call",
        ),
        pytest.param(
            {"tools": [WEATHER], "tool_choice": "none", "response_format": {"type": "json_object"}},
            'The user says "Tell me about cats". There are tools, but I may not call any. So I answer in JSON.',
            id="json",
        ),
        pytest.param(
            {"messages": ANSWERED, "tools": [WEATHER]},
            "The answer of get_weather is here. The tools at hand are get_weather. So I pass on what it says.",
            id="after-a-tool",
        ),
        pytest.param(
            {"text": " ", "reasoning_effort": "low"}, "The user says nothing. So I answer in words.", id="empty"
        ),
    ],
)
async def test_reasoning_tells_how_the_answer_comes_about(ask: Ask, fields: dict[str, Any], expected: str) -> None:
    assert await thoughts(ask, **fields) == expected


@pytest.mark.parametrize("effort", ["medium", "high", "xhigh", "max", "anything"])
async def test_every_other_effort_reasons_the_same(ask: Ask, effort: str) -> None:
    assert await thoughts(ask, reasoning_effort=effort) == await thoughts(ask)


async def test_many_tools_and_long_texts_are_cut_short(ask: Ask) -> None:
    tools = [{"type": "function", "function": {"name": f"tool_{i}"}} for i in range(7)]
    found = await thoughts(ask, "word " * 500, tools=tools)
    assert found is not None
    assert "tool_0, tool_1, tool_2, tool_3, tool_4 and 2 more" in found
    assert len(found) < 300


async def test_answer_is_the_same_as_without_reasoning(ask: Ask) -> None:
    plain, body = (
        await ask("count to 3", n=2, logprobs=True),
        await ask("count to 3", n=2, logprobs=True, reasoning_effort="high"),
    )
    first, second = take_thoughts(body)
    assert first
    assert first == second
    assert body["choices"] == plain["choices"]


async def test_reasoning_counts_as_completion_tokens(ask: Ask) -> None:
    plain = (await ask("count to 3", n=2))["usage"]
    body = await ask("count to 3", n=2, reasoning_effort="low")
    spent = sum(count_tokens(thought or "") for thought in take_thoughts(body))
    usage = body["usage"]
    assert usage["completion_tokens_details"]["reasoning_tokens"] == spent > 0
    assert usage["completion_tokens"] == plain["completion_tokens"] + spent
    assert usage["total_tokens"] == plain["total_tokens"] + spent


@pytest.mark.parametrize(
    ("limit", "thought", "content", "finish"),
    [
        (3, "So I answer", "", "length"),
        (6, "So I answer in words.", "", "length"),
        (8, "So I answer in words.", "1,", "length"),
        (11, "So I answer in words.", "1, 2, 3", "stop"),
    ],
    ids=["in-the-thoughts", "after-the-thoughts", "in-the-text", "fits"],
)
async def test_limit_holds_for_thoughts_and_text(ask: Ask, limit: int, thought: str, content: str, finish: str) -> None:
    body = await ask("count to 3", max_completion_tokens=limit, reasoning_effort="minimal")
    assert take_thoughts(body) == [thought]
    choice = body["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (content, finish)
    assert body["usage"]["completion_tokens"] == min(limit, 11)


async def test_limit_in_the_thoughts_leaves_no_call(ask: Ask) -> None:
    body = await ask("weather in Rome", tools=[WEATHER], max_tokens=2, reasoning_effort="low")
    choice = body["choices"][0]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "length"


FIELDS = st.fixed_dictionaries(
    {"reasoning_effort": st.sampled_from(["minimal", "low", "high"])},
    optional={
        "n": st.integers(1, 3),
        "max_tokens": st.integers(1, 40),
        "stop": st.sampled_from(["said", ["a", "o"]]),
        "logprobs": st.just(value=True),
        "tools": st.just([WEATHER]),
        "response_format": st.just({"type": "json_object"}),
    },
)


@settings(max_examples=100, deadline=None)
@given(text=st.sampled_from(["weather in Paris", "count to 4", "", "🙂"]) | st.text(), fields=FIELDS)
async def test_stream_and_buffered_reply_think_the_same(text: str, fields: dict[str, Any]) -> None:
    handler = DemoHandler()
    buffered = await handler.execute(make_context(), chat_request(text, **fields))
    streamed = await handler.execute(make_context(), chat_request(text, stream=True, **fields))
    assert isinstance(buffered, Completed)
    assert isinstance(streamed, Stream)
    body, events = buffered.body.to_dict(), [event.data async for event in streamed.events()]
    pieces = dict.fromkeys(range(len(body["choices"])), "")
    for choice in (choice for event in events for choice in event["choices"]):
        pieces[choice["index"]] += choice["delta"].pop("reasoning_content", "")
    assert list(pieces.values()) == take_thoughts(body)
    assert merged(events) == told(body)
    assert events[-1]["usage"] == body["usage"]


async def test_thoughts_come_before_the_answer() -> None:
    reply = await DemoHandler().execute(
        make_context(), chat_request("say yes sir", stream=True, reasoning_effort="minimal")
    )
    assert isinstance(reply, Stream)
    deltas = [event.data["choices"][0]["delta"] async for event in reply.events() if event.data["choices"]]
    order = [key for delta in deltas for key in delta]
    assert order == ["role", "content", "refusal", *["reasoning_content"] * 6, "content", "content"]


async def test_earlier_thoughts_are_taken_and_not_counted(ask: Ask) -> None:
    said = {"role": "assistant", "content": "Meow."}
    question = {"role": "user", "content": "Why?"}
    plain = await ask(messages=[question, said, question])
    signed = [{"type": "thinking", "thinking": "Hm.", "signature": "x"}]
    again = await ask(messages=[question, {**said, "reasoning_content": "Hm.", "thinking_blocks": signed}, question])
    assert json.dumps(again["choices"]) == json.dumps(plain["choices"])
    assert again["usage"] == plain["usage"]
