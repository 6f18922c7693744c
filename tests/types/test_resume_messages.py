"""What a conversation of messages says in answer to calls, and what a tool loop hid of it put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.types import ChatRequest, ChatResponse, ToolResult
from chatproxy.types.messages import MESSAGES
from chatproxy.types.rounds import Rounds

Json = dict[str, Any]


def hides(name: str) -> bool:
    return name.startswith("own__")


def text(value: str, **more: Any) -> Json:
    return {"type": "text", "text": value, **more}


def call(call_id: str, name: str = "theirs") -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}}


def result_of(call_id: str, **more: Any) -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": f"for {call_id}", **more}


def user(*content: Any) -> Json:
    return {"role": "user", "content": content[0] if isinstance(content[0], str) else [*content]}


def turn(*content: Json) -> Json:
    return {"role": "assistant", "content": [*content]}


def request_of(*messages: Any) -> ChatRequest:
    return ChatRequest.of(msgspec.json.encode({"max_tokens": 9, "messages": [*messages]}), MESSAGES)


def resumed(messages: list[Any], trails: Mapping[str, list[Json]]) -> list[Json]:
    request = request_of(*messages)
    request.resume(trails)
    return ChatRequest.of(request.encode(), MESSAGES).messages


# One exchange: a round with a hidden call, then one with a hidden call and two of the client.
FIRST, OWN = turn(text("Look."), call("h1", "own__a")), user(result_of("h1"))
THINKING = {"type": "thinking", "thinking": "hm", "signature": "c2ln"}
SECOND = turn(THINKING, text("So."), call("h2", "own__b"), call("c1"), call("c2"))
TRAIL = [FIRST, OWN, SECOND, user(result_of("h2"))]
SEEN = turn(text("Look."), THINKING, text("So."), call("c1"), call("c2"))
ONE = turn(THINKING, text("So."), call("h2", "own__b"), call("c1"))
TRAILS = {"c1": TRAIL, "c2": [*TRAIL], "gone": [turn(text("x"), call("gone"))]}
Q = user("Q")
BOTH = user(result_of("h2"), result_of("c1"), result_of("c2"))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([Q, SEEN, user(result_of("c1"), result_of("c2"))], [Q, FIRST, OWN, SECOND, BOTH]),
        (
            [Q, SEEN, user(result_of("c1"), result_of("c2", cache_control={"type": "ephemeral"}), text("And?"))],
            [Q, FIRST, OWN, SECOND, user(
                result_of("h2"), result_of("c1"), result_of("c2", cache_control={"type": "ephemeral"}), text("And?"))],
        ),
        ([Q, turn(text("Edited."), call("c1"))], [Q, FIRST, OWN, ONE, user(result_of("h2"))]),
        ([Q, turn(text("So."), call("c1")), user("Never mind.")],
         [Q, FIRST, OWN, ONE, user(result_of("h2"), text("Never mind."))]),
        ([Q, turn(call("c1"), call("new")), user(result_of("c1"), result_of("new"))],
         [Q, FIRST, OWN, turn(*ONE["content"], call("new")),
          user(result_of("h2"), result_of("c1"), result_of("new"))]),
        ([Q, turn(text("Look.")), turn(THINKING, text("So.", cache_control={})), turn(call("c1"), call("c2")),
          user(result_of("c1")), user(result_of("c2"))],
         [Q, FIRST, OWN, SECOND, user(result_of("h2"), result_of("c1")), user(result_of("c2"))]),
        ([Q, turn(text("Other.")), SEEN], [Q, turn(text("Other.")), FIRST, OWN, SECOND, user(result_of("h2"))]),
        ([Q, turn(call("c1")), user(result_of("c1")), turn(call("c2")), user(result_of("c2"))],
         [Q, FIRST, OWN, ONE, user(result_of("h2"), result_of("c1")), turn(call("c2")), user(result_of("c2"))]),
        ([Q, FIRST, OWN, SECOND, BOTH], [Q, FIRST, OWN, SECOND, BOTH]),
        ([Q, turn(call("other")), user(result_of("other"))], [Q, turn(call("other")), user(result_of("other"))]),
        ([Q, SEEN, {"role": "system", "content": "s"}],
         [Q, FIRST, OWN, SECOND, user(result_of("h2")), {"role": "system", "content": "s"}]),
        ([Q, {"role": "assistant", "content": "Done."}], [Q, {"role": "assistant", "content": "Done."}]),
        ([None, "x", 5, {}, {"role": "assistant"}], [None, "x", 5, {}, {"role": "assistant"}]),
    ],
    ids=[
        "whole", "with-more", "edited", "text-answer", "added-call", "split", "before", "apart", "resumed", "unknown",
        "system", "string", "broken",
    ],
)  # fmt: skip
def test_what_was_hidden_takes_the_place_of_the_turn(messages: list[Any], expected: list[Any]) -> None:
    assert resumed(messages, TRAILS) == expected


def test_a_trail_whose_last_turn_hid_nothing_is_resumed_once() -> None:
    last = turn(text("So."), call("c1"))
    trails = {"c1": [FIRST, OWN, last]}
    once = resumed([Q, turn(text("Look."), text("So."), call("c1")), user(result_of("c1"))], trails)
    assert once == [Q, FIRST, OWN, last, user(result_of("c1"))] == resumed(once, trails)


def test_hidden_calls_that_nobody_answered_leave() -> None:
    trail = [turn(call("h", "own__a"), call("x", "own__b"), call("c1")), user(result_of("h"))]
    expected = [turn(call("h", "own__a"), call("c1")), user(result_of("h"), result_of("c1"))]
    assert resumed([turn(call("c1")), user(result_of("c1"))], {"c1": trail}) == expected


@pytest.mark.parametrize("trail", [[], [None, 5], [user("x")], "x"])
def test_a_trail_without_a_turn_changes_nothing(trail: Any) -> None:
    assert resumed([Q, SEEN], {"c1": trail}) == [Q, SEEN]


def test_a_trail_stays_as_it_is_whatever_becomes_of_the_request() -> None:
    before = msgspec.json.encode(TRAIL)
    request = request_of(Q, SEEN)
    request.resume(TRAILS)
    for found in request.texts():
        found.replace("changed")
    assert msgspec.json.encode(TRAIL) == before


def test_requests_without_a_trail_keep_their_bytes() -> None:
    data = b'{"messages": [ {"role":"user", "content":"tool" } ],"max_tokens":1e1}'
    request = ChatRequest.of(data, MESSAGES)
    request.resume({})
    assert request.answers() == {}
    assert request.encode() == data


ROUND = st.tuples(st.integers(0, 2), st.integers(0, 2), st.booleans())  # hidden calls, shown calls, a text


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(ROUND, min_size=1, max_size=3), min_size=1, max_size=4))
def test_the_model_gets_the_conversation_that_it_has_had(exchanges: list[list[tuple[int, int, bool]]]) -> None:
    """A loop goes on while all calls are hidden; the client answers its own and asks again."""
    model, client, trails = request_of(Q), request_of(Q), {}
    for number, exchange in enumerate(exchanges):
        rounds, begun, theirs = Rounds(MESSAGES, hides=hides), len(model.messages), []
        for place, (hidden, shown, has_text) in enumerate(exchange):
            theirs = [f"c{number}.{place}.{i}" for i in range(shown)]
            owned = [f"h{number}.{place}.{i}" for i in range(hidden)]
            blocks = [text(f"{number}.{place}")] if has_text or not (owned or theirs) else []
            blocks += [*(call(key, "own__a") for key in owned), *(call(key) for key in theirs)]
            rounds.add(ChatResponse({"content": blocks, "stop_reason": "tool_use"}, layout=MESSAGES))
            results = {key: ToolResult(content=f"for {key}") for key in owned}
            model.answer_calls(rounds.turn(), results)
            if theirs or not owned:
                break
            rounds.go_on()
        trails.update(dict.fromkeys(theirs, msgspec.json.decode(msgspec.json.encode(model.messages[begun:]))))
        answers = {key: ToolResult(content=f"for {key}") for key in theirs}
        client.answer_calls(rounds.result(), answers)
        said = [result_of(key) for key in theirs] + [text("Next.")]
        if theirs:
            client.messages.pop()
        client.messages.append({"role": "user", "content": said})
        last = model.messages[-1]
        if last["role"] == "user":
            last["content"] += said
        else:
            model.messages.append({"role": "user", "content": said})
        if not theirs:
            model.messages[begun:] = client.messages[-2:]
        assert resumed(client.messages, trails) == model.messages


def test_answers_are_what_users_say_to_calls() -> None:
    request = request_of(
        Q, SEEN, user(result_of("c1"), {**result_of("c2"), "content": [text("x")]}, {"type": "tool_result"}),
        turn(result_of("z")), {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "n"}, None]},
    )  # fmt: skip
    assert request.answers() == {"c1": "for c1", "c2": [text("x")], "n": None}


@pytest.mark.parametrize("messages", [None, "tool_use_id", 5, {"tool_use_id": "x"}, [None, {"role": "user"}]])
def test_conversations_of_any_shape_have_no_answers(messages: Any) -> None:
    request = ChatRequest.of(msgspec.json.encode({"messages": messages}), MESSAGES)
    assert request.answers() == {}
    request.set_answer("x", ToolResult(content="y"))
    request.resume(TRAILS)
    assert ChatRequest.of(request.encode(), MESSAGES).to_dict() == {"messages": messages}


def test_an_answer_is_replaced_in_its_place() -> None:
    request = request_of(Q, SEEN, user(result_of("c1", is_error=True, cache_control={}), result_of("c2"), text("x")))
    request.set_answer("c1", ToolResult(content="new"))
    parts = [{"type": "image_url", "image_url": {"url": "https://x/y.png"}}]
    request.set_answer("c2", ToolResult(content=parts, is_error=True))
    image = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    sent = ChatRequest.of(request.encode(), MESSAGES).messages
    assert sent == [
        Q,
        SEEN,
        user(
            {**result_of("c1", cache_control={}), "content": "new"},
            {**result_of("c2"), "content": [image], "is_error": True},
            text("x"),
        ),
    ]
