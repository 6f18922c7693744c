"""No JSON, however odd, breaks a translation: a client's is refused by a field, a handler's is the upstream's fault."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.errors import ApiError, InvalidRequest, UpstreamError

from .conversations import BODIES, CALM, asked, begun, conversations, streamed

Json = dict[str, Any]
Error = TypeVar("Error", bound=ApiError)
ROUTES = [(client, handler) for client in (*BODIES, "completions") for handler in BODIES if client != handler]
VOCABULARY = sorted(
    {"type", "role", "content", "text", "id", "call_id", "tool_call_id", "tool_use_id", "name", "arguments", "input"}
    | {"function", "custom", "tool_calls", "image_url", "url", "file", "file_data", "source", "data", "media_type"}
    | {"thinking", "signature", "thinking_blocks", "reasoning_content", "summary", "encrypted_content", "refusal"}
    | {"model", "messages", "max_tokens", "prompt", "system", "instructions", "tools", "tool_choice", "format", "mode"}
    | {"response_format", "json_schema", "schema", "text", "reasoning", "effort", "stop", "n", "metadata", "user"}
    | {"choices", "message", "delta", "index", "finish_reason", "usage", "logprobs", "top_logprobs", "token", "status"}
    | {"output", "output_index", "content_index", "item", "item_id", "part", "annotations", "annotation", "response"}
    | {"content_block", "partial_json", "stop_reason", "stop_details", "citations", "incomplete_details", "reason"}
    | {"prompt_tokens_details", "input_tokens_details", "service_tier", "created", "output_text", "input_text"}
    | {"user", "assistant", "tool", "developer", "tool_use", "tool_result", "image", "input_image", "function_call"}
    | {"function_call_output", "output_config", "thinking", "allowed_tools", "echo", "temperature", "stop_sequences"}
    | {"message_start", "content_block_start", "content_block_delta", "text_delta", "input_json_delta", "message_delta"}
    | {"response.completed", "response.output_item.added", "response.output_item.done", "response.output_text.delta"}
    | {"response.function_call_arguments.delta", "response.reasoning_summary_text.delta", "summary_index", "auto"}
)  # fmt: skip
WORD = st.sampled_from(VOCABULARY)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORD, st.text(max_size=5)
)
ODD = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORD, inner, max_size=4)),
    max_leaves=8,
)
OBJECTS = st.dictionaries(WORD, ODD, max_size=6)


@st.composite
def spoilt(draw: st.DrawFn, whole: Any) -> Any:
    """A proper body, of which some places hold something else, or nothing."""
    body = copy.deepcopy(whole)
    for _ in range(draw(st.integers(0, 3))):
        holder: Any = body
        while True:
            places = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not places:
                break
            place = draw(st.sampled_from(places))
            if isinstance(holder[place], dict | list) and draw(st.booleans()):
                holder = holder[place]
            elif isinstance(holder, dict) and draw(st.booleans()):
                del holder[place]
                break
            else:
                holder[place] = draw(ODD)
                break
    return body


def refusal(make: Callable[[], object], kind: type[Error]) -> Error | None:
    """The error of this kind that it ends with; without one, what it makes must be JSON."""
    try:
        msgspec.json.encode(make())
    except kind as error:
        return error
    return None


SAID: Json = {
    "role": "assistant", "content": "a", "reasoning_content": "b", "refusal": "r",
    "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "d", "type": "custom", "custom": {"name": "g", "input": "i"}},
    ],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "u", "start_index": 0}}],
    "thinking_blocks": [{"type": "thinking", "thinking": "b", "signature": "s"}],
}  # fmt: skip
CHANCES: Json = {"content": [{"token": "a", "logprob": -1, "top_logprobs": [{"token": "b"}]}]}
CHOICE: Json = {"index": 0, "message": SAID, "finish_reason": "stop", "logprobs": CHANCES}
COMPLETION: Json = {
    "id": "chatcmpl-1", "created": 7, "model": "m", "choices": [CHOICE], "service_tier": "default",
    "usage": {"prompt_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}},
}  # fmt: skip
RESPONSE: Json = {
    "id": "resp_1", "created_at": 1, "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"},
    "model": "m", "service_tier": "flex", "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}},
    "output": [
        {"type": "reasoning", "summary": [{"text": "a"}], "content": [{"text": "b"}], "encrypted_content": "e"},
        {"type": "message", "content": [
            {"type": "output_text", "text": "a", "annotations": [{"type": "url_citation", "start_index": 0}],
             "logprobs": [{"token": "a", "top_logprobs": [{"token": "b"}]}]},
            {"type": "refusal", "refusal": "n"},
        ]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "d", "name": "g", "input": "i"},
    ],
}  # fmt: skip
MESSAGE: Json = {
    "id": "msg_1", "model": "m", "stop_reason": "refusal", "stop_details": {"explanation": "e"}, "stop_sequence": "x",
    "usage": {"input_tokens": 1, "output_tokens_details": {"thinking_tokens": 1}, "service_tier": "standard"},
    "content": [
        {"type": "thinking", "thinking": "a", "signature": "s"}, {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "a", "citations": [{"type": "web_search_result_location", "url": "u"}]},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
    ],
}  # fmt: skip
REPLIES = {"chat": COMPLETION, "responses": RESPONSE, "messages": MESSAGE}
ITEMS, BLOCKS = list(enumerate(RESPONSE["output"])), list(enumerate(MESSAGE["content"]))
EVENTS: dict[str, list[Json]] = {
    "chat": [{**COMPLETION, "choices": [{"index": 0, "delta": SAID, "finish_reason": None, "logprobs": CHANCES}]}],
    "responses": [
        {"type": "response.created", "response": RESPONSE},
        *[{"type": "response.output_item.added", "output_index": i, "item": item} for i, item in ITEMS],
        {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "a", "logprobs": [{}]},
        {"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "a"},
        {"type": "response.output_text.annotation.added", "output_index": 1, "annotation": {"type": "url_citation"}},
        {"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{"},
        *[{"type": "response.output_item.done", "output_index": i, "item": item} for i, item in ITEMS],
        {"type": "response.completed", "response": RESPONSE},
    ],
    "messages": [
        {"type": "message_start", "message": MESSAGE},
        *[{"type": "content_block_start", "index": i, "content_block": block} for i, block in BLOCKS],
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "s"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "a"}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": {"type": "x"}}},
        {"type": "content_block_delta", "index": 3, "delta": {"type": "input_json_delta", "partial_json": "{"}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 1}},
    ],
}  # fmt: skip
IDS = [f"{client}-{handler}" for client, handler in ROUTES]


@pytest.mark.parametrize(("client", "handler"), ROUTES, ids=IDS)
@CALM
@given(st.data())
def test_odd_request_is_translated_or_refused_by_a_field_and_never_changed(
    client: str, handler: str, data: st.DataObject
) -> None:
    if client in BODIES and data.draw(st.booleans()):
        body = data.draw(spoilt({**BODIES[client](data.draw(conversations())), **data.draw(OBJECTS)}))
    else:
        body = data.draw(OBJECTS)
    before = copy.deepcopy(body)
    error = refusal(lambda: begun(client, handler).request(body), InvalidRequest)
    assert body == before
    if error is not None:
        assert (error.status, bool(error.param), len(error.message) < 1000) == (400, True, True)


@pytest.mark.parametrize(("client", "handler"), ROUTES, ids=IDS)
@CALM
@given(st.data())
def test_odd_reply_is_translated_or_the_upstreams_fault(client: str, handler: str, data: st.DataObject) -> None:
    body = data.draw(st.one_of(OBJECTS, spoilt(REPLIES[handler])))
    error = refusal(lambda: asked(client, handler).reply(body), UpstreamError)
    assert error is None or error.status == 502


@pytest.mark.parametrize(("client", "handler"), ROUTES, ids=IDS)
@CALM
@given(st.data())
def test_odd_stream_is_translated_to_its_end(client: str, handler: str, data: st.DataObject) -> None:
    events = data.draw(st.lists(st.one_of(OBJECTS, st.sampled_from(EVENTS[handler]).flatmap(spoilt)), max_size=6))
    translation = asked(client, handler)
    assert refusal(lambda: streamed(translation, events), UpstreamError) is None
