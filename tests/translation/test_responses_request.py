"""A Responses request becomes a chat request: top-level fields, losses and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
HELLO = [{"role": "user", "content": "hello"}]
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}
TOOL = {"type": "function", "name": "look", "parameters": {}, "strict": True}


def translated(*, hub: bool = False, **fields: Any) -> tuple[Json, list[tuple[str, str]]]:
    """The chat request, and field and action of each loss."""
    losses = Losses()
    made = ResponsesOverChat(losses, hub=hub).request({"model": "m", "input": "hello", **fields})
    return made, [(loss.field, loss.action) for loss in losses.kept]


def refused(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        translated(**fields)
    return caught.value


def test_smallest_request_is_one_user_message() -> None:
    assert translated() == ({"model": "m", "messages": HELLO}, [])


@pytest.mark.parametrize(
    ("fields", "wanted"),
    [
        pytest.param({"max_output_tokens": 9}, {"max_completion_tokens": 9}, id="limit"),
        pytest.param({"temperature": 0, "top_p": 0.5}, {"temperature": 0, "top_p": 0.5}, id="sampling"),
        pytest.param({"top_logprobs": 3}, {"top_logprobs": 3, "logprobs": True}, id="top-logprobs"),
        pytest.param({"top_logprobs": 0}, {}, id="no-logprobs"),
        pytest.param({"include": ["message.output_text.logprobs"]}, {"logprobs": True}, id="logprobs"),
        pytest.param({"include": ["message.input_image.image_url"]}, {}, id="of-the-gateway"),
        pytest.param({"reasoning": {"effort": "low", "summary": None}}, {"reasoning_effort": "low"}, id="effort"),
        pytest.param({"text": {"verbosity": "low"}}, {"verbosity": "low"}, id="verbosity"),
        pytest.param({"text": {"format": {"type": "text"}}}, {}, id="format-text"),
        pytest.param(
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
            id="format-json",
        ),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
                }
            },
            id="format-schema",
        ),
        pytest.param({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}, id="metadata"),
        pytest.param(
            {"safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "flex"},
            {"safety_identifier": "s", "prompt_cache_key": "k", "service_tier": "flex"},
            id="same-names",
        ),
        pytest.param(
            {"prompt_cache_options": {"mode": "explicit"}}, {"prompt_cache_options": {"mode": "explicit"}}, id="cache"
        ),
        pytest.param({"stream": True}, {"stream": True}, id="stream"),
        pytest.param({"n": 1, "modalities": ["text"]}, {"n": 1, "modalities": ["text"]}, id="one-answer-in-text"),
        pytest.param({"store": True}, {}, id="store-is-the-gateways"),
        pytest.param({"truncation": "disabled", "background": False}, {}, id="defaults-said"),
        pytest.param({"stream_options": {"include_obfuscation": False}}, {}, id="no-padding"),
        pytest.param({"seed": 5, "top_k": 3, "x": None}, {"seed": 5, "top_k": 3, "x": None}, id="unknown-fields"),
        pytest.param({"parallel_tool_calls": False, "tool_choice": "auto"}, {}, id="tool-fields-without-tools"),
    ],
)
def test_field_is_carried_without_a_loss(fields: Json, wanted: Json) -> None:
    assert translated(**fields) == ({"model": "m", "messages": HELLO, **wanted}, [])


def test_null_counts_as_absent() -> None:
    names = (
        *("instructions", "tools", "tool_choice", "max_output_tokens", "temperature", "top_p", "text", "reasoning"),
        *("include", "metadata", "user", "store", "stream", "stream_options", "truncation", "background", "prompt"),
        *("previous_response_id", "conversation", "max_tool_calls", "top_logprobs", "parallel_tool_calls"),
    )
    assert translated(**dict.fromkeys(names)) == ({"model": "m", "messages": HELLO}, [])


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"truncation": "auto"}, "truncation", id="truncation"),
        pytest.param({"max_tool_calls": 3}, "max_tool_calls", id="max-tool-calls"),
        pytest.param({"context_management": []}, "context_management", id="context"),
        pytest.param({"include": ["reasoning.encrypted_content"]}, "include[0]", id="encrypted"),
        pytest.param({"reasoning": {"summary": "auto"}}, "reasoning.summary", id="summary"),
        pytest.param({"text": {"shape": 1}}, "text.shape", id="in-text"),
        pytest.param({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", id="pad"),
        pytest.param({"prompt_cache_options": {"prewarm": True}}, "prompt_cache_options.prewarm", id="cache"),
        pytest.param({"messages": [{"role": "user", "content": "smuggled"}]}, "messages", id="messages"),
    ],
)
def test_hint_that_chat_lacks_is_dropped_and_on_record(fields: Json, field: str) -> None:
    assert translated(**fields) == ({"model": "m", "messages": HELLO}, [(field, "dropped")])


def test_field_of_chat_gives_way_to_the_one_of_responses() -> None:
    made, lost = translated(max_output_tokens=9, max_completion_tokens=5)
    assert (made["max_completion_tokens"], lost) == (9, [("max_completion_tokens", "dropped")])


def test_encrypted_reasoning_may_be_asked_of_another_translation() -> None:
    assert translated(hub=True, include=["reasoning.encrypted_content"])[1] == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param({"prompt": {"id": "pmpt_1"}}, "prompt", id="prompt"),
        pytest.param({"conversation": "conv_1"}, "conversation", id="conversation"),
        pytest.param({"previous_response_id": "resp_1"}, "previous_response_id", id="previous"),
        pytest.param({"background": True}, "background", id="background"),
        pytest.param({"n": 2}, "n", id="several-answers"),
        pytest.param({"modalities": ["text", "audio"]}, "modalities", id="audio"),
    ],
)
def test_field_on_which_the_answer_depends_is_refused(fields: Json, param: str) -> None:
    error = refused(**fields)
    assert (error.status, error.code, error.param) == (400, "unsupported_parameter", param)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"input": None}, "input", "missing_required_parameter", id="no-input"),
        pytest.param({"input": {}}, "input", "invalid_type", id="input-object"),
        pytest.param({"instructions": []}, "instructions", "invalid_type", id="instructions-list"),
        pytest.param({"include": "all"}, "include", "invalid_type", id="include-text"),
        pytest.param({"include": [1]}, "include[0]", "invalid_type", id="include-number"),
        pytest.param({"reasoning": "high"}, "reasoning", "invalid_type", id="reasoning-text"),
        pytest.param({"text": "json"}, "text", "invalid_type", id="text-text"),
        pytest.param({"text": {"format": "json"}}, "text.format", "invalid_type", id="format-text"),
        pytest.param({"text": {"format": {}}}, "text.format.type", "missing_required_parameter", id="no-format-type"),
        pytest.param({"text": {"format": {"type": "xml"}}}, "text.format.type", "invalid_value", id="format-xml"),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "schema": {}}}},
            "text.format.name",
            "missing_required_parameter",
            id="no-schema-name",
        ),
        pytest.param(
            {"text": {"format": {"type": "json_schema", "name": "n"}}},
            "text.format.schema",
            "missing_required_parameter",
            id="no-schema",
        ),
        pytest.param({"stream_options": []}, "stream_options", "invalid_type", id="stream-options-list"),
    ],
)
def test_wrong_shape_is_refused_by_name(fields: Json, param: str, code: str) -> None:
    error = refused(**fields)
    assert (error.status, error.code, error.param) == (400, code, param)
    assert param in error.message


def test_message_says_what_was_found_and_wanted() -> None:
    assert refused(input=5).message == "Invalid type for 'input': expected a string or an array, found an integer."


def test_request_is_not_changed() -> None:
    body = {
        "model": "m",
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}],
        "tools": [TOOL],
    }
    before = repr(body)
    ResponsesOverChat(Losses()).request(body)
    assert repr(body) == before


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("messages", "input"),
        ("messages[0].content", "instructions"),
        ("messages[1].content", "input[0]"),
        ("messages[2].tool_calls[0].function.arguments", "input[1]"),
        ("messages[3].tool_call_id", "input[3]"),
        ("messages[9]", "input"),
        ("choices[0].message", "output"),
        ("max_completion_tokens", "max_output_tokens"),
        ("max_tokens", "max_output_tokens"),
        ("response_format.json_schema.schema", "text.format"),
        ("reasoning_effort", "reasoning.effort"),
        ("verbosity", "text.verbosity"),
        ("tools[0].function.parameters", "tools[0].parameters"),
        ("temperature", "temperature"),
    ],
)
def test_field_of_the_chat_request_has_the_clients_name(name: str, wanted: str) -> None:
    translation = ResponsesOverChat(Losses())
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "c", "output": ""}
    body = {"model": "m", "instructions": "i", "input": [*HELLO, {"role": "assistant", "content": "a"}, call, result]}
    translation.request(body)
    assert translation.param(name) == wanted
