"""Chunks of chat streams, and Message streams as a client reads them."""

from __future__ import annotations

import json
from typing import Any

from chatproxy.translation import Losses
from chatproxy.translation.messages.over_chat import MessagesOverChat

REQUEST = {
    "model": "asked",
    "max_tokens": 9,
    "stop_sequences": ["END"],
    "messages": [{"role": "user", "content": "a"}],
}
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
COUNTS = {
    "input_tokens": 6,
    "output_tokens": 5,
    "cache_read_input_tokens": 4,
    "cache_creation_input_tokens": 0,
    "output_tokens_details": {"thinking_tokens": 2},
}
NO_COUNTS = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
ALL_COUNTS = {"cache_creation": None, "inference_geo": None, "server_tool_use": None, "service_tier": None, **COUNTS}
NO_COUNTS_AT_ALL = {**ALL_COUNTS, **NO_COUNTS, "output_tokens_details": None}
Event = dict[str, Any]


def text(said: str) -> Event:
    """A text block as Anthropic's API has it in an answer."""
    return {"type": "text", "text": said, "citations": None}


def used(identity: str, name: str, given: Any) -> Event:
    """A call's block as Anthropic's API has it in an answer."""
    return {"type": "tool_use", "id": identity, "name": name, "input": given, "caller": {"type": "direct"}}


def chunk(delta: dict[str, Any] | None = None, finish_reason: str | None = None, **fields: Any) -> Event:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish_reason}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
        **fields,
    }


def usage_chunk() -> Event:
    return chunk(choices=[], usage=USAGE)


def piece(index: int | None, arguments: str = "", *, name: str = "", identity: str = "") -> dict[str, Any]:
    """One entry of a delta's ``tool_calls``, with only the keys that are given."""
    entry: dict[str, Any] = {"function": {"arguments": arguments}}
    if index is not None:
        entry["index"] = index
    if identity:
        entry["id"] = identity
    if name:
        entry["function"]["name"] = name
    return entry


def calls(*pieces: dict[str, Any]) -> Event:
    return chunk({"tool_calls": list(pieces)})


def streamed(*chunks: Event) -> tuple[list[list[Event]], list[str]]:
    """Events for each chunk, then those of the end, and the fields on record."""
    losses = Losses()
    translation = MessagesOverChat(losses)
    translation.request(REQUEST)
    made = [translation.event(data) for data in chunks]
    return [*made, translation.finish()], [f"{loss.field} {loss.action}" for loss in losses.kept]


def assembled(batches: list[list[Event]]) -> Event:
    """The message as a client puts it together; asserts that one block at a time is open."""
    events = [event for batch in batches for event in batch]
    assert [event["type"] for event in (events[0], *events[-2:])] == ["message_start", "message_delta", "message_stop"]
    message: Event = {**events[0]["message"], "content": []}
    content, is_open, arguments = message["content"], False, ""
    for event in events[1:-2]:
        kind = event["type"]
        assert is_open is (kind != "content_block_start")
        if kind == "content_block_start":
            content.append(dict(event["content_block"]))
            is_open, arguments = True, ""
        assert event["index"] == len(content) - 1
        if kind == "content_block_stop":
            is_open = False
            if content[-1]["type"] == "tool_use":
                content[-1]["input"] = json.loads(arguments or "{}")
        elif kind == "content_block_delta":
            delta = event["delta"]
            key = delta["type"].removesuffix("_delta")
            if key == "input_json":
                arguments += delta["partial_json"]
            else:
                content[-1][key] += delta[key]
    return {**message, **events[-2]["delta"], "usage": {**message["usage"], **events[-2]["usage"]}}


def kinds(events: list[Event]) -> list[str]:
    """The events in short: type of delta or block, and index."""
    shown = {"content_block_start": "start", "content_block_stop": "stop", "content_block_delta": "delta"}
    return [f"{shown[event['type']]} {event['index']}" if "index" in event else event["type"] for event in events]
