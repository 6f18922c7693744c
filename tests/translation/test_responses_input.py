"""Input items become chat messages."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
ASKED = {"role": "user", "content": "hello"}
THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
ANSWER = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "wait", "annotations": []}],
}
CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c1",
    "name": "look",
    "arguments": "{}",
    "status": "completed",
}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}
CUSTOM = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "run", "input": "ls"}
CHAT_CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
CHAT_CUSTOM = {"id": "c2", "type": "custom", "custom": {"name": "run", "input": "ls"}}
IMAGE = {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"}
CHAT_IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}}


def messages(*items: Any, hub: bool = False, **fields: Any) -> tuple[list[Json], list[tuple[str, str]]]:
    losses = Losses()
    made = ResponsesOverChat(losses, hub=hub).request({"model": "m", "input": list(items), **fields})
    return made["messages"], [(loss.field, loss.action) for loss in losses.kept]


def refused(*items: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        messages(*items)
    return caught.value


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_come_first_in_the_role_of_the_others(role: str) -> None:
    brief = {"type": "message", "role": role, "content": [{"type": "input_text", "text": "be brief"}]}
    kind = {"role": role, "content": "be kind"}
    assert messages(ASKED, brief, kind, instructions="be good") == (
        [
            {"role": role, "content": "be good"},
            {"role": "user", "content": "hello"},
            {"role": role, "content": "be brief"},
            {"role": role, "content": "be kind"},
        ],
        [],
    )


def test_instructions_alone_are_the_systems() -> None:
    assert messages(ASKED, instructions="be good")[0][0] == {"role": "system", "content": "be good"}


@pytest.mark.parametrize(("first", "second"), [("system", "developer"), ("developer", "system")])
def test_mixed_roles_of_instructions_are_refused(first: str, second: str) -> None:
    error = refused({"role": first, "content": "a"}, ASKED, {"role": second, "content": "b"})
    assert (error.status, error.code, error.param) == (400, "invalid_value", "input[2].role")


def test_what_a_model_said_in_a_row_is_one_message() -> None:
    assert messages(ASKED, THOUGHT, ANSWER, CALL, CUSTOM, RESULT, ASKED) == (
        [
            ASKED,
            {
                "role": "assistant",
                "content": "wait",
                "reasoning_content": "hm",
                "tool_calls": [CHAT_CALL, CHAT_CUSTOM],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
            ASKED,
        ],
        [],
    )


def test_turns_on_both_sides_of_a_result_stay_apart() -> None:
    again = {**CALL, "call_id": "c3"}
    made, _ = messages(CALL, RESULT, THOUGHT, again, {**RESULT, "call_id": "c3"}, ANSWER)
    assert made == [
        {"role": "assistant", "content": None, "tool_calls": [CHAT_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [{**CHAT_CALL, "id": "c3"}]},
        {"role": "tool", "tool_call_id": "c3", "content": "sunny"},
        {"role": "assistant", "content": "wait"},
    ]


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param("hi", "hi", id="text"),
        pytest.param([], "", id="nothing"),
        pytest.param([{"type": "output_text", "text": "hi"}], "hi", id="part"),
        pytest.param(
            [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
            id="refusal",
        ),
    ],
)
def test_earlier_answer_keeps_its_content(content: Any, wanted: Any) -> None:
    assert messages({"role": "assistant", "content": content}) == ([{"role": "assistant", "content": wanted}], [])


def test_two_answers_in_a_row_keep_both_texts() -> None:
    made, _ = messages(ANSWER, {"role": "assistant", "content": "go"})
    texts = [{"type": "text", "text": "wait"}, {"type": "text", "text": "go"}]
    assert made == [{"role": "assistant", "content": texts}]


@pytest.mark.parametrize(
    ("item", "lost"),
    [
        pytest.param({**ANSWER, "phase": "commentary"}, ("input[0].phase", "dropped"), id="phase"),
        pytest.param(
            {"role": "assistant", "content": [{"type": "output_text", "text": "a", "annotations": [{"type": "x"}]}]},
            ("input[0].content[0].annotations", "dropped"),
            id="annotations",
        ),
        pytest.param({**CALL, "namespace": "n"}, ("input[0].namespace", "dropped"), id="namespace"),
        pytest.param(
            {**THOUGHT, "content": [{"type": "reasoning_text", "text": "long"}]},
            ("input[0].summary", "dropped"),
            id="summary-beside-content",
        ),
        pytest.param(
            {**THOUGHT, "encrypted_content": "gAAA"}, ("input[0].encrypted_content", "dropped"), id="encrypted"
        ),
    ],
)
def test_what_chat_lacks_is_on_record(item: Json, lost: tuple[str, str]) -> None:
    assert messages(item)[1] == [lost]


@pytest.mark.parametrize(
    "item",
    [
        pytest.param({"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}, id="encrypted-only"),
        pytest.param({"type": "reasoning", "summary": []}, id="empty"),
        pytest.param({"type": "web_search_call", "id": "ws_1", "status": "completed"}, id="search"),
    ],
)
def test_item_without_meaning_for_chat_is_dropped_and_on_record(item: Json) -> None:
    assert messages(ASKED, item, ASKED) == ([ASKED, ASKED], [("input[1]", "dropped")])


def test_reasoning_alone_still_makes_a_message() -> None:
    assert messages(THOUGHT)[0] == [{"role": "assistant", "content": "", "reasoning_content": "hm"}]


@pytest.mark.parametrize(
    ("item", "block"),
    [
        pytest.param(
            {**THOUGHT, "encrypted_content": "thinking:sig"},
            {"type": "thinking", "thinking": "hm", "signature": "sig"},
            id="thinking",
        ),
        pytest.param(
            {"type": "reasoning", "summary": [], "encrypted_content": "redacted_thinking:xyz"},
            {"type": "redacted_thinking", "data": "xyz"},
            id="redacted",
        ),
    ],
)
def test_signed_reasoning_goes_back_to_its_maker(item: Json, block: Json) -> None:
    made, lost = messages(item, ANSWER, hub=True)
    assert (made[0]["thinking_blocks"], lost) == ([block], [])


def test_signed_reasoning_of_another_maker_is_not_passed_off_as_a_block() -> None:
    made, lost = messages({**THOUGHT, "encrypted_content": "gAAA"}, hub=True)
    assert made[0]["reasoning_content"] == "hm"
    assert made[0]["thinking_blocks"] == [{"type": "thinking", "thinking": "hm", "signature": None}]
    assert lost == [("input[0].encrypted_content", "dropped")]


def test_unknown_keys_go_along() -> None:
    sign = {"google": {"thought_signature": "s"}}
    made, _ = messages({**ASKED, "name": "ann"}, {**CALL, "extra_content": sign})
    assert made == [
        {"role": "user", "content": "hello", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [{**CHAT_CALL, "extra_content": sign}]},
    ]


def test_images_of_results_follow_them_as_a_users() -> None:
    shown = {**RESULT, "output": [{"type": "input_text", "text": "see"}, IMAGE]}
    other = {"type": "custom_tool_call_output", "call_id": "c2", "output": "done"}
    made, lost = messages(CALL, CUSTOM, shown, other, ANSWER)
    assert made[1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "see"},
        {"role": "tool", "tool_call_id": "c2", "content": "done"},
        {"role": "user", "content": [CHAT_IMAGE]},
        {"role": "assistant", "content": "wait"},
    ]
    assert lost == [("input[2].output[1]", "changed")]


@pytest.mark.parametrize(
    ("items", "param"),
    [
        pytest.param([RESULT], "input[0].call_id", id="no-call"),
        pytest.param([RESULT, CALL], "input[0].call_id", id="call-comes-later"),
        pytest.param([CALL, RESULT, {**RESULT, "call_id": "c9"}], "input[2].call_id", id="another-call"),
        pytest.param(
            [ASKED, {"type": "custom_tool_call_output", "call_id": "c2", "output": ""}], "input[1].call_id", id="custom"
        ),
    ],
)
def test_orphan_result_is_refused(items: list[Json], param: str) -> None:
    error = refused(*items)
    assert (error.status, error.code, error.param) == (400, "invalid_value", param)
    assert "no call with the id" in error.message


@pytest.mark.parametrize(
    ("item", "param", "code"),
    [
        pytest.param("hello", "input[0]", "invalid_type", id="text"),
        pytest.param({}, "input[0].type", "missing_required_parameter", id="no-type"),
        pytest.param({"type": 3}, "input[0].type", "invalid_type", id="type-number"),
        pytest.param({"type": "note"}, "input[0].type", "invalid_value", id="type-unknown"),
        pytest.param({"type": "message", "content": "a"}, "input[0].role", "missing_required_parameter", id="no-role"),
        pytest.param({"role": "bot", "content": "a"}, "input[0].role", "invalid_value", id="role-unknown"),
        pytest.param({"role": ["user"], "content": "a"}, "input[0].role", "invalid_type", id="role-list"),
        pytest.param({"role": "user"}, "input[0].content", "missing_required_parameter", id="no-content"),
        pytest.param({"role": "assistant"}, "input[0].content", "missing_required_parameter", id="no-answer"),
        pytest.param({"role": "user", "content": 5}, "input[0].content", "invalid_type", id="content-number"),
        pytest.param({**CALL, "call_id": None}, "input[0].call_id", "missing_required_parameter", id="no-call-id"),
        pytest.param({**CALL, "arguments": {}}, "input[0].arguments", "invalid_type", id="arguments-object"),
        pytest.param({**CUSTOM, "input": None}, "input[0].input", "missing_required_parameter", id="no-custom-input"),
        pytest.param({**RESULT, "call_id": 1}, "input[0].call_id", "invalid_type", id="call-id-number"),
        pytest.param({**THOUGHT, "summary": "hm"}, "input[0].summary", "invalid_type", id="summary-text"),
        pytest.param(
            {**THOUGHT, "summary": [{}]}, "input[0].summary[0].text", "missing_required_parameter", id="summary-part"
        ),
        pytest.param(
            {**THOUGHT, "encrypted_content": 1}, "input[0].encrypted_content", "invalid_type", id="encrypted-number"
        ),
        pytest.param({"type": "item_reference", "id": "msg_1"}, "input[0]", "unsupported_content", id="reference"),
        pytest.param({"id": "msg_1"}, "input[0]", "unsupported_content", id="reference-without-type"),
        pytest.param({"type": "computer_call_output"}, "input[0]", "unsupported_content", id="computer"),
        pytest.param({"type": "compaction"}, "input[0]", "unsupported_content", id="compaction"),
    ],
)
def test_wrong_item_is_refused_by_name(item: Any, param: str, code: str) -> None:
    error = refused(item)
    assert (error.status, error.code, error.param) == (400, code, param)


def test_output_must_be_there() -> None:
    assert refused(CALL, {"type": "function_call_output", "call_id": "c1"}).param == "input[1].output"
