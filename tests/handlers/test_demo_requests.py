"""What the demo model refuses, with the field at fault, and what it takes."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo import DemoHandler
from chatproxy.types import Reply, Stream
from tests.handlers.conftest import Ask, chat_request, make_context
from tests.handlers.shapes import read_chunks, read_completion

USER = {"role": "user", "content": "Tell me about cats"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
TOOL = {"type": "function", "function": {"name": "f"}}


async def refusal(**fields: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        await DemoHandler().execute(make_context(), chat_request(**fields))
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
        ("n", 1, 128),
        ("top_logprobs", 0, 20),
    ],
)
async def test_range_is_checked_at_both_ends(ask: Ask, name: str, lowest: int, highest: int) -> None:
    more = {"logprobs": True} if name == "top_logprobs" else {}
    for inside in (lowest, highest, None):
        await ask(**{name: inside}, **more)
    for outside, code in ((lowest - 1, "below_min_value"), (highest + 1, "above_max_value")):
        error = await refusal(**{name: outside}, **more)
        assert error.param == name
        assert error.code is not None
        assert error.code.endswith(code)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"model": ""}, "model", "missing_required_parameter", id="no-model"),
        pytest.param({"temperature": "hot"}, "temperature", "invalid_type", id="temperature-text"),
        pytest.param({"temperature": True}, "temperature", "invalid_type", id="temperature-boolean"),
        pytest.param({"n": 1.5}, "n", "invalid_type", id="n-fraction"),
        pytest.param({"max_tokens": 0}, "max_tokens", "integer_below_min_value", id="max-tokens-0"),
        pytest.param({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_value", id="two-limits"),
        pytest.param({"seed": 1 << 63}, "seed", "integer_above_max_value", id="seed-over-int64"),
        pytest.param({"stream": "yes"}, "stream", "invalid_type", id="stream-text"),
        pytest.param({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value", id="stop-5"),
        pytest.param({"stop": [1]}, "stop[0]", "invalid_type", id="stop-number"),
        pytest.param({"stop": 1}, "stop", "invalid_type", id="stop-no-list"),
        pytest.param({"top_logprobs": 2}, "top_logprobs", "invalid_value", id="top-without-logprobs"),
        pytest.param({"logit_bias": {"5": 101}}, "logit_bias.5", "integer_above_max_value", id="bias-range"),
        pytest.param({"logit_bias": []}, "logit_bias", "invalid_type", id="bias-list"),
        pytest.param({"modalities": ["text", "audio"]}, "modalities", "invalid_value", id="audio-wanted"),
        pytest.param({"stream_options": {}}, "stream_options", "invalid_value", id="options-without-stream"),
        pytest.param({"functions": []}, "functions", "unsupported_parameter", id="functions"),
        pytest.param({"response_format": "json"}, "response_format", "invalid_type", id="format-text"),
        pytest.param({"response_format": {}}, "response_format.type", "missing_required_parameter", id="format-empty"),
        pytest.param({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value", id="format-xml"),
        pytest.param(
            {"response_format": {"type": "json_schema"}},
            "response_format.json_schema",
            "missing_required_parameter",
            id="format-no-schema",
        ),
        pytest.param({"tools": []}, "tools", "empty_array", id="tools-empty"),
        pytest.param({"tools": [{}]}, "tools[0].type", "missing_required_parameter", id="tool-no-type"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "a b"}}]},
            "tools[0].function.name",
            "invalid_value",
            id="tool-name",
        ),
        pytest.param({"tool_choice": "required"}, "tool_choice", "invalid_value", id="choice-without-tools"),
        pytest.param({"tools": [TOOL], "tool_choice": "any"}, "tool_choice", "invalid_value", id="choice-unknown"),
        pytest.param(
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
            "tool_choice",
            "invalid_value",
            id="choice-names-nothing",
        ),
        pytest.param({"reasoning_effort": 3}, "reasoning_effort", "invalid_type", id="effort-number"),
    ],
)
async def test_bad_parameter_is_refused(fields: dict[str, Any], param: str, code: str) -> None:
    error = await refusal(**fields)
    assert (error.param, error.code) == (param, code)
    assert param in error.message


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        pytest.param(..., "messages", id="absent"),
        pytest.param([], "messages", id="empty"),
        pytest.param("hi", "messages", id="text"),
        pytest.param(["hi"], "messages[0]", id="entry-text"),
        pytest.param([{"content": "hi"}], "messages[0].role", id="no-role"),
        pytest.param([{"role": "king", "content": "hi"}], "messages[0].role", id="unknown-role"),
        pytest.param([USER, {"role": "user"}], "messages[1].content", id="no-content"),
        pytest.param([{"role": "user", "content": None}], "messages[0].content", id="content-null"),
        pytest.param([{"role": "user", "content": 5}], "messages[0].content", id="content-number"),
        pytest.param([{"role": "user", "content": []}], "messages[0].content", id="content-empty"),
        pytest.param([{"role": "user", "content": ["hi"]}], "messages[0].content[0]", id="part-text"),
        pytest.param([{"role": "user", "content": [{"type": "x"}]}], "messages[0].content[0].type", id="part-unknown"),
        pytest.param([{"role": "user", "content": [{"type": "text"}]}], "messages[0].content[0].text", id="part-empty"),
        pytest.param([{"role": "system", "content": [IMAGE]}], "messages[0].content[0].type", id="system-image"),
        pytest.param(
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            "messages[0].content[0].image_url.url",
            id="image-no-url",
        ),
        pytest.param([USER, {"role": "assistant"}], "messages[1].content", id="assistant-empty"),
        pytest.param([USER, RESULT], "messages[1].tool_call_id", id="orphan-result"),
        pytest.param(
            [{"role": "developer", "content": "a"}, USER, {"role": "system", "content": "b"}],
            "messages[2].role",
            id="system-and-developer",
        ),
        pytest.param([USER, CALLING, RESULT, RESULT], "messages[3].tool_call_id", id="second-result"),
        pytest.param([USER, CALLING, USER], "messages[1].tool_calls", id="call-unanswered"),
        pytest.param([USER, CALLING], "messages[1].tool_calls", id="call-unanswered-at-the-end"),
        pytest.param(
            [USER, {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f"}}]}],
            "messages[1].tool_calls[0].function.arguments",
            id="call-no-arguments",
        ),
        pytest.param([USER, {"role": "tool", "content": "x"}], "messages[1].tool_call_id", id="result-no-id"),
    ],
)
async def test_bad_message_is_refused(messages: Any, param: str) -> None:
    error = await refusal(messages=messages)
    assert error.param == param


async def test_unknown_and_unused_fields_are_taken(ask: Ask) -> None:
    plain = await ask()
    body = await ask(
        reasoning_effort="none", temperature=0.3, user="me", store=True, metadata={"a": "b"}, logit_bias={"1": -100},
        parallel_tool_calls=False, verbosity="low", anything={"else": [1]}, stop=None, tools=None, tool_choice=None,
    )  # fmt: skip
    assert body["choices"] == plain["choices"]


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"audio": {"voice": "ash", "format": "wav"}, "modalities": ["text"]}, id="audio"),
        pytest.param({"logprobs": False, "n": 1, "stop": []}, id="sampling-off"),
        pytest.param({"max_completion_tokens": 500, "max_tokens": None}, id="limit"),
        pytest.param({"metadata": {"a": "b"}, "store": True}, id="metadata"),
        pytest.param({"moderation": {"model": "omni-moderation-latest"}}, id="moderation"),
        pytest.param({"prediction": {"type": "content", "content": "cats"}}, id="prediction"),
        pytest.param({"prompt_cache_key": "k", "prompt_cache_retention": "24h"}, id="prompt-cache"),
        pytest.param({"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}}, id="prompt-cache-options"),
        pytest.param({"response_format": {"type": "text"}}, id="format-text"),
        pytest.param({"safety_identifier": "s", "user": "u"}, id="identifiers"),
        pytest.param({"seed": None, "service_tier": "priority"}, id="service-tier"),
        pytest.param({"temperature": 1, "top_p": 0.5, "presence_penalty": 0, "frequency_penalty": 2}, id="sampling"),
        pytest.param({"top_k": 40, "min_p": 0.1}, id="other-servers-sampling"),
        pytest.param({"verbosity": "high"}, id="verbosity"),
        pytest.param({"web_search_options": {"search_context_size": "low"}}, id="web-search"),
        pytest.param({"tools": [TOOL], "tool_choice": "none", "parallel_tool_calls": True}, id="tools"),
        pytest.param(
            {
                "tools": [
                    {"type": "custom", "custom": {"name": "f", "format": {"type": "text"}}},
                    {"type": "function", "function": {"name": "g", "strict": True}},
                ],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "f"}}]},
                },
            },
            id="custom-tool",
        ),
    ],
)
async def test_openai_parameter_is_taken(ask: Ask, fields: dict[str, Any]) -> None:
    plain = await ask()
    body = await ask(**fields)
    assert body["choices"] == plain["choices"]


@pytest.mark.parametrize(
    "file",
    [{"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}, {"file_data": "AA=="}, {"file_id": "f"}],
    ids=["named", "data-only", "by-id"],
)
async def test_file_part_is_taken(ask: Ask, file: dict[str, Any]) -> None:
    parts = [{"type": "file", "file": file, "prompt_cache_breakpoint": {"mode": "explicit"}}]
    body = await ask(messages=[{"role": "user", "content": parts}])
    assert body["choices"][0]["message"]["content"].startswith("I received 1 file. ")


async def test_every_kind_of_message_is_taken(ask: Ask) -> None:
    text = [{"type": "text", "text": "hi"}]
    body = await ask(
        messages=[
            {"role": "developer", "content": text},
            {"role": "developer", "content": "b"},
            {"role": "user", "content": [*text, IMAGE, {"type": "file", "file": {"file_id": "f"}}], "name": "me"},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
            {"role": "assistant", "refusal": "no"},
            {"role": "user", "content": ""},
            {**CALLING, "content": "", "refusal": None},
            {**RESULT, "content": text},
            {"role": "assistant", "content": None, "function_call": {"name": "g", "arguments": "{}"}},
            {"role": "function", "name": "g", "content": "done"},
        ]
    )
    assert body["choices"][0]["message"]["content"] == 'The tool g answered: "done".'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMED = st.sampled_from(
    ["function", "custom", "text", "user", "assistant", "tool", "auto", "f", "call_1", "json_schema"]
)
KEYS = st.sampled_from(
    [
        "type", "function", "custom", "name", "parameters", "properties", "content", "role", "text", "tool_calls", "id",
        "arguments", "tool_call_id", "image_url", "url", "json_schema", "schema", "enum", "required", "items", "anyOf",
    ]
)  # fmt: skip
NEAR = st.recursive(
    NAMED | JSON, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
FIELD_NAMES = (
    "messages", "tools", "tool_choice", "response_format", "n", "stop", "seed", "logprobs", "top_logprobs", "stream",
    "max_tokens", "temperature", "stream_options", "modalities", "logit_bias", "parallel_tool_calls", "functions",
)  # fmt: skip


def as_tool(parameters: Any) -> list[Any]:
    return [{"type": "function", "function": {"name": "f", "parameters": parameters}}]


def as_format(schema: Any) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


FIELDS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(FIELD_NAMES, NEAR | JSON)
    | {"tools": NEAR.map(as_tool) | NEAR, "tool_choice": st.just("required") | NEAR}
    | {"response_format": NEAR.map(as_format) | NEAR, "stream": st.booleans()},
)


@settings(max_examples=400, deadline=None)
@given(fields=FIELDS)
async def test_any_json_is_answered_or_refused(fields: dict[str, Any]) -> None:
    """Whatever a client sends, the demo model answers in shape or names the field at fault."""
    reply: Reply | InvalidRequest
    try:
        reply = await DemoHandler().execute(make_context(), chat_request(**fields))
    except InvalidRequest as error:
        reply = error
    if isinstance(reply, InvalidRequest):
        assert re.split(r"[.\[]", str(reply.param))[0] in FIELD_NAMES
    elif isinstance(reply, Stream):
        read_chunks([event.data async for event in reply.events()])
    else:
        read_completion(reply.body.to_dict())
