"""Texts of chat completions: every place a model would read from or has written to, in any shape."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.types import CHAT, ChatRequest, ChatResponse, StreamEvent, Text, ToolResult
from chatproxy.types.text import Origin

Found = tuple[str, str, str, int, str]


def found(texts: Any) -> list[Found]:
    return [(text.field, text.role, text.kind, text.index, text.value) for text in texts]


def request_texts(**body: Any) -> list[Found]:
    return found(ChatRequest.decode(msgspec.json.encode(body)).texts())


def message_texts(**message: Any) -> list[tuple[str, str, str]]:
    """(field below the message, kind, value) of a second message's texts."""
    texts = request_texts(messages=[{"role": "user", "content": None}, message])
    assert all(index == 1 for _, _, _, index, _ in texts)
    return [(field.removeprefix("messages.1."), kind, value) for field, _, kind, _, value in texts]


@pytest.mark.parametrize(
    ("role", "seen", "kind"),
    [
        ("system", "system", "instructions"),
        ("developer", "developer", "instructions"),
        ("user", "user", "content"),
        ("assistant", "assistant", "content"),
        ("tool", "tool", "tool_result"),
        ("function", "function", "tool_result"),
        ("critic", "critic", "content"),
        (None, "user", "content"),
        (["system"], "user", "content"),
    ],
)
def test_role_decides_the_kind_of_content(role: Any, seen: str, kind: str) -> None:
    for content, field in (("x", "content"), ([{"type": "text", "text": "x"}], "content.0.text"), (["x"], "content.0")):
        texts = request_texts(messages=[{"role": role, "content": content}])
        assert texts == [(f"messages.0.{field}", seen, kind, 0, "x")]


@pytest.mark.parametrize(
    ("message", "texts"),
    [
        ({"content": ""}, [("content", "content", "")]),
        ({"content": "a", "refusal": "b"}, [("content", "content", "a"), ("refusal", "refusal", "b")]),
        ({"content": [{"type": "refusal", "refusal": "a"}]}, [("content.0.refusal", "refusal", "a")]),
        ({"reasoning_content": "a"}, [("reasoning_content", "reasoning", "a")]),
        ({"reasoning": "a"}, [("reasoning", "reasoning", "a")]),
        ({"reasoning": {"text": "a"}}, [("reasoning.text", "reasoning", "a")]),
        ({"reasoning_details": [{"text": "a", "id": "x"}]}, [("reasoning_details.0.text", "reasoning", "a")]),
        ({"thinking_blocks": [{"thinking": "a"}]}, [("thinking_blocks.0.thinking", "reasoning", "a")]),
        ({"content": [{"type": "thinking", "thinking": "a"}]}, [("content.0.thinking", "reasoning", "a")]),
        (
            {"tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
            [("tool_calls.0.function.arguments", "tool_arguments", "{}")],
        ),
        (
            {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "a"}}]},
            [("tool_calls.0.custom.input", "tool_arguments", "a")],
        ),
        (
            {"tool_calls": [{"function": {"arguments": {"k": ["a", {"any": "b"}], "n": 1}}}]},
            [
                ("tool_calls.0.function.arguments.k.0", "tool_arguments", "a"),
                ("tool_calls.0.function.arguments.k.1.any", "tool_arguments", "b"),
            ],
        ),
        ({"tool_calls": {"arguments": "a"}}, [("tool_calls.arguments", "tool_arguments", "a")]),
        ({"function_call": {"name": "f", "arguments": "a"}}, [("function_call.arguments", "tool_arguments", "a")]),
        ({"audio": {"id": "1", "data": "UklG", "transcript": "a"}}, [("audio.transcript", "content", "a")]),
        ({"content": [{"type": "brand_new", "text": "a"}]}, [("content.0.text", "content", "a")]),
        ({"content": [{"text": {"value": "a"}}]}, [("content.0.text.value", "content", "a")]),
        ({"content": [{"type": "x", "content": [{"text": "a"}]}]}, [("content.0.content.0.text", "content", "a")]),
        ({"content": {"type": "text", "text": "a"}}, [("content.text", "content", "a")]),
        ({"content": {"parts": ["a"]}}, [("content.parts.0", "content", "a")]),
        ({"content": [["a"]]}, [("content.0.0", "content", "a")]),
        ({"content": [[[{"text": "a"}]]]}, [("content.0.0.0.text", "content", "a")]),
        ({"text": "a"}, [("text", "content", "a")]),
        ({"content": [{"type": "image_url", "image_url": {"url": "https://x/y"}}]}, []),
        ({"content": [{"type": "input_audio", "input_audio": {"data": "UklG", "format": "wav"}}]}, []),
        ({"content": None, "name": "n", "tool_call_id": "t", "tool_calls": [{"id": "i", "type": "function"}]}, []),
    ],
)  # fmt: skip
def test_every_place_in_a_message(message: dict[str, Any], texts: list[tuple[str, str, str]]) -> None:
    assert message_texts(role="assistant", **message) == texts


@pytest.mark.parametrize(
    ("messages", "texts"),
    [
        ("x", [("messages", "user", "content", 0, "x")]),
        (["x", None], [("messages.0", "user", "content", 0, "x")]),
        ([0, ["x"]], [("messages.1.0", "user", "content", 1, "x")]),
        ([[{"role": "user", "content": "x"}]], [("messages.0.0.content", "user", "content", 0, "x")]),
        ({"role": "system", "content": "x"}, [("messages.content", "system", "instructions", 0, "x")]),
        ({}, []),
        (None, []),
        (5, []),
        ([], []),
        ([None, 1, True, 1.5, [], {}], []),
        ([{"content": 5}, {"content": {"a": "b"}}, {"tool_calls": "x"}, {"function_call": 3}], [
            ("messages.2.tool_calls", "user", "tool_arguments", 2, "x"),
        ]),
    ],
)  # fmt: skip
def test_messages_of_unusual_shape(messages: Any, texts: list[Found]) -> None:
    assert request_texts(messages=messages) == texts
    assert request_texts() == []


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prediction": {"type": "content", "content": "a"}}, [("prediction.content", "assistant", "content", 0, "a")]),
        (
            {"prediction": {"content": [{"type": "text", "text": "a"}]}},
            [("prediction.content.0.text", "assistant", "content", 0, "a")],
        ),
        ({"prompt": "a"}, [("prompt", "user", "content", 0, "a")]),
        ({"prompt": ["a"]}, [("prompt.0", "user", "content", 0, "a")]),
        ({"prompt": [[1], ["a"]]}, [("prompt.1.0", "user", "content", 0, "a")]),
        ({"input": [{"content": "a"}]}, [("input.0.content", "user", "content", 0, "a")]),
        ({"suffix": "a"}, [("suffix", "user", "content", 0, "a")]),
        ({"system": [{"text": "a"}]}, [("system.0.text", "system", "instructions", 0, "a")]),
        ({"instructions": "a"}, [("instructions", "system", "instructions", 0, "a")]),
        ({"chat_template": "a"}, [("chat_template", "system", "instructions", 0, "a")]),
        ({"documents": [{"any": {"key": "a"}}]}, [("documents.0.any.key", "user", "content", 0, "a")]),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "description": "a"}}]},
            [("tools.0.function.description", "developer", "instructions", 0, "a")],
        ),
        (
            {"tools": [{"function": {"parameters": {"type": "object", "required": ["q"], "properties": {
                "description": {"type": "string", "enum": ["a"], "default": "b"}, "q": {"title": "c", "pattern": "d"},
            }}}}]},
            [
                ("tools.0.function.parameters.properties.description.enum.0", "developer", "instructions", 0, "a"),
                ("tools.0.function.parameters.properties.description.default", "developer", "instructions", 0, "b"),
                ("tools.0.function.parameters.properties.q.title", "developer", "instructions", 0, "c"),
            ],
        ),
        ({"functions": [{"description": "a"}]}, [("functions.0.description", "developer", "instructions", 0, "a")]),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"description": "a"}}}},
            [("response_format.json_schema.schema.description", "developer", "instructions", 0, "a")],
        ),
        ({"tools": "x", "functions": 1, "prediction": [], "documents": {}, "input": False}, []),
        ({"model": "m", "user": "u", "stop": ["s"], "metadata": {"a": "b"}, "seed": 1, "tool_choice": "auto"}, []),
    ],
)  # fmt: skip
def test_texts_outside_of_messages(body: dict[str, Any], texts: list[Found]) -> None:
    assert request_texts(**body) == texts


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["x", "", "system"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "text", "tool_calls", "function", "arguments", "audio", "delta", "index"]
            ),
            inner,
        )
    ),
    max_leaves=12,
)
KEYS = ["messages", "tools", "prediction", "prompt", "documents", "choices", "usage", "response_format"]


@given(st.dictionaries(st.sampled_from(KEYS), json_values))
def test_no_shape_raises_and_every_text_can_be_replaced(body: dict[str, Any]) -> None:
    data = msgspec.json.encode(body)
    for lens in (ChatRequest.decode(data), ChatResponse.decode(data), StreamEvent(b"data: " + data + b"\n\n")):
        before = lens.encode()
        count = 0
        for text in lens.texts():
            assert isinstance(text.value, str)
            text.replace(f"<{text.value}>")
            count += 1
        assert [text.value[:1] for text in lens.texts()] == ["<"] * count
        assert (lens.encode() != before) == (count > 0)
        assert CHAT.usage(body) is None or isinstance(body["usage"], dict)
        assert all(isinstance(reason, str) for reason in CHAT.finish_reasons(body))


def test_a_replaced_text_is_what_is_sent() -> None:
    request = ChatRequest.decode(b'{"messages":[{"role":"user","content":["a",{"text":"b"}]}],"prompt":"c","n": 1.0}')
    for text in request.texts():
        text.replace(text.value.upper())
        assert text.value in {"A", "B", "C"}
    sent = b'{"messages":[{"role":"user","content":["A",{"text":"B"}]}],"prompt":"C","n": 1.0}'
    assert request.encode() == sent.replace(b" 1.0", b"1.0")


def test_deep_and_wide_content_costs_no_stack() -> None:
    deep: Any = ["x"] * 3
    for _ in range(400):
        deep = [deep]
    assert [value for _, _, value in message_texts(role="user", content=deep)] == ["x"] * 3


def test_texts_of_a_reply_carry_the_index_of_their_choice() -> None:
    reply = ChatResponse.decode(
        b'{"choices":[{"index":1,"message":{"role":"assistant","content":"a","reasoning_content":"b"}},'
        b'{"message":{"refusal":"c","tool_calls":[{"function":{"arguments":"d"}}]}},{"index":"x","text":"e"},7]}'
    )
    assert found(reply.texts()) == [
        ("choices.0.message.content", "assistant", "content", 1, "a"),
        ("choices.0.message.reasoning_content", "assistant", "reasoning", 1, "b"),
        ("choices.1.message.refusal", "assistant", "refusal", 1, "c"),
        ("choices.1.message.tool_calls.0.function.arguments", "assistant", "tool_arguments", 1, "d"),
        ("choices.2.text", "assistant", "content", 2, "e"),
    ]


def test_texts_of_an_event_are_those_of_its_deltas() -> None:
    event = StreamEvent.of(
        {
            "choices": [
                {"index": 2, "delta": {"content": "a", "tool_calls": [{"index": 0, "function": {"arguments": "{"}}]}}
            ]
        }
    )
    assert found(event.texts()) == [
        ("choices.0.delta.content", "assistant", "content", 2, "a"),
        ("choices.0.delta.tool_calls.0.function.arguments", "assistant", "tool_arguments", 2, "{"),
    ]


def test_the_repr_of_a_text_shows_where_it_is_and_not_what_it_says() -> None:
    text = Text({"content": "secret"}, ("messages", 0, "content"), "content", Origin("user"))
    assert repr(text) == "Text(messages.0.content, role='user', kind='content', 6 characters)"


def test_the_same_text_again_is_no_change() -> None:
    changes: list[int] = []
    text = Text({"a": "x"}, ("a",), "content", Origin("user", on_replace=lambda: changes.append(1)))
    text.replace("x")
    assert changes == []
    text.replace("y")
    text.replace("x")
    assert changes == [1, 1]


PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def test_media_of_a_result_are_shown_behind_the_results_of_the_turn() -> None:
    """OpenAI takes nothing but text in a message of role ``tool``."""
    calls = [{"id": key, "type": "function", "function": {"name": "f", "arguments": "{}"}} for key in "ab"]
    reply = ChatResponse({"choices": [{"message": {"role": "assistant", "content": None, "tool_calls": calls}}]})
    request = ChatRequest({"messages": []})
    said = [{"type": "text", "text": "look"}, PICTURE]
    request.answer_calls(reply, {"a": ToolResult(content=said), "b": ToolResult(content="two")})
    _, first, second, shown = request.messages
    assert (first["role"], second["role"], shown["role"]) == ("tool", "tool", "user")
    assert [part["type"] for part in first["content"]] == ["text", "text"]
    assert second["content"] == "two"
    assert shown["content"] == [{"type": "text", "text": "[Returned by the tool call a:]"}, PICTURE]


@pytest.mark.parametrize("written", ['{"a"', "[1]", "5", "\ud800"])
def test_arguments_that_are_no_object_are_said_again_as_one(written: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": written}}
    request = ChatRequest({"messages": []})
    request.answer_calls(ChatResponse({"choices": [{"message": {"role": "assistant", "tool_calls": [call]}}]}), {})
    arguments = request.messages[0]["tool_calls"][0]["function"]["arguments"]
    assert list(msgspec.json.decode(arguments)) == ["INVALID_JSON"]
