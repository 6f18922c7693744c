"""What the surfaces messages and count_tokens say of themselves, and how they fail."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from chatproxy.errors import ApiError, InvalidRequest, NotFound, UpstreamError
from chatproxy.sse import frame_data, frame_event
from chatproxy.types import ChatRequest, ChatResponse, ToolResult, Usage
from chatproxy.types.messages import MESSAGES
from chatproxy.types.messages_counting import COUNT_TOKENS


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (408, "timeout_error"),
        (413, "request_too_large"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
        (529, "overloaded_error"),
    ],
)
@pytest.mark.parametrize("layout", [MESSAGES, COUNT_TOKENS], ids=lambda layout: layout.surface)
def test_the_type_of_an_error_follows_from_its_status(layout: Any, status: int, kind: str) -> None:
    body = layout.error_body(ApiError("m", status=status), "req_1")
    assert body == {"type": "error", "error": {"type": kind, "message": "m"}, "request_id": "req_1"}


def test_code_and_param_are_told_where_they_are_known() -> None:
    error = NotFound("m", code="model_not_found", param="model")
    said = {"type": "not_found_error", "message": "m", "code": "model_not_found", "param": "model"}
    assert MESSAGES.error_body(error, "r") == {"type": "error", "error": said, "request_id": "r"}
    frame = MESSAGES.error_frame(error, MESSAGES.tally())
    assert frame_event(frame) == "error"
    assert msgspec.json.decode(frame_data(frame) or b"") == {"type": "error", "error": said}
    assert frame.endswith(b"\n\n")


def test_an_error_that_the_upstream_sent_in_its_stream_keeps_its_type() -> None:
    tally = MESSAGES.tally()
    with pytest.raises(UpstreamError) as caught:
        tally.add(b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}')
    frame = MESSAGES.error_frame(caught.value, tally)
    body = msgspec.json.decode(frame_data(frame) or b"")
    assert body["error"] == {"type": "overloaded_error", "message": "busy", "code": "overloaded_error"}


def test_a_request_to_count_is_read_as_messages_are() -> None:
    body = {"system": "a", "messages": [{"role": "user", "content": "b"}], "tools": [{"description": "c"}]}
    request = ChatRequest(body, layout=COUNT_TOKENS)
    assert [text.value for text in request.texts()] == ["b", "a", "c"]
    request.instruct("d")
    request.tools.append({"type": "function", "function": {"name": "f"}})
    assert request["system"] == "a\n\nd"
    assert [tool.get("name") for tool in request.tools] == [None, "f"]
    assert request.messages == [{"role": "user", "content": "b"}]


@pytest.mark.parametrize(
    ("reply", "usage"),
    [
        ({"input_tokens": 12}, Usage(prompt_tokens=12, total_tokens=12)),
        ({"input_tokens": 0, "context_management": {"x": 1}}, Usage()),
        ({"input_tokens": None}, None),
        ({"input_tokens": -1}, None),
        ({"input_tokens": True}, None),
        ({"input_tokens": "12"}, None),
        ({}, None),
    ],
    ids=str,
)
def test_the_count_is_the_usage_of_the_request(reply: dict[str, Any], usage: Usage | None) -> None:
    response = ChatResponse.of(msgspec.json.encode(reply), COUNT_TOKENS)
    assert response.summary == (usage, [])
    assert (response.usage, response.finish_reasons, response.tool_calls, [*response.texts()]) == (usage, [], [], [])


def test_a_count_that_is_no_json_object_is_refused() -> None:
    with pytest.raises(InvalidRequest) as caught:
        COUNT_TOKENS.summary(b"12")
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("name", ["temperature", "max_tokens", "max_completion_tokens", "stop", "seed", "top_p", "n"])
def test_counting_takes_no_parameters_of_writing(name: str) -> None:
    assert COUNT_TOKENS.own_param(name) is None


@pytest.mark.parametrize("name", ["thinking", "output_config", "any_extension"])
def test_counting_takes_every_other_parameter(name: str) -> None:
    assert COUNT_TOKENS.own_param(name) == name


def test_a_count_leaves_the_conversation_as_it_is() -> None:
    request = ChatRequest({"messages": []}, layout=COUNT_TOKENS)
    reply = ChatResponse({"input_tokens": 1}, layout=COUNT_TOKENS)
    request.answer_calls(reply, {"a": ToolResult(content="x")})
    assert request.to_dict() == {"messages": []}
