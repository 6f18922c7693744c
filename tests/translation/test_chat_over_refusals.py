"""Chat requests that no handler of another surface could answer are refused, and the refusal names the field."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Losses
from chatproxy.translation.chat.messages import ChatOverMessages
from chatproxy.translation.chat.responses import ChatOverResponses

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
BIG = base64.b64encode(bytes(10_000_001)).decode()


def part(**fields: Any) -> Json:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, fields]}]}


def image(url: Any, **fields: Any) -> Json:
    return part(type="image_url", image_url={"url": url, **fields})


def file(**fields: Any) -> Json:
    return part(type="file", file=fields)


def said(**fields: Any) -> Json:
    return {"messages": [USER, {"role": "assistant", **fields}]}


def choice(value: Any) -> Json:
    return {"tool_choice": value}


AT = "messages[0].content[1]"
BOTH = [
    ({"messages": None}, "messages", "missing_required_parameter"),
    ({"messages": []}, "messages", "empty_array"),
    ({"messages": USER}, "messages", "invalid_type"),
    ({"messages": [1]}, "messages[0]", "invalid_type"),
    ({"messages": [{"content": "x"}]}, "messages[0].role", "missing_required_parameter"),
    ({"messages": [{"role": "critic", "content": "x"}]}, "messages[0].role", "invalid_value"),
    ({"messages": [{"role": "function", "name": "f", "content": "x"}]}, "messages[0].role", "unsupported_content"),
    ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "system", "content": None}]}, "messages[0].content", "missing_required_parameter"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
    ({"messages": [{"role": "user", "content": ["a"]}]}, "messages[0].content[0]", "invalid_type"),
    (
        {"messages": [{"role": "system", "content": "a"}, USER, {"role": "developer", "content": "b"}]},
        "messages[2].role",
        "invalid_value",
    ),
    (
        {"messages": [{"role": "developer", "content": "a"}, {"role": "system", "content": "b"}]},
        "messages[1].role",
        "invalid_value",
    ),
    (part(), f"{AT}.type", "missing_required_parameter"),
    (part(type="input_text", text="a"), f"{AT}.type", "invalid_value"),
    (part(type="text", text=None), f"{AT}.text", "missing_required_parameter"),
    (part(type="text", text=1), f"{AT}.text", "invalid_type"),
    (part(type="refusal", refusal="no"), f"{AT}.type", "invalid_value"),
    (part(type="video_url", video_url={}), f"{AT}.type", "unsupported_content"),
    (
        {"messages": [{"role": "system", "content": [{"type": "image_url"}]}]},
        "messages[0].content[0].type",
        "invalid_value",
    ),
    (part(type="image_url", image_url="https://x.y"), f"{AT}.image_url", "invalid_type"),
    (image(None), f"{AT}.image_url.url", "missing_required_parameter"),
    (image("ftp://x.y"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png,abc"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png;base64"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png;base64,"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png;base64,a!cd"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png;base64,abcdé"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:image/png;base64,abc"), f"{AT}.image_url.url", "invalid_value"),
    (image("data:text/html;base64,AAAA"), f"{AT}.image_url.url", "invalid_value"),
    (image(f"data:image/png;base64,{BIG}"), f"{AT}.image_url.url", "invalid_value"),
    (image("https://x.y", detail=1), f"{AT}.image_url.detail", "invalid_type"),
    (part(type="file", file=None), f"{AT}.file", "missing_required_parameter"),
    (file(filename="a.pdf"), f"{AT}.file.file_data", "missing_required_parameter"),
    (file(file_data="not base64!"), f"{AT}.file.file_data", "invalid_value"),
    (said(content=None), "messages[1].content", "missing_required_parameter"),
    (said(content=[{"type": "image_url"}]), "messages[1].content[0].type", "invalid_value"),
    (said(content="a", refusal=1), "messages[1].refusal", "invalid_type"),
    (said(content="a", audio={"id": "a"}), "messages[1].audio", "unsupported_content"),
    (said(content="a", function_call={"name": "f"}), "messages[1].function_call", "unsupported_content"),
    (said(content="a", reasoning_content=[1]), "messages[1].reasoning_content", "invalid_type"),
    (said(content="a", thinking_blocks=[{"type": "x"}]), "messages[1].thinking_blocks[0].type", "invalid_value"),
    (
        said(content="a", thinking_blocks=[{"type": "thinking", "thinking": "a", "signature": 1}]),
        "messages[1].thinking_blocks[0].signature",
        "invalid_type",
    ),
    (said(tool_calls={}, content="a"), "messages[1].tool_calls", "invalid_type"),
    (said(tool_calls=[{**CALL, "type": "x"}]), "messages[1].tool_calls[0].type", "invalid_value"),
    (said(tool_calls=[{**CALL, "id": None}]), "messages[1].tool_calls[0].id", "missing_required_parameter"),
    (said(tool_calls=[{"id": "c"}]), "messages[1].tool_calls[0].function", "missing_required_parameter"),
    (
        said(tool_calls=[{**CALL, "function": {"name": "f", "arguments": {}}}]),
        "messages[1].tool_calls[0].function.arguments",
        "invalid_type",
    ),
    ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id", "missing_required_parameter"),
    (
        {"messages": [USER, {"role": "tool", "tool_call_id": "c", "content": "x"}]},
        "messages[1].tool_call_id",
        "invalid_value",
    ),
    (
        {"messages": [said(tool_calls=[CALL])["messages"][1], {"role": "tool", "tool_call_id": "c"}]},
        "messages[1].content",
        "missing_required_parameter",
    ),
    ({"n": 2}, "n", "unsupported_parameter"),
    ({"n": "1"}, "n", "invalid_type"),
    ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
    ({"audio": {"voice": "x"}}, "audio", "unsupported_parameter"),
    ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
    ({"function_call": "auto"}, "function_call", "unsupported_parameter"),
    ({"tools": {}}, "tools", "invalid_type"),
    ({"tools": [{"type": "web_search"}]}, "tools[0].type", "invalid_value"),
    ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_required_parameter"),
    ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_required_parameter"),
    (choice("sometimes"), "tool_choice", "invalid_value"),
    (choice(1), "tool_choice", "invalid_type"),
    (choice({"type": "web_search"}), "tool_choice.type", "invalid_value"),
    (choice({"type": "function", "function": {}}), "tool_choice.function.name", "missing_required_parameter"),
    ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
    ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
    ({"stream_options": 1}, "stream_options", "invalid_type"),
]
MESSAGES = [
    (part(type="input_audio", input_audio={}), f"{AT}.type", "unsupported_content"),
    (image("data:image/bmp;base64,AAAA"), f"{AT}.image_url.url", "unsupported_content"),
    (file(file_id="file-1"), f"{AT}.file.file_id", "unsupported_content"),
    (file(file_data="data:text/csv;base64,AAAA"), f"{AT}.file.file_data", "unsupported_content"),
    (file(file_data="AAAA"), f"{AT}.file.file_data", "unsupported_content"),
    (file(file_data="data:text/plain;base64,/w=="), f"{AT}.file.file_data", "invalid_value"),
    *[
        (
            said(tool_calls=[{**CALL, "function": {"name": "f", "arguments": arguments}}]),
            "messages[1].tool_calls[0].function.arguments",
            "invalid_value",
        )
        for arguments in ("{", "[1]", '"a"', '{"a": 1} x', "\ud800")
    ],
    ({"messages": [{"role": "system", "content": "x"}]}, "messages", "unsupported_content"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages", "unsupported_content"),
    ({"temperature": "hot"}, "temperature", "invalid_type"),
    ({"temperature": True}, "temperature", "invalid_type"),
    ({"stop": 1}, "stop", "invalid_type"),
    ({"stop": ["a", 1]}, "stop[1]", "invalid_type"),
    ({"user": 1}, "user", "invalid_type"),
    ({"metadata": []}, "metadata", "invalid_type"),
    ({"service_tier": {}}, "service_tier", "invalid_type"),
    ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
    ({"reasoning_effort": 1}, "reasoning_effort", "invalid_type"),
    ({"parallel_tool_calls": "no"}, "parallel_tool_calls", "invalid_type"),
    (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
        "response_format.json_schema.schema",
        "missing_required_parameter",
    ),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]},
        "tools[0].function.parameters",
        "invalid_type",
    ),
    (
        choice({"type": "allowed_tools", "allowed_tools": {"mode": "none", "tools": []}}),
        "tool_choice.allowed_tools.mode",
        "invalid_value",
    ),
]
RESPONSES = [
    (part(type="input_audio", input_audio={"data": "!", "format": "wav"}), f"{AT}.input_audio.data", "invalid_value"),
    (part(type="input_audio", input_audio={"data": "AAAA"}), f"{AT}.input_audio.format", "missing_required_parameter"),
    ({"logprobs": 1}, "logprobs", "invalid_type"),
    ({"include": "x"}, "include", "invalid_type"),
    (
        {"tools": [{"type": "custom", "custom": {"name": "c", "format": {"type": "grammar"}}}]},
        "tools[0].custom.format.grammar",
        "missing_required_parameter",
    ),
    (
        choice({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [1]}}),
        "tool_choice.allowed_tools.tools[0]",
        "invalid_type",
    ),
]  # fmt: skip


def refused(translation: ChatOverMessages | ChatOverResponses, body: Json, param: str, code: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        translation.request({"model": "m", "messages": [USER], **body})
    assert (caught.value.param, caught.value.code, caught.value.status) == (param, code, 400)
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("kind", [ChatOverMessages, ChatOverResponses], ids=["messages", "responses"])
@pytest.mark.parametrize(("body", "param", "code"), BOTH, ids=[f"{i}-{case[1]}" for i, case in enumerate(BOTH)])
def test_request_is_refused_for_either_handler(kind: Any, body: Json, param: str, code: str) -> None:
    refused(kind(Losses()), body, param, code)


@pytest.mark.parametrize(("body", "param", "code"), MESSAGES, ids=[f"{i}-{case[1]}" for i, case in enumerate(MESSAGES)])
def test_request_is_refused_for_a_messages_handler(body: Json, param: str, code: str) -> None:
    refused(ChatOverMessages(Losses()), body, param, code)


@pytest.mark.parametrize(
    ("body", "param", "code"), RESPONSES, ids=[f"{i}-{case[1]}" for i, case in enumerate(RESPONSES)]
)
def test_request_is_refused_for_a_responses_handler(body: Json, param: str, code: str) -> None:
    refused(ChatOverResponses(Losses()), body, param, code)


@pytest.mark.parametrize("kind", [ChatOverMessages, ChatOverResponses], ids=["messages", "responses"])
def test_largest_image_is_taken(kind: Any) -> None:
    largest = base64.b64encode(bytes(10_000_000)).decode()
    kind(Losses()).request({"model": "m", **image(f"data:image/png;base64,{largest}")})
