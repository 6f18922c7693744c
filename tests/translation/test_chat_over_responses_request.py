"""What a Responses handler gets for a chat client's request."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from chatproxy.translation.base import Losses
from chatproxy.translation.chat.responses import ChatOverResponses

Json = dict[str, Any]
PNG = "data:image/png;base64,iVBORw0KGgo="
PDF = "data:application/pdf;base64,JVBERi0xLjQ="
HI = [{"role": "user", "content": "hi"}]


def sent(*, hub: bool = False, **body: Any) -> tuple[Json, list[tuple[str, str]]]:
    """The handler's request, and the fields that were lost or changed."""
    losses = Losses()
    request = {"model": "m", "messages": HI, **body}
    before = copy.deepcopy(request)
    made = ChatOverResponses(losses, hub=hub).request(request)
    assert request == before
    return made, [(loss.field, loss.action) for loss in losses.kept]


def items(*messages: Json, hub: bool = False) -> tuple[list[Json], list[tuple[str, str]]]:
    made, lost = sent(messages=list(messages), hub=hub)
    return made["input"], lost


def test_smallest_request_is_not_stored() -> None:
    assert sent() == (
        {"model": "m", "input": [{"type": "message", "role": "user", "content": "hi"}], "store": False},
        [],
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"max_completion_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_tokens": 5}, {"max_output_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_output_tokens": 6}),
        ({"max_completion_tokens": 6, "max_tokens": 5}, {"max_output_tokens": 6}),
        ({"reasoning_effort": "high"}, {"reasoning": {"effort": "high"}}),
        ({"reasoning_effort": "high", "reasoning": {"effort": "low", "summary": "auto"}},
         {"reasoning": {"effort": "high", "summary": "auto"}}),
        ({"verbosity": "low", "response_format": {"type": "text"}},
         {"text": {"verbosity": "low", "format": {"type": "text"}}}),
        ({"response_format": {"type": "json_object"}}, {"text": {"format": {"type": "json_object"}}}),
        ({"response_format": {"type": "json_schema", "json_schema": {
            "name": "n", "description": "d", "strict": None, "schema": {"type": "object"}}}},
         {"text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "object"}}}}),
        ({"logprobs": True, "top_logprobs": 2}, {"include": ["message.output_text.logprobs"], "top_logprobs": 2}),
        ({"logprobs": False}, {}),
        ({"include": ["x"], "logprobs": True}, {"include": ["x", "message.output_text.logprobs"]}),
        ({"stream": True, "stream_options": {"include_usage": True}}, {"stream": True}),
        ({"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}},
         {"stream": True, "stream_options": {"include_obfuscation": False}}),
        ({"temperature": 2, "top_p": 0.5, "user": "u", "metadata": {"k": "v"}, "service_tier": "flex"},) * 2,
        ({"prompt_cache_key": "k", "safety_identifier": "s", "parallel_tool_calls": False},) * 2,
        ({"temperature": None, "stream": None, "max_tokens": None, "stop": None, "tools": None, "n": None}, {}),
        ({"n": 1, "modalities": ["text"], "store": False, "functions": []}, {}),
        ({"frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "stop": []}, {}),
        ({"my_extension": [1], "another": None},) * 2,
        ({"web_search_options": {"search_context_size": "low", "user_location": {
            "type": "approximate", "approximate": {"city": "Ulm"}}}},
         {"tools": [{"type": "web_search", "search_context_size": "low",
                     "user_location": {"type": "approximate", "city": "Ulm"}}]}),
    ],
)  # fmt: skip
def test_parameter_is_carried(given: Json, expected: Json) -> None:
    made, lost = sent(**given)
    assert ({key: value for key, value in made.items() if key not in ("model", "input", "store")}, lost) == (
        expected,
        [],
    )


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ({"stop": ["x"]}, "dropped"),
        ({"seed": 0}, "dropped"),
        ({"logit_bias": {"1": 1}}, "dropped"),
        ({"presence_penalty": 1}, "dropped"),
        ({"frequency_penalty": -1}, "dropped"),
        ({"prediction": {"type": "content", "content": "x"}}, "dropped"),
        ({"input": "hello"}, "dropped"),
        ({"store": True}, "changed"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else value,
)
def test_parameter_that_responses_lacks_is_on_record(given: Json, action: str) -> None:
    (field,) = given
    made, lost = sent(**given)
    assert lost == [(field, action)]
    assert made == sent()[0]


def test_encrypted_reasoning_is_asked_for_where_it_can_be_carried_back() -> None:
    assert sent(hub=True)[0]["include"] == ["reasoning.encrypted_content"]


def test_tools_become_flat_and_keep_chats_default_strictness() -> None:
    schema = {"type": "object", "properties": {"a": {}}}
    tools = [
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": schema}},
        {"type": "function", "function": {"name": "g", "strict": True, "parameters": None}},
        {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
        {"type": "custom", "custom": {"name": "d"}},
        {
            "type": "custom",
            "custom": {"name": "e", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
        },
    ]
    made, lost = sent(tools=tools, web_search_options={})
    assert lost == []
    assert made["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": schema, "strict": False},
        {
            "type": "function",
            "name": "g",
            "strict": True,
            "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
        },
        {"type": "custom", "name": "c", "format": {"type": "text"}},
        {"type": "custom", "name": "d"},
        {"type": "custom", "name": "e", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {"type": "web_search"},
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("required", "required"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"type": "custom", "custom": {"name": "c"}}, {"type": "custom", "name": "c"}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "f"}}]},
            },
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        ),
    ],
    ids=["word", "function", "custom", "allowed"],
)
def test_tool_choice_becomes_flat(given: Any, expected: Any) -> None:
    assert sent(tool_choice=given)[0]["tool_choice"] == expected


def test_content_parts_become_input_parts() -> None:
    audio = {"data": "AAAA", "format": "wav"}
    mark = {"mode": "explicit"}
    parts = [
        {"type": "text", "text": "a", "prompt_cache_breakpoint": mark},
        {"type": "image_url", "image_url": {"url": PNG}},
        {"type": "image_url", "image_url": {"url": "https://x.y/z", "detail": "high"}},
        {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf"}},
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "input_audio", "input_audio": audio},
    ]
    made, lost = items({"role": "user", "content": parts})
    assert lost == []
    assert made == [
        {
            "type": "message",
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a", "prompt_cache_breakpoint": mark},
                {"type": "input_image", "image_url": PNG, "detail": "auto"},
                {"type": "input_image", "image_url": "https://x.y/z", "detail": "high"},
                {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
                {"type": "input_file", "file_id": "file-1"},
                {"type": "input_audio", "input_audio": audio},
            ],
        }
    ]


@pytest.mark.parametrize("role", ["system", "developer"])
def test_instructions_keep_role_and_place(role: str) -> None:
    made, _ = items(
        {"role": role, "content": "s"},
        {"role": "user", "content": "u"},
        {"role": role, "content": [{"type": "text", "text": "d"}]},
    )
    assert [(item["role"], item["content"]) for item in made] == [
        (role, "s"),
        ("user", "u"),
        (role, [{"type": "input_text", "text": "d"}]),
    ]


def test_assistant_turn_becomes_reasoning_message_and_calls() -> None:
    made, lost = items(
        {
            "role": "assistant",
            "content": "let me see",
            "refusal": None,
            "reasoning_content": "hm",
            "annotations": [],
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{"}},
                {"id": "c2", "type": "custom", "custom": {"name": "e", "input": "ls"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}]},
        {"role": "tool", "tool_call_id": "c1", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
    )
    assert lost == []
    assert made == [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]},
        {"type": "message", "role": "assistant", "content": "let me see"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "e", "input": "ls"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": "2"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_image", "image_url": PNG, "detail": "auto"}],
        },
    ]


CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": "", "tool_calls": CALLS}, None),
        ({"content": None, "tool_calls": CALLS}, None),
        ({"content": ""}, ""),
        ({"content": None, "refusal": "no"}, [{"type": "refusal", "refusal": "no"}]),
        (
            {"content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}]},
            [{"type": "output_text", "text": "a", "annotations": []}, {"type": "refusal", "refusal": "no"}],
        ),
    ],
    ids=["call", "call_null", "empty", "refusal", "parts"],
)
def test_assistant_content_is_a_message_where_there_is_some(message: Json, content: Any) -> None:
    made, _ = items({"role": "assistant", **message})
    assert [item["content"] for item in made if item["type"] == "message"] == ([] if content is None else [content])


@pytest.mark.parametrize(
    ("block", "item", "lost"),
    [
        (
            {"type": "thinking", "thinking": "hm", "signature": "rs_1:gAA"},
            {"id": "rs_1", "encrypted_content": "gAA", "summary": [{"type": "summary_text", "text": "hm"}]},
            [],
        ),
        (
            {"type": "redacted_thinking", "data": "rs_:gAA"},
            {"encrypted_content": "gAA", "summary": []},
            [],
        ),
        (
            {"type": "thinking", "thinking": "hm", "signature": "EqRk"},
            {"summary": [{"type": "summary_text", "text": "hm"}]},
            [("messages[0].thinking_blocks[0].signature", "dropped")],
        ),
        (
            {"type": "redacted_thinking", "data": "EqRk"},
            None,
            [("messages[0].thinking_blocks[0]", "dropped")],
        ),
    ],
    ids=["own", "own_redacted", "foreign", "foreign_redacted"],
)
def test_reasoning_goes_back_to_the_model_that_signed_it(block: Json, item: Json | None, lost: Any) -> None:
    message = {"role": "assistant", "content": "a", "reasoning_content": "ignored", "thinking_blocks": [block]}
    made, found = items(message, hub=True)
    assert [one for one in made if one["type"] == "reasoning"] == (
        [] if item is None else [{"type": "reasoning", **item}]
    )
    assert found == lost


def test_fields_without_a_place_are_on_record() -> None:
    parts = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    _, lost = items({"role": "user", "name": "bob", "content": parts}, {"role": "assistant", "content": "a", "x": 1})
    assert lost == [
        ("messages[0].name", "dropped"),
        ("messages[0].content[0].cache_control", "dropped"),
        ("messages[1].x", "dropped"),
    ]


@pytest.mark.parametrize(
    ("handlers", "clients"),
    [
        ("max_output_tokens", "max_tokens"),
        ("input", "messages"),
        ("input[2].output", "messages[1]"),
        ("input[9]", "messages"),
        ("text.format.schema", "response_format.json_schema.schema"),
        ("text.format", "response_format"),
        ("reasoning.effort", "reasoning_effort"),
        ("temperature", "temperature"),
    ],
)
def test_error_names_the_clients_field(handlers: str, clients: str) -> None:
    translation = ChatOverResponses(Losses())
    messages = [
        {"role": "assistant", "content": "a", "tool_calls": CALLS},
        {"role": "tool", "tool_call_id": "c", "content": "r"},
    ]
    translation.request({"model": "m", "messages": messages, "max_tokens": 5})
    assert translation.param(handlers) == clients
