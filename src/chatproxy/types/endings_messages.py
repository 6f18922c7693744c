"""How texts of Anthropic messages end: in a stream's events and where an answer is filtered.

Source: Anthropic API reference, "Streaming messages" and ``StopReason`` (``refusal``).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from chatproxy.types.endings_chat import keep_scalars
from chatproxy.types.endings_pieces import piece
from chatproxy.types.text import Channel, Text
from chatproxy.types.usage import Usage

Json = dict[str, Any]
_REFUSAL: Mapping[str, Any] = {"stop_reason": "refusal", "stop_sequence": None}
_DELTA = "content_block_delta"
# How a piece of each kind is said where the event at hand says something whole.
_DELTAS: Mapping[str, tuple[str, str]] = {
    "reasoning": ("thinking_delta", "thinking"),
    "tool_arguments": ("input_json_delta", "partial_json"),
}
_TEXT = ("text_delta", "text")


def ends(data: Json, channel: Channel) -> bool:
    """Whether the channel's block ends here, or the message; a signature ends the thinking that it signs."""
    kind = data.get("type")
    if kind == "content_block_stop":
        return bool(data.get("index", 0) == channel[0])
    delta = data.get("delta")
    if kind == "message_stop" or not isinstance(delta, dict):
        return kind == "message_stop"
    if kind == _DELTA:
        is_signature = delta.get("type") == "signature_delta" and channel[-1] == "reasoning"
        return is_signature and bool(data.get("index", 0) == channel[0])
    return delta.get("stop_reason") is not None


def again(data: Json, text: Text, value: str) -> Json:
    """A delta of the block, also where the event began the block or said something whole."""
    if data.get("type") == _DELTA and text.path[0] == "delta" and not text.is_whole:
        return {"type": _DELTA, "index": text.index, "delta": piece(data["delta"], text.path[1:], value)}
    name, key = _DELTAS.get(text.kind, _TEXT)
    return {"type": _DELTA, "index": text.index, "delta": {"type": name, key: value}}


class MessagesProgress:
    """`Progress` of a stream of message events."""

    __slots__ = ("_has_begun", "_has_stopped", "_is_over", "_next", "_open", "_usage")

    def __init__(self) -> None:
        self._has_begun = False
        self._has_stopped = False
        self._is_over = False
        self._open: list[Any] = []
        self._next = 0
        self._usage: Json = {}

    def take(self, data: Json) -> None:
        """See `Progress`."""
        kind = data.get("type")
        if kind == _DELTA:
            return
        if kind == "content_block_start":
            index = data.get("index", self._next)
            self._open.append(index)
            self._next = max(self._next, index + 1 if type(index) is int else 0)
        elif kind == "content_block_stop":
            self._open = [index for index in self._open if index != data.get("index", index)]
        elif kind == "message_start":
            self._has_begun = True
            self._count(data.get("message"))
        elif kind == "message_delta":
            delta = data.get("delta")
            self._has_stopped |= isinstance(delta, dict) and delta.get("stop_reason") is not None
            self._count(data)
        elif kind == "message_stop":
            self._is_over = True

    def filtered(self, message: str, usage: Usage | None, model: str) -> list[Json]:
        """See `Progress`; the message is a block of its own."""
        made: list[Json] = []
        if self._is_over:
            return made
        if not self._has_begun:
            made.append({"type": "message_start", "message": _begun(model, usage)})
        made += [{"type": "content_block_stop", "index": index} for index in self._open]
        if message and not self._has_stopped:
            made += _block(self._next, message)
        if not self._has_stopped:
            made.append({"type": "message_delta", "delta": {**_REFUSAL}, "usage": self._counts(usage)})
        self._is_over = True
        return [*made, {"type": "message_stop"}]

    def _count(self, holder: Any) -> None:
        usage = holder.get("usage") if isinstance(holder, dict) else None
        if isinstance(usage, dict):
            self._usage = {**self._usage, **usage}

    def _counts(self, usage: Usage | None) -> Json:
        """Those that go out; where the stream has not said what was read, that too."""
        if usage is None:
            return {"output_tokens": self._usage.get("output_tokens") or 0}
        said = {"output_tokens": usage.completion_tokens}
        return said if self._usage.get("input_tokens") else {**_read(usage), **said}


def filter_message(body: Any, message: str) -> None:
    """Make a buffered reply a refused one."""
    body["content"] = [{"type": "text", "text": message}] if message else []
    body.update(_REFUSAL)
    keep_scalars(body, but=("content", "usage"))


def _begun(model: str, usage: Usage | None) -> Json:
    """A message of which nothing was said yet."""
    counts = {"input_tokens": 0} if usage is None else _read(usage)
    return {
        "id": "msg_" + secrets.token_hex(12),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**counts, "output_tokens": 0},
    }


def _read(usage: Usage) -> Json:
    """Tokens read; those from the cache are counted apart here."""
    cached = usage.cached_tokens
    return {"input_tokens": max(0, usage.prompt_tokens - cached), "cache_read_input_tokens": cached}


def _block(index: int, message: str) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}},
        {"type": _DELTA, "index": index, "delta": {"type": "text_delta", "text": message}},
        {"type": "content_block_stop", "index": index},
    ]
