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
from chatproxy.translation.endings import MESSAGES_TO_CHAT, TIER_TO_CHAT, usage_from_messages


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
            self._message = dict(_object(data, "message"))
            return self._start(self._message) + self._chunks.chunks(self._blocks.all(self._message.get("content")))
        if kind == "message_stop":
            return self.finish()
        read = self._READERS.get(kind)
        return [] if read is None else self._start({}) + self._chunks.chunks(read(self, data))

    def _start(self, message: Json) -> list[Json]:
        return self._chunks.start(message.get("id"), message.get("model") or self._model)

    def _block_start(self, data: Json) -> list[Delta]:
        block = _object(data, "content_block")
        return self._blocks.start(_index(data), block) if block else []

    def _block_delta(self, data: Json) -> list[Delta]:
        delta = _object(data, "delta")
        return self._blocks.delta(_index(data), delta) if delta else []

    def _block_stop(self, data: Json) -> list[Delta]:
        return self._blocks.stop(_index(data))

    def _message_delta(self, data: Json) -> list[Delta]:
        """How the message ended; its counts take the place of those of the start, where there are any."""
        message = self._message
        message |= {key: value for key, value in _object(data, "delta").items() if value is not None}
        if usage := {key: value for key, value in _object(data, "usage").items() if value is not None}:
            message["usage"] = {**_object(message, "usage"), **usage}
        return []

    _READERS: ClassVar[dict[str, Callable[[MessagesStream, Json], list[Delta]]]] = {
        "content_block_start": _block_start,
        "content_block_delta": _block_delta,
        "content_block_stop": _block_stop,
        "message_delta": _message_delta,
    }


def refusal_of(message: Json) -> list[Delta]:
    """Why the handler refused, where it says so."""
    why = _object(message, "stop_details").get("explanation")
    return [Delta({"refusal": why})] if isinstance(why, str) and why else []


def ending_of(message: Json, losses: Losses, *, has_calls: bool) -> Ending:
    """Finish reason and usage of a message; one that does not say why it ended has simply ended."""
    found = message.get("stop_reason")
    reason = MESSAGES_TO_CHAT.get(str(found), "stop")
    if found is not None and str(found) not in MESSAGES_TO_CHAT:
        losses.add("choices[0].finish_reason", "changed", f"the message ended with {str(found)[:60]}")
    if reason == "stop" and has_calls:
        reason = "tool_calls"
    sequence = message.get("stop_sequence")
    return Ending(
        reason,
        usage_from_messages(message.get("usage")),
        TIER_TO_CHAT.get(str(_object(message, "usage").get("service_tier"))),
        sequence if isinstance(sequence, str) else None,
    )


def _index(data: Json) -> int | None:
    index = data.get("index")
    return index if isinstance(index, int) else None


def _object(holder: Json, key: str) -> Json:
    found: Any = holder.get(key)
    return found if isinstance(found, dict) else {}
