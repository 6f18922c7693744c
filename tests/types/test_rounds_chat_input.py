"""Chat conversations in which an earlier exchange hid calls from its client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.types.chat_rounds import Json, call

from chatproxy.types import ChatRequest, ToolResult

USER: Json = {"role": "user", "content": "u"}


def assistant(content: str | None, *ids: str) -> Json:
    calls = {"tool_calls": [call("own__a" if i.startswith("h") else "theirs", call_id=i) for i in ids]} if ids else {}
    return {"role": "assistant", "content": content, **calls}


def tool(call_id: str, content: Any = "r") -> Json:
    return {"role": "tool", "tool_call_id": call_id, "content": content}


TRAIL = [assistant("a", "h1"), tool("h1"), assistant("b", "t1", "h2", "t2"), tool("h2")]
TRAILS = {"t1": TRAIL, "t2": TRAIL}
OTHER = [assistant(None, "h3", "t3"), tool("h3")]


def resumed(messages: list[Any], trails: dict[str, list[Json]]) -> list[Any]:
    """The conversation with what was hidden; trails and the client's own messages stay what they were."""
    before = json.dumps([messages, trails])
    request = ChatRequest.decode(json.dumps({"messages": messages, "model": "m"}).encode())
    request.resume(trails)
    assert json.dumps([messages, trails]) == before
    conversation: list[Any] = json.loads(request.encode())["messages"]
    return conversation


def is_accepted(messages: list[Json]) -> bool:
    """Whether all results of a message's calls follow it, and no others."""
    open_ids: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                return False
            open_ids.remove(message["tool_call_id"])
        elif open_ids or not (message.get("content") or message.get("tool_calls")):
            return False
        open_ids |= {made["id"] for made in message.get("tool_calls", ())}
    return not open_ids


@pytest.mark.parametrize(
    ("messages", "after"),
    [
        pytest.param(
            [USER, assistant("a\n\nb", "t1", "t2"), tool("t1"), tool("t2"), USER],
            [USER, *TRAIL, tool("t1"), tool("t2"), USER],
            id="as the client got it",
        ),
        pytest.param(
            [USER, assistant("edited", "t2", "t1"), tool("t2"), tool("t1")],
            [USER, *TRAIL, tool("t2"), tool("t1")],
            id="text and order changed",
        ),
        pytest.param(
            [USER, assistant("a\n\nb", "t2"), tool("t2"), USER],
            [USER, *TRAIL[:2], assistant("b", "h2", "t2"), tool("h2"), tool("t2"), USER],
            id="one call left out",
        ),
        pytest.param(
            [USER, assistant("a\n\nb"), assistant(None, "t1", "t2"), tool("t1"), tool("t2")],
            [USER, *TRAIL, tool("t1"), tool("t2")],
            id="text apart from the calls",
        ),
        pytest.param(
            [USER, assistant("a\n\nb", "t1"), tool("t1"), assistant("", "t2"), tool("t2"), USER],
            [USER, *TRAIL, tool("t1"), tool("t2"), USER],
            id="calls one by one",
        ),
        pytest.param(
            [USER, assistant(None, "t1"), assistant(None, "t2", "t9"), tool("t1"), tool("t2"), tool("t9")],
            [USER, *TRAIL, tool("t1"), tool("t2"), assistant(None, "t9"), tool("t9")],
            id="calls in two messages and one of the client's own",
        ),
        pytest.param(
            [USER, assistant("a\n\nb", "t1", "t9"), tool("t9"), tool("t1")],
            [USER, *TRAIL[:2], assistant("b", "t1", "h2", "t9"), tool("h2"), tool("t9"), tool("t1")],
            id="one call added",
        ),
        pytest.param(
            [USER, assistant("a", "t1"), tool("t1"), assistant("b"), USER, assistant("", "t3"), tool("t3")],
            [USER, *TRAIL[:2], assistant("b", "t1", "h2"), tool("h2"), tool("t1"), assistant("b"), USER, *OTHER,
             tool("t3")],
            id="two exchanges",
        ),
        pytest.param(
            [USER, assistant("x", "t3"), tool("t3", "1"), USER, assistant("x", "t3"), tool("t3", "2")],
            [USER, assistant("x", "t3"), tool("t3", "1"), USER, *OTHER, tool("t3", "2")],
            id="an id used again",
        ),
        pytest.param([USER, assistant("x", "t9"), tool("t9")], [USER, assistant("x", "t9"), tool("t9")], id="foreign"),
    ],
)  # fmt: skip
def test_what_was_hidden_is_put_back(messages: list[Any], after: list[Any]) -> None:
    made = resumed(messages, {**TRAILS, "t3": OTHER, "gone": OTHER})
    assert [_sorted(message) for message in made] == [_sorted(message) for message in after]
    assert is_accepted(made)


def _sorted(message: Json) -> Json:
    calls = sorted(message.get("tool_calls", ()), key=lambda made: str(made["id"]))
    return {**message, **({"tool_calls": calls} if calls else {})}


def test_a_turn_of_an_earlier_round_loses_calls_that_nobody_answers() -> None:
    trail = [assistant("a", "t0", "h1"), tool("h1"), assistant(None, "t8"), *OTHER]
    made = resumed([USER, assistant("a", "t3"), tool("t3")], {"t3": trail})
    assert made == [USER, assistant("a", "h1"), tool("h1"), *OTHER, tool("t3")]


@pytest.mark.parametrize(
    "messages",
    [None, 5, "x", [None, "x", 5], [{"role": "assistant", "tool_calls": 5}], [{"role": "tool", "tool_call_id": 5}],
     [{"role": "assistant", "tool_calls": [None, {"id": 5}, {"id": "t8"}]}], [{"role": ["assistant"]}]],
)  # fmt: skip
def test_a_conversation_of_unusual_shape_stays(messages: Any) -> None:
    trails: Any = {**TRAILS, "t8": [None, {"role": "assistant", "tool_calls": 5}]}
    assert resumed(messages, trails) == messages


def test_without_trails_the_conversation_keeps_its_bytes() -> None:
    data = b'{ "messages": [ {"role":"tool", "tool_call_id": "t1"} ] }'
    request = ChatRequest.decode(data)
    request.resume({})
    assert request.encode() is data


def test_answers_to_calls_are_found_by_id() -> None:
    parts = [{"type": "text", "text": "x"}]
    messages = [USER, assistant(None, "t1", "t2"), tool("t1"), tool("t2", parts), tool("t1", "late"), {"role": "tool"}]
    assert ChatRequest({"messages": messages}).answers() == {"t1": "late", "t2": parts}


def test_a_conversation_without_answers_is_not_decoded() -> None:
    data = b'{ "messages": [ {"role":"user", "content":"tool"} ] }'
    request = ChatRequest.decode(data)
    assert request.answers() == {}
    assert request.encode() is data


@pytest.mark.parametrize("messages", [None, 5, "tool_call_id", [None, {"tool_call_id": "t1"}]])
def test_no_answers_are_found_in_a_conversation_of_unusual_shape(messages: Any) -> None:
    request = ChatRequest.decode(json.dumps({"messages": messages}).encode())
    assert request.answers() == {}
    request.set_answer("t1", ToolResult(content="new"))
    assert request["messages"] == messages


def test_an_answer_is_replaced() -> None:
    request = ChatRequest({"messages": [USER, assistant(None, "t1", "t2"), tool("t1"), tool("t2")]})
    request.set_answer("t2", ToolResult(content=[{"type": "text", "text": "new"}], is_error=True))
    assert request.messages[2:] == [tool("t1"), tool("t2", [{"type": "text", "text": "new"}])]
