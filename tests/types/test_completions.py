"""Legacy completions: prompts and texts as chat's lenses see them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest, NotFound, UpstreamError
from chatproxy.types import ChatRequest, ChatResponse, StreamEvent, ToolResult, Usage
from chatproxy.types.completions import COMPLETIONS

Found = tuple[str, str, str, int, str]


def found(texts: Any) -> list[Found]:
    return [(text.field, text.role, text.kind, text.index, text.value) for text in texts]


def request_of(**body: Any) -> ChatRequest:
    return ChatRequest.of(msgspec.json.encode(body), COMPLETIONS)


@pytest.mark.parametrize(
    ("body", "texts"),
    [
        ({"prompt": "a"}, [("prompt", "user", "content", 0, "a")]),
        ({"prompt": ["a", "b"]}, [("prompt.0", "user", "content", 0, "a"), ("prompt.1", "user", "content", 1, "b")]),
        ({"prompt": [["a"], [1, "b"]]}, [
            ("prompt.0.0", "user", "content", 0, "a"), ("prompt.1.1", "user", "content", 1, "b"),
        ]),
        ({"prompt": {"text": "a"}}, [("prompt.text", "user", "content", 0, "a")]),
        ({"prompt": [{"role": "system", "content": "a"}]}, [("prompt.0.content", "system", "instructions", 0, "a")]),
        ({"prompt": "a", "suffix": "b"}, [
            ("prompt", "user", "content", 0, "a"), ("suffix", "user", "content", 0, "b"),
        ]),
        ({"prompt": "a", "messages": [{"role": "user", "content": "b"}]}, [
            ("prompt", "user", "content", 0, "a"), ("messages.0.content", "user", "content", 0, "b"),
        ]),
        ({"system": "a"}, [("system", "system", "instructions", 0, "a")]),
        ({"tools": [{"function": {"description": "a"}}]}, [
            ("tools.0.function.description", "developer", "instructions", 0, "a"),
        ]),
        ({"prompt": [1, 2, 3], "suffix": None}, []),
        ({"prompt": None}, []),
        ({"model": "m", "stop": ["s"], "user": "u", "logit_bias": {"5": 1}}, []),
        ({}, []),
    ],
)  # fmt: skip
def test_every_place_in_a_request(body: dict[str, Any], texts: list[Found]) -> None:
    assert found(request_of(**body).texts()) == texts


def test_texts_of_a_reply_and_of_its_stream_are_those_of_the_choices() -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 2}
    usage = Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    body = {
        "usage": counts,
        "choices": [{"index": 1, "text": "a", "logprobs": None, "finish_reason": "length"}, {"text": "b"}],
    }
    texts = [("choices.0.text", "assistant", "content", 1, "a"), ("choices.1.text", "assistant", "content", 1, "b")]
    response = ChatResponse.of(msgspec.json.encode(body), COMPLETIONS)
    assert response.summary == (usage, ["length"])
    assert response.usage == usage
    assert (found(response.texts()), response.finish_reasons, response.tool_calls) == (texts, ["length"], [])
    event = StreamEvent(b"data: " + msgspec.json.encode(body) + b"\n\n", COMPLETIONS)
    assert found(event.texts()) == texts
    assert not any(text.is_whole for text in event.texts())
    next(event.texts()).replace("c")
    assert b'"text":"c"' in event.encode()


def test_a_stream_is_counted_as_chats_is() -> None:
    tally = COMPLETIONS.tally()
    assert tally.add(b'{"choices":[{"text":"abc","finish_reason":null}]}')
    assert not tally.may_end
    assert tally.add(b'{"choices":[{"text":"d","finish_reason":"stop"}]}')
    assert not tally.add(b'{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}')
    assert (tally.characters, tally.finish_reasons, tally.may_end, tally.is_over) == (4, ["stop"], True, False)
    assert tally.usage == Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3)
    with pytest.raises(UpstreamError, match="gone"):
        tally.add(b'{"error":{"message":"gone"}}')


@pytest.mark.parametrize("behavior", ["prepend", "override", "default"])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("x", "p\n\nx"),
        ("", "p"),
        (None, "p"),
        (["x", "y"], ["p\n\nx", "p\n\ny"]),
        ([["x", "y"]], [["p\n\nx", "p\n\ny"]]),
        ([], []),
        ([None, {"text": "x"}], [None, {"text": "x"}]),
        (4.5, 4.5),
    ],
    ids=str,
)
def test_a_system_prompt_stands_in_front_of_every_prompt(behavior: str, before: Any, after: Any) -> None:
    request = ChatRequest({"prompt": before}, layout=COMPLETIONS)
    request.instruct("p", behavior)
    assert request.to_dict() == {"prompt": after}


def test_an_appended_system_prompt_stands_behind_every_prompt() -> None:
    request = ChatRequest({"prompt": ["x", ["y"]]}, layout=COMPLETIONS)
    request.instruct("p", "append")
    assert request.to_dict() == {"prompt": ["x\n\np", ["y\n\np"]]}


def test_a_request_without_a_prompt_gets_the_system_prompt() -> None:
    request = ChatRequest({}, layout=COMPLETIONS)
    request.instruct("p")
    assert request.to_dict() == {"prompt": "p"}


@pytest.mark.parametrize("prompt", [[1, 2], [[1, 2]], ["x", 3]], ids=str)
def test_a_system_prompt_cannot_be_joined_with_tokens(prompt: Any) -> None:
    request = ChatRequest({"prompt": prompt}, layout=COMPLETIONS)
    with pytest.raises(InvalidRequest) as caught:
        request.instruct("p")
    assert (caught.value.code, caught.value.param) == ("unsupported_content", "prompt")
    assert request["prompt"] == prompt


def test_there_is_no_conversation_and_there_are_no_tools() -> None:
    request = request_of(prompt="x")
    request.messages.append({"role": "user"})
    request.tools.append({"type": "function", "function": {"name": "f"}})
    request.messages, request.tools = [{"role": "user"}], [{}]
    request.answer_calls(ChatResponse({"choices": [{"text": "y"}]}, layout=COMPLETIONS), {"a": ToolResult(content="z")})
    assert request.to_dict() == {"prompt": "x"}


def test_parameters_and_errors_are_chats() -> None:
    assert COMPLETIONS.own_param("max_completion_tokens") == "max_tokens"
    assert COMPLETIONS.own_param("temperature") == "temperature"
    assert request_of(prompt="x", suffix="y", model="m", echo=True).params == {"echo": True}
    error = NotFound("m", param="model")
    assert COMPLETIONS.error_body(error, "r") == error.envelope()
    frame = COMPLETIONS.error_frame(error, COMPLETIONS.tally())
    assert frame == b"data: " + msgspec.json.encode(error.envelope()) + b"\n\n"


json_values = st.recursive(
    st.none() | st.integers(-9, 9) | st.sampled_from(["x", "", "system"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["role", "content", "text", "arguments", "delta", "index"]), inner)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["prompt", "suffix", "messages", "tools", "input", "choices"]), json_values))
def test_no_shape_raises_and_every_text_can_be_replaced(body: dict[str, Any]) -> None:
    data = msgspec.json.encode(body)
    event = StreamEvent(b"data: " + data + b"\n\n", COMPLETIONS)
    for lens in (ChatRequest.of(data, COMPLETIONS), ChatResponse.of(data, COMPLETIONS), event):
        before = lens.encode()
        fields = set()
        for text in lens.texts():
            text.replace(f"<{text.value}>")
            assert text.field not in fields
            fields.add(text.field)
        assert [text.value[:1] for text in lens.texts()] == ["<"] * len(fields)
        assert (lens.encode() != before) == bool(fields)
