"""The events of a Messages handler as the chunks of a chat stream.

Rule: one chunk for each delta of text, as cheaply as can be; all that needs thought lies in `Blocks`.
Source: Anthropic API reference, "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import Chunks, Delta, Ending
from chatproxy.translation.chat.messages_blocks import Blocks

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_TIERS = {"standard": "default", "priority": "priority"}


class MessagesStream:
    """Reads one stream.

    Args:
        model: stands in where the handler names none.
    """

    __slots__ = ("_blocks", "_chunks", "_losses", "_message", "_model")

    def __init__(self, losses: Losses, blocks: Blocks, *, model: str) -> None:
        self._losses = losses
        self._model = model
        self._chunks = Chunks()
        self._blocks = blocks
        self._message: Json = {}

    def event(self, data: Json) -> list[Json]:
        """The chunks for the next event."""
        kind = data.get("type")
        if kind == "content_block_delta" and self._chunks.is_open:
            delta = data.get("delta")
            if isinstance(delta, dict) and delta.get("type") == "text_delta":
                text = delta.get("text")
                if not isinstance(text, str) or not text:
                    return []
                self._blocks.text(text)
                return [self._chunks.chunk({"content": text})]
        return self._other(str(kind), data)

    def finish(self) -> list[Json]:
        """The end, where the handler named none."""
        if self._chunks.is_finished:
            return []
        made = self._start(self._message)
        made += self._chunks.chunks(self._blocks.stop_all())
        made += self._chunks.chunks(refusal_of(self._message))
        return made + self._chunks.finish(ending_of(self._message, self._losses, has_calls=self._blocks.has_calls))

    def _other(self, kind: str, data: Json) -> list[Json]:
        if self._chunks.is_finished:
            return []
        if kind == "message_start":
            message = data.get("message")
            self._message = dict(message) if isinstance(message, dict) else {}
            made = self._start(self._message)
            content = self._message.get("content")
            for block in content if isinstance(content, list) else ():
                made += self._chunks.chunks(self._blocks.whole(None, block)) if isinstance(block, dict) else []
            return made
        if kind == "message_stop":
            return self.finish()
        read = self._READERS.get(kind)
        return [] if read is None else self._start({}) + self._chunks.chunks(read(self, data))

    def _start(self, message: Json) -> list[Json]:
        return self._chunks.start(message.get("id"), message.get("model") or self._model)

    def _block_start(self, data: Json) -> list[Delta]:
        block = data.get("content_block")
        return self._blocks.start(_index(data), block) if isinstance(block, dict) else []

    def _block_delta(self, data: Json) -> list[Delta]:
        delta = data.get("delta")
        return self._blocks.delta(_index(data), delta) if isinstance(delta, dict) else []

    def _block_stop(self, data: Json) -> list[Delta]:
        return self._blocks.stop(_index(data))

    def _message_delta(self, data: Json) -> list[Delta]:
        """How the message ended; its counts take the place of those of the start, where there are any."""
        for key, value in _object(data.get("delta")).items():
            if value is not None:
                self._message[key] = value
        usage = {key: value for key, value in _object(data.get("usage")).items() if value is not None}
        if usage:
            self._message["usage"] = {**_object(self._message.get("usage")), **usage}
        return []

    _READERS: ClassVar[dict[str, Callable[[MessagesStream, Json], list[Delta]]]] = {
        "content_block_start": _block_start,
        "content_block_delta": _block_delta,
        "content_block_stop": _block_stop,
        "message_delta": _message_delta,
    }


def refusal_of(message: Json) -> list[Delta]:
    """Why the handler refused, where it says so."""
    why = _object(message.get("stop_details")).get("explanation")
    return [Delta({"refusal": why})] if isinstance(why, str) and why else []


def ending_of(message: Json, losses: Losses, *, has_calls: bool) -> Ending:
    """Finish reason and usage of a message; one that does not say why it ended has simply ended."""
    found = message.get("stop_reason")
    reason = _REASONS.get(str(found))
    if reason is None or (reason == "stop" and has_calls):
        reason = "tool_calls" if has_calls else "stop"
    if found is not None and str(found) not in _REASONS:
        losses.add("choices[0].finish_reason", "changed", f"the message ended with {str(found)[:60]}")
    usage = message.get("usage")
    tier = _TIERS.get(str(_object(usage).get("service_tier")))
    sequence = message.get("stop_sequence")
    return Ending(reason, usage_of(usage), tier, sequence if isinstance(sequence, str) else None)


def usage_of(usage: Any) -> Json | None:
    """A message's ``usage`` in chat's form, where the prompt counts with what was cached; None where there is none."""
    if not isinstance(usage, dict):
        return None
    cached, cached_now = _count(usage, "cache_read_input_tokens"), _count(usage, "cache_creation_input_tokens")
    read, written = _count(usage, "input_tokens") + cached + cached_now, _count(usage, "output_tokens")
    prompt = {"cached_tokens": cached}
    if cached_now:
        prompt["cache_write_tokens"] = cached_now
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": _count(_object(usage.get("output_tokens_details")), "thinking_tokens")
        },
    }


def _count(holder: Json, key: str) -> int:
    found = holder.get(key)
    return found if type(found) is int else 0


def _index(data: Json) -> int | None:
    index = data.get("index")
    return index if isinstance(index, int) else None


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
