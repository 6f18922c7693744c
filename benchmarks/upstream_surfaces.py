"""The mock upstream's words on responses and messages: the same texts as on chat, each surface's usual events around.

Rule: plain data from plain arguments; HTTP and time are elsewhere.
Source: OpenAI API reference, "The response object" and "Responses, streaming events"; Anthropic API reference,
"Create a message" and "Streaming messages".
"""

import json
from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]

PROMPT_TOKENS = 11
REPLY_TOKENS = 90
CREATED = 1735689600

_RESPONSE_ID = "resp_6772d3c0a1b48190b7a5f4c5d0e1f2030405060708090a0b"
_ITEM_ID = "msg_6772d3c0c5e481909fd2a1b3c4d5e6f70405060708090a0b"
_MESSAGE_ID = "msg_01MockMockMockMockMockMo"


def response(text: str, *, is_stored: bool) -> Json:
    """A buffered response."""
    return _response("completed", [_item(text)], is_stored=is_stored, reply_tokens=REPLY_TOKENS)


def response_events(words: Sequence[str], *, is_stored: bool) -> list[bytes]:
    """The events of a streamed response: four, one for each word, four."""
    text = "".join(words)
    began = {"response": _response("in_progress", [], is_stored=is_stored)}
    ended = {"response": _response("completed", [_item(text)], is_stored=is_stored, reply_tokens=len(words))}
    item, part = {"output_index": 0}, {"item_id": _ITEM_ID, "output_index": 0, "content_index": 0}
    events: list[tuple[str, Json]] = [
        ("response.created", began),
        ("response.in_progress", began),
        ("response.output_item.added", {**item, "item": {**_item(""), "status": "in_progress", "content": []}}),
        ("response.content_part.added", {**part, "part": _part("")}),
        *(("response.output_text.delta", {**part, "delta": word, "logprobs": []}) for word in words),
        ("response.output_text.done", {**part, "text": text, "logprobs": []}),
        ("response.content_part.done", {**part, "part": _part(text)}),
        ("response.output_item.done", {**item, "item": _item(text)}),
        ("response.completed", ended),
    ]
    return [_event({"type": kind, "sequence_number": i, **fields}) for i, (kind, fields) in enumerate(events)]


def message(text: str) -> Json:
    """A buffered message."""
    return {**_message(REPLY_TOKENS), "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}


def message_events(words: Sequence[str]) -> list[bytes]:
    """The events of a streamed message: three, one for each word, three."""
    events: list[Json] = [
        {"type": "message_start", "message": _message(1)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in words),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": len(words)},
        },
        {"type": "message_stop"},
    ]
    return [_event(event) for event in events]


def _event(data: Json) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


def _response(status: str, output: list[Json], *, is_stored: bool, reply_tokens: int | None = None) -> Json:
    return {
        "id": _RESPONSE_ID,
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": "Answer briefly.",
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": "mock",
        "output": output,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "reasoning": {"effort": None, "summary": None},
        "safety_identifier": None,
        "service_tier": "default",
        "store": is_stored,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}, "verbosity": "medium"},
        "tool_choice": "auto",
        "tools": [],
        "top_logprobs": 0,
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": None if reply_tokens is None else _usage(reply_tokens),
        "user": None,
        "metadata": {},
    }


def _usage(reply_tokens: int) -> Json:
    return {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": reply_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": PROMPT_TOKENS + reply_tokens,
    }


def _item(text: str) -> Json:
    return {"id": _ITEM_ID, "type": "message", "status": "completed", "content": [_part(text)], "role": "assistant"}


def _part(text: str) -> Json:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message(reply_tokens: int) -> Json:
    return {
        "id": _MESSAGE_ID,
        "type": "message",
        "role": "assistant",
        "model": "mock",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": PROMPT_TOKENS,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": reply_tokens,
            "service_tier": "standard",
        },
    }
