"""Chunks of chat streams, and the events of a Response in short."""

from __future__ import annotations

import re
from typing import Any

from chatproxy.translation.base import Losses
from chatproxy.translation.responses.over_chat import ResponsesOverChat

Json = dict[str, Any]
LOOK = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look", "arguments": ""}}
FIND = {"index": 1, "id": "c2", "type": "function", "function": {"name": "find", "arguments": ""}}
USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
ROLE = {"role": "assistant", "content": ""}


def chunk(delta: Json | None = None, *, finish: str | None = None, logprobs: Any = None, **fields: Any) -> Json:
    choice = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "m-1"}
    return {**head, "choices": [] if delta is None else [choice], **fields}


def arguments(index: int, piece: str) -> Json:
    return {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def streamed(*chunks: Json, losses: Losses | None = None) -> list[Json]:
    """All events, ids in order of appearance: ``msg_1``."""
    translation = ResponsesOverChat(losses or Losses())
    translation.request({"model": "m", "input": "hello", "stream": True})
    events = [event for data in chunks for event in translation.event(data)] + translation.finish()
    names: dict[str, str] = {}
    return [_renamed(event, names) for event in events]


def _renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, str) and (found := re.fullmatch(r"([a-z]+)_[0-9a-f]{24}", value)):
        return names.setdefault(value, f"{found[1]}_{len(names)}")
    return value


def brief(events: list[Json]) -> list[str]:
    """Each event as its name without ``response.``, its item's place, and its text."""
    lines = []
    for event in events:
        words = [event["type"].removeprefix("response."), event.get("output_index")]
        words.append(
            next((event[key] for key in ("delta", "text", "refusal", "arguments", "input") if key in event), None)
        )
        lines.append(" ".join(str(word) for word in words if word is not None))
    return [line.rstrip() for line in lines]
