"""What is captured has a size: valid JSON within it whatever comes, and what helps most is kept."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from chatproxy_otel.content.cleaning import Cleaner
from chatproxy_otel.content.showing import shown_tool
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.testing import ScriptedUpstream, reply

from .captured import asked, captured, capturing, said

MAIL = "erika.mustermann@posteo.de"
TEXT = st.text(max_size=60) | st.text(st.sampled_from('ab "\\\n\u00fc\U0001f600'), max_size=300) | st.just(f"to {MAIL}")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
PART = st.one_of(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT),
    st.builds(lambda text: {"type": "thinking", "thinking": text}, TEXT),
    st.builds(lambda value: {"type": "tool_use", "id": "c", "name": "f", "input": value}, JSON),
    st.builds(lambda value: {"type": "tool_result", "tool_use_id": "c", "content": value}, JSON),
    st.builds(lambda value: {"type": "web_search_call", "id": "c", "action": value}, JSON),
    st.builds(lambda url: {"type": "image_url", "image_url": {"url": url}}, TEXT),
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "user", "assistant", "tool"]), "content": TEXT | st.lists(PART, max_size=6)},
    optional={"name": TEXT, "refusal": TEXT},
)


def size(value: Any) -> int:
    return len(msgspec.json.encode(value))


@settings(max_examples=300, deadline=None)
@given(
    messages=st.lists(MESSAGE, max_size=12),
    instructions=TEXT,
    tools=st.lists(
        st.fixed_dictionaries({"name": TEXT, "description": TEXT, "parameters": st.just({"a": {}})}), max_size=9
    ),
    limit=st.integers(1, 2_000),
)
def test_any_request_is_shown_within_its_limit(
    messages: list[Any], instructions: str, tools: list[Any], limit: int
) -> None:
    body = {"messages": messages, "instructions": instructions, "tools": tools}
    found = asked(body, hidden={MAIL: "[EMAIL_1]"}, limit=limit)
    shown = {name: value for name, value in found.items() if value}
    assert sum(size(value) for value in shown.values()) <= limit
    assert MAIL not in json.dumps(shown)
    assert all({"role", "parts"} <= set(message) for message in found["input_messages"])


@settings(max_examples=200, deadline=None)
@given(messages=st.lists(MESSAGE, max_size=6), limit=st.integers(1, 2_000))
def test_any_answer_is_shown_within_its_limit(messages: list[Any], limit: int) -> None:
    body = {"choices": [{"message": message, "finish_reason": "stop"} for message in messages]}
    shown = said(body, hidden={MAIL: "[EMAIL_1]"}, limit=limit)
    assert not shown or size(shown) <= limit
    assert MAIL not in json.dumps(shown)


@settings(max_examples=200, deadline=None)
@given(value=JSON, limit=st.integers(1, 500))
def test_any_tool_call_is_shown_within_its_limit(value: Any, limit: int) -> None:
    shown = shown_tool(value, Cleaner(str, {MAIL: "[EMAIL_1]"}, limit), limit)
    assert shown is None or len(shown.encode()) <= limit
    assert shown is None or MAIL not in shown
    assert shown is None or isinstance(value, str) or json.loads(shown) is not Ellipsis


def talk(*texts: str) -> dict[str, Any]:
    told = [{"role": "user", "content": text} for text in texts]
    return {"messages": [{"role": "system", "content": "Be short."}, *told]}


def shown_texts(body: dict[str, Any], limit: int) -> list[str]:
    return [message["parts"][0]["content"] for message in asked(body, limit=limit)["input_messages"]]


def test_what_instructs_and_the_last_messages_are_kept() -> None:
    texts = shown_texts(talk(*(f"Message {number}." for number in range(100))), 500)
    assert texts[0] == "Be short."
    assert texts[-1] == "Message 99."
    left_out = 100 - (len(texts) - 2)
    assert texts[1] == f"… ({left_out} more messages)"
    assert texts[2] == f"Message {left_out}."


def test_a_long_last_message_is_cut_between_words() -> None:
    first, last = shown_texts(talk("word " * 1_000), 400)
    assert first == "Be short."
    text, _, mark = last.partition("…")
    assert text.strip("word ") == ""
    assert text.endswith("word")
    assert mark == f" ({5_000 - len(text)} more characters)"


def test_long_instructions_leave_half_the_room_to_the_conversation() -> None:
    body = {"messages": [{"role": "system", "content": "rule " * 1_000}, {"role": "user", "content": "Hello"}]}
    first, last = shown_texts(body, 1_000)
    assert first.startswith("rule rule ")
    assert len(first) > 300
    assert last == "Hello"


def test_what_fits_is_not_touched() -> None:
    body = talk("One", "Two")
    whole = asked(body)["input_messages"]
    assert asked(body, limit=size(whole))["input_messages"] == whole
    assert asked(body, limit=size(whole) - 1)["input_messages"] != whole


def test_tools_lose_parameters_before_descriptions_before_names() -> None:
    tools = [
        {"type": "function", "function": {"name": f"f{n}", "description": "d" * 40, "parameters": {"a": "p" * 40}}}
        for n in range(5)
    ]
    fields = []
    for limit in (8_000, 2_400, 1_200, 480):
        shown = asked({"tools": tools}, limit=limit)["tool_definitions"]
        assert size(shown) <= limit // 4
        fields.append([sorted({"parameters", "description", "name"} & set(tool)) for tool in shown])
    assert fields[0] == [["description", "name", "parameters"]] * 5
    assert fields[1] == [["description", "name"]] * 5
    assert fields[2] == [["name"]] * 5
    assert asked({"tools": tools}, limit=480)["tool_definitions"][-1] == {
        "type": "truncated",
        "name": "… (3 more tools)",
    }


def test_what_stands_behind_a_long_field_stays_an_object() -> None:
    call = {"type": "web_search_call", "id": "i", "name": "n " * 200, "action": {"query": "q"}}
    body = {"messages": [{"role": "assistant", "content": [call]}]}
    for limit in (*range(100, 400, 7), 1_000):
        for message in asked(body, limit=limit)["input_messages"]:
            assert [type(part.get("server_tool_call", {})) for part in message["parts"]] == [dict] * len(
                message["parts"]
            )


def test_choices_share_the_room() -> None:
    body = {
        "choices": [{"message": {"role": "assistant", "content": f"{n} " * 900}, "finish_reason": "stop"} for n in "ab"]
    }
    shown = said(body, limit=1_200)
    assert [message["parts"][0]["content"][0] for message in shown] == ["a", "b"]
    assert {message["finish_reason"] for message in shown} == {"stop"}


async def test_both_ways_and_tools_are_bounded_through_the_gateway() -> None:
    upstream = ScriptedUpstream(reply("word " * 9_000))
    async with capturing(upstream=upstream, max_content_bytes=700) as gateway:
        await gateway.gateway.chat("word " * 100_000)
        found = captured(await gateway.tree())
    assert 500 < size(found["input"]) <= 700
    assert 500 < size(found["output"]) <= 700


@pytest.mark.parametrize("count", [1, 100_000])
async def test_a_large_conversation_is_prepared(count: int) -> None:
    messages = [{"role": "user", "content": f"Message {number} of many."} for number in range(count)]
    async with capturing() as gateway:
        await gateway.gateway.chat(messages=messages)
        found = captured(await gateway.tree())
    assert found["input"][-1]["parts"][0]["content"] == f"Message {count - 1} of many."
