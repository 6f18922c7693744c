"""Counting what Anthropic messages cost and why they stopped, buffered and streamed, in chat's terms.

Rule: chat's prompt tokens are all that was read; Anthropic leaves cached ones out of ``input_tokens``.
Source: Anthropic API reference, "Streaming messages", ``Usage``, ``MessageDeltaUsage`` and ``StopReason``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from chatproxy.errors import UpstreamError
from chatproxy.types.tally import decode_event, stream_error
from chatproxy.types.usage import Usage

_REASONS: Mapping[str, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTS = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    stop_reason: str | None = None


class _Block(msgspec.Struct, gc=False):
    text: str | None = None


class _Message(msgspec.Struct):
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_event = msgspec.json.Decoder(_Event).decode


class MessagesTally:
    """`Tally` of a stream of messages, which ``message_stop`` ends."""

    __slots__ = ("_counts", "characters", "finish_reasons", "is_over", "usage")
    done_is_end: ClassVar[bool] = False

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reasons: list[str] = []
        self.characters = 0
        self.is_over = False
        self._counts: dict[str, int] = {}

    @property
    def may_end(self) -> bool:
        """``message_stop`` has come."""
        return self.is_over

    def add(self, data: bytes) -> bool:
        """See `Tally.add`."""
        try:
            event = _decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return self._add_slowly(data)
        delta = event.delta
        if event.type == "content_block_delta" and delta is not None and delta.text is not None:
            self.characters += len(delta.text)
            return True
        if event.content_block is not None and event.content_block.text is not None:
            self.characters += len(event.content_block.text)
        if event.message is not None:
            self._take(event.message.usage, event.message.stop_reason)
        self._take(event.usage, None if delta is None else delta.stop_reason)
        if event.type == "message_stop":
            self.is_over = True
        elif event.type == "error" or event.error is not None:
            raise _error_in(data)
        return True

    def _take(self, usage: Any, stop_reason: Any) -> None:
        """Join counts with earlier ones: each is a total, and a later event need not say all of them again."""
        if isinstance(stop_reason, str):
            self.finish_reasons = [finish_reason_of(stop_reason)]
        if isinstance(usage, Mapping):
            self._counts.update({key: count for key, count in _counts_of(usage).items() if count})
            self.usage = _usage_from(self._counts)

    def _add_slowly(self, data: bytes) -> bool:
        """An event of unusual shape: any JSON object passes."""
        event = decode_event(data)
        delta, message = event.get("delta"), event.get("message")
        if isinstance(message, dict):
            self._take(message.get("usage"), message.get("stop_reason"))
        self._take(event.get("usage"), delta.get("stop_reason") if isinstance(delta, dict) else None)
        if event.get("type") == "message_stop":
            self.is_over = True
        elif event.get("type") == "error" or event.get("error") is not None:
            raise _error_in(data)
        return True


def usage_of_messages(value: Any) -> Usage | None:
    """Read the ``usage`` object of a message; None where it is absent or not an object."""
    return _usage_from(_counts_of(value)) if isinstance(value, Mapping) else None


def finish_reason_of(stop_reason: str) -> str:
    """Chat's word for why a message stopped; Anthropic's own where chat has none."""
    return _REASONS.get(stop_reason, stop_reason)


def finish_reasons_of_message(body: Any) -> list[str]:
    """Why a message stopped: of a reply, or of the event that says so."""
    for holder in (body, body.get("delta"), body.get("message")):
        reason = holder.get("stop_reason") if isinstance(holder, Mapping) else None
        if isinstance(reason, str):
            return [finish_reason_of(reason)]
    return []


def _counts_of(usage: Mapping[str, Any]) -> dict[str, int]:
    counts = {key: _count(usage, key) for key in _COUNTS}
    details = usage.get("output_tokens_details")
    return {**counts, "thinking_tokens": _count(details, "thinking_tokens")}


def _count(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if type(found) is int and found >= 0 else 0


def _usage_from(counts: Mapping[str, int]) -> Usage:
    read, written, fresh = (
        counts.get(f"{kind}_tokens", 0) for kind in ("cache_read_input", "cache_creation_input", "input")
    )
    completion = counts.get("output_tokens", 0)
    prompt = fresh + read + written
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=prompt + completion,
        cached_tokens=read,
        cache_write_tokens=written,
        reasoning_tokens=counts.get("thinking_tokens", 0),
    )


def _error_in(data: bytes) -> UpstreamError:
    event = decode_event(data)
    error = event.get("error")
    return stream_error({"message": event.get("message")} if error is None else error)
