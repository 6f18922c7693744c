"""Reading a stream of chat chunks, and of legacy completions, which differ in the text's place only.

Source: OpenAI API reference, "The chat completion chunk object" and "The completion object".
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, ClassVar

import msgspec

from chatproxy.types.tally import decode_event, stream_error
from chatproxy.types.usage import Usage, usage_of_chat


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct):
    index: int | None = None
    delta: _Delta | None = None
    text: str | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class ChatTally:
    """`Tally` of chunks; such a stream has no last event of its own, only ``[DONE]``."""

    __slots__ = ("_ended", "characters", "finish_reasons", "is_over", "usage")
    done_is_end: ClassVar[bool] = True

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reasons: list[str] = []
        self.characters = 0
        self.is_over = False
        self._ended: list[int] = []

    @property
    def may_end(self) -> bool:
        """Some choice has finished."""
        return bool(self.finish_reasons)

    def add(self, data: bytes) -> bool:
        """See `Tally.add`."""
        try:
            chunk = _decode_chunk(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return self._add_slowly(data)
        if chunk.error is not None:
            raise stream_error(chunk.error)
        if chunk.choices:
            for choice in chunk.choices:
                if choice.finish_reason is not None:
                    self._end(choice.index or 0, choice.finish_reason)
                if choice.delta is not None:
                    if choice.delta.content is not None:
                        self.characters += len(choice.delta.content)
                elif choice.text is not None:
                    self.characters += len(choice.text)
        if chunk.usage is not None:
            self.usage = usage_of_chat(chunk.usage)
            return bool(chunk.choices)
        return True

    def _end(self, index: int, reason: str) -> None:
        """Choices end in any order; their reasons stand in the order of the choices."""
        place = bisect_right(self._ended, index)
        self._ended.insert(place, index)
        self.finish_reasons.insert(place, reason)

    def _add_slowly(self, data: bytes) -> bool:
        """An event of unusual shape: any JSON object passes."""
        event = decode_event(data)
        if event.get("error") is not None:
            raise stream_error(event["error"])
        for reason in finish_reasons_of(event):
            self._end(0, reason)
        usage = usage_of_chat(event.get("usage"))
        self.usage = usage or self.usage
        return usage is None or bool(event.get("choices"))


def finish_reasons_of(body: Any) -> list[str]:
    """``finish_reason`` of every choice that has one."""
    choices = body.get("choices")
    if not isinstance(choices, list):
        return []
    reasons = (choice.get("finish_reason") for choice in choices if isinstance(choice, dict))
    return [reason for reason in reasons if isinstance(reason, str)]
