"""What a conversation on Responses says about calls, and what was hidden of it put back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.types import ChatRequest, ChatResponse, ToolResult
from chatproxy.types.responses import RESPONSES

Json = dict[str, Any]
USER = {"role": "user", "content": "Ask."}
NEXT = {"type": "message", "role": "user", "content": "And?"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "opaque"}
LATER_THOUGHT = {**THOUGHT, "id": "rs_2"}
SHOWN = {"type": "mcp_call", "id": "mcp_1", "server_label": "gw", "name": "t", "arguments": "{}", "output": "42"}


def text(said: str, own_id: str = "msg_1") -> Json:
    content = [{"type": "output_text", "text": said, "annotations": []}]
    return {"type": "message", "id": own_id, "role": "assistant", "status": "completed", "content": content}


def call(call_id: str) -> Json:
    return {"type": "function_call", "id": f"fc_{call_id}", "call_id": call_id, "name": "f", "arguments": "{}"}


def answer(call_id: str, output: Any = "x") -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def request_of(*items: Any) -> ChatRequest:
    return ChatRequest.of(msgspec.json.encode({"model": "m", "input": list(items)}), RESPONSES)


def sent(request: ChatRequest) -> Any:
    return msgspec.json.decode(request.encode())["input"]


# One exchange: thought, text and a hidden call; then a thought, a text, and calls of both kinds.
FIRST_TURN = [THOUGHT, text("One."), call("h1")]
LAST_TURN = [LATER_THOUGHT, text("Two.", "msg_2"), call("h2"), call("a"), call("b")]
TRAIL = [*FIRST_TURN, answer("h1"), *LAST_TURN, answer("h2")]
TRAILS = {"a": TRAIL, "b": TRAIL}
TURN = [THOUGHT, text("One."), SHOWN, LATER_THOUGHT, text("Two.", "msg_2"), call("a"), call("b")]
RESULTS = [answer("a", "1"), answer("b", "2")]


def test_answers_are_read_by_the_call() -> None:
    parts = [{"type": "input_text", "text": "y"}]
    other = {"type": "custom_tool_call_output", "call_id": "c", "output": "z"}
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    request = request_of(USER, call("a"), answer("a"), answer("b", parts), other, approval, "x", answer("a", "again"))
    assert request.answers() == {"a": "again", "b": parts}


@pytest.mark.parametrize("value", ["function_call_output", None, {"type": "function_call_output", "call_id": "a"}, 7])
def test_an_input_that_is_no_list_holds_no_answers(value: Any) -> None:
    body = msgspec.json.encode({"input": value})
    request = ChatRequest.of(body, RESPONSES)
    assert request.answers() == {}
    request.set_answer("a", ToolResult(content="x"))
    request.resume(TRAILS)
    assert msgspec.json.decode(request.encode()) == {"input": value}


def test_a_conversation_without_answers_keeps_its_bytes() -> None:
    body = b'{"model": "m",  "input": [{"role": "user",  "content": "hi"}]}'
    request = ChatRequest.of(body, RESPONSES)
    assert request.answers() == {}
    request.resume({})
    assert request.encode() == body


def test_an_answer_is_replaced_in_the_form_of_the_surface() -> None:
    request = request_of(answer("a", "old"), answer("b"), {**answer("a"), "id": "fco_1"})
    request.set_answer("a", ToolResult(content=[{"type": "text", "text": "new"}], is_error=True))
    request.set_answer("unknown", ToolResult(content="new"))
    new = {**answer("a", [{"type": "input_text", "text": "new"}]), "id": "fco_1"}
    assert sent(request) == [answer("a", "old"), answer("b"), new]


def bare(items: list[Json]) -> list[Json]:
    """Items without the ids and states that some clients leave out."""
    return [{key: value for key, value in item.items() if key not in {"id", "status"}} for item in items]


def references(items: list[Json]) -> list[Json]:
    return [{"type": "item_reference", "id": item["id"]} for item in items]


@pytest.mark.parametrize(
    "turn",
    [
        TURN,
        bare(TURN),
        references(TURN),
        [*TURN[:-1], SHOWN, call("b")],
        [THOUGHT, text("One, edited."), LATER_THOUGHT, text("Two, edited."), call("a"), call("b")],
        [text("Two."), call("b"), call("a")],
        [call("a"), call("b"), *TURN[:-2]],
        [{"role": "assistant", "content": "One."}, call("a"), text("Two."), call("b")],
        [call("a"), call("b")],
    ],
    ids=["as given", "no ids", "references", "added between", "edited", "less", "calls first", "short form", "calls"],
)
@pytest.mark.parametrize("before", [[], [USER], [USER, text("Hi."), USER]], ids=["nothing", "user", "turns"])
def test_what_was_hidden_comes_back_in_place_of_what_the_client_kept(before: list[Json], turn: list[Json]) -> None:
    request = request_of(*before, *turn, *RESULTS, NEXT)
    request.resume(TRAILS)
    assert sent(request) == [*before, *TRAIL, *RESULTS, NEXT]


def test_results_between_the_calls_stay_behind_the_turn() -> None:
    request = request_of(USER, *TURN[:-1], RESULTS[0], call("b"), RESULTS[1])
    request.resume(TRAILS)
    assert sent(request) == [USER, *TRAIL, *RESULTS]


def test_a_call_that_the_client_did_not_keep_leaves_with_it() -> None:
    request = request_of(USER, *TURN[:-2], call("b"), RESULTS[1])
    request.resume(TRAILS)
    assert sent(request) == [USER, *(item for item in TRAIL if item != call("a")), RESULTS[1]]


def test_each_of_several_exchanges_comes_back_in_its_place() -> None:
    second = [text("Three.", "msg_3"), call("h3"), call("c")]
    trails = {**TRAILS, "c": [*second, answer("h3")], "gone": [call("gone")]}
    kept = [text("Three.", "msg_3"), call("c")]
    request = request_of(USER, *TURN, *RESULTS, *kept, answer("c"), text("Done.", "msg_4"), NEXT)
    request.resume(trails)
    after = [*TRAIL, *RESULTS, *second, answer("h3"), answer("c"), text("Done.", "msg_4"), NEXT]
    assert sent(request) == [USER, *after]


def test_what_the_client_said_itself_stays() -> None:
    own = text("Mine.", "msg_own")
    approval = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    other = [call("z"), answer("z")]
    request = request_of(USER, own, *other, approval, *TURN, *RESULTS, own)
    request.resume(TRAILS)
    assert sent(request) == [USER, own, *other, approval, *TRAIL, *RESULTS, own]


def test_an_own_text_beside_the_turn_is_no_copy_of_it() -> None:
    own = text("Mine.", "msg_own")
    request = request_of(own, *TURN, *RESULTS)
    request.resume(TRAILS)
    assert sent(request) == [own, *TRAIL, *RESULTS]


def test_trails_without_a_call_in_the_conversation_change_nothing() -> None:
    items = [USER, text("Hi."), answer("a"), {"type": "item_reference", "id": "fc_other"}, call("b"), "x", None, 7]
    request = request_of(*items)
    request.resume({"a": TRAIL, "b": [text("no call")], "c": []})
    assert sent(request) == items


def test_a_changed_conversation_does_not_change_the_trail() -> None:
    trail = msgspec.json.decode(msgspec.json.encode(TRAIL))
    request = request_of(USER, *TURN, *RESULTS)
    request.resume({"a": trail})
    for item in request.messages:
        item["content"] = "changed"
    assert trail == TRAIL


def test_a_round_and_its_results_are_what_a_trail_holds() -> None:
    request = request_of(USER)
    for turn, hidden in ((FIRST_TURN, "h1"), (LAST_TURN, "h2")):
        reply = ChatResponse({"output": turn}, layout=RESPONSES)
        request.answer_calls(reply, {hidden: ToolResult(content="x")})
    assert request.messages[1:] == TRAIL


ODD = st.sampled_from([
    *TURN, *RESULTS, *TRAIL, *references(TURN), USER, None, 7, "x", [], {}, {"type": []}, {"call_id": "a"},
    {"type": "function_call", "call_id": ["a"]}, {"type": "item_reference", "id": {}}, {"id": "fc_a"},
])  # fmt: skip


@given(st.lists(ODD, max_size=12), st.lists(ODD, max_size=8))
def test_conversations_of_any_shape_lose_no_result_and_double_no_call(items: list[Any], trail: list[Any]) -> None:
    request = request_of(*items)
    request.resume({"a": trail, "b": TRAIL})
    after = sent(request)
    for result in RESULTS:
        assert after.count(result) >= items.count(result)
    if call("b") in items and call("b") not in trail:
        assert after.count(call("b")) == items.count(call("b"))
    request.answers()
