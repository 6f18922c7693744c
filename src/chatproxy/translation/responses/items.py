"""Output items of a Response that are being written, each with the events that tell of it.

Rule: an item tells of its own beginning, growth and end; which items there are is decided elsewhere.
Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from chatproxy.translation.base import Json
from chatproxy.translation.hub import arguments_of


def make_id(prefix: str) -> str:
    """A new id, for example ``msg_`` and 24 hexadecimal digits."""
    return prefix + secrets.token_hex(12)


class Events:
    """The events of one stream, numbered from 0; items tell nothing of a buffered reply, which is silent."""

    __slots__ = ("_made", "is_silent", "number")

    def __init__(self, *, is_silent: bool = False) -> None:
        self.is_silent = is_silent
        self._made: list[Json] = []
        self.number = 0

    def add(self, kind: str, **fields: Any) -> None:
        """Say something."""
        self._made.append({"type": kind, "sequence_number": self.number, **fields})
        self.number += 1

    def take(self) -> list[Json]:
        """What was said since the last time."""
        made, self._made = self._made, []
        return made


class _Item:
    """What all items have.

    Attributes:
        index: its place in the output.
        pieces: of the text that is being written.
    """

    __slots__ = ("_events", "index", "item_id", "pieces")

    def __init__(self, events: Events, index: int, prefix: str) -> None:
        self._events = events
        self.index = index
        self.item_id = make_id(prefix)
        self.pieces: list[str] = []

    def _begin(self, item: Json) -> None:
        if not self._events.is_silent:
            self._events.add("response.output_item.added", output_index=self.index, item=item)

    def _say(self, kind: str, **fields: Any) -> None:
        if not self._events.is_silent:
            self._events.add(f"response.{kind}", item_id=self.item_id, output_index=self.index, **fields)

    def _end(self, item: Json) -> None:
        if not self._events.is_silent:
            self._events.add("response.output_item.done", output_index=self.index, item=item)


class OpenMessage(_Item):
    """A message: parts of text and refusal, one after the other; ``kind`` is that of the part at hand."""

    __slots__ = ("_annotations", "_logprobs", "_parts", "kind")

    def __init__(self, events: Events, index: int) -> None:
        super().__init__(events, index, "msg_")
        self.kind: str | None = None
        self._logprobs: list[Json] = []
        self._annotations: list[Json] = []
        self._parts: list[Json] = []
        self._begin(self._item("in_progress", []))

    def text(self, piece: str, logprobs: list[Json]) -> None:
        """The next piece of text."""
        self._begin_part("output_text")
        self.pieces.append(piece)
        self._logprobs += logprobs
        if piece or logprobs:
            self._say_part("output_text.delta", delta=piece, logprobs=logprobs)

    def plain_delta(self, piece: str) -> Json:
        """The next piece of a text that is open, and the event for it."""
        self.pieces.append(piece)
        events = self._events
        number = events.number
        events.number = number + 1
        return {
            "type": "response.output_text.delta",
            "sequence_number": number,
            "item_id": self.item_id,
            "output_index": self.index,
            "content_index": len(self._parts),
            "delta": piece,
            "logprobs": [],
        }

    def refusal(self, piece: str) -> None:
        """The next piece of a refusal."""
        self._begin_part("refusal")
        self.pieces.append(piece)
        self._say_part("refusal.delta", delta=piece)

    def annotate(self, annotation: Json) -> None:
        """A source of the text."""
        self._begin_part("output_text")
        place = len(self._annotations)
        self._annotations.append(annotation)
        self._say_part("output_text.annotation.added", annotation_index=place, annotation=annotation)

    def close(self, status: str) -> Json:
        """End the message."""
        self._end_part()
        self._end(self._item(status, [dict(part) for part in self._parts]))
        return self._item(status, self._parts)

    def _item(self, status: str, parts: list[Json]) -> Json:
        return {"id": self.item_id, "type": "message", "status": status, "role": "assistant", "content": parts}

    def _begin_part(self, kind: str) -> None:
        if self.kind != kind:
            self._end_part()
            self.kind = kind
            self._say_part("content_part.added", part=self._part(""))

    def _end_part(self) -> None:
        if self.kind is None:
            return
        whole = "".join(self.pieces)
        if self.kind == "refusal":
            self._say_part("refusal.done", refusal=whole)
        else:
            self._say_part("output_text.done", text=whole, logprobs=self._logprobs)
        part = self._part(whole)
        self._say_part("content_part.done", part={**part})
        self._parts.append(part)
        self.kind, self.pieces, self._logprobs, self._annotations = None, [], [], []

    def _part(self, text: str) -> Json:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": [*self._annotations], "logprobs": [*self._logprobs], "text": text}

    def _say_part(self, kind: str, **fields: Any) -> None:
        if not self._events.is_silent:
            self._say(kind, content_index=len(self._parts), **fields)


def text_message(text: str) -> Json:
    """The whole message of an answer that is one text."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"id": make_id("msg_"), "type": "message", "status": "completed", "role": "assistant", "content": [part]}


class OpenReasoning(_Item):
    """Reasoning, told as the one part of a summary; ``encrypted`` is what only the model's maker can read."""

    __slots__ = ("encrypted",)

    def __init__(self, events: Events, index: int) -> None:
        super().__init__(events, index, "rs_")
        self.encrypted: str | None = None
        self._begin(self._item())

    def text(self, piece: str) -> None:
        """The next piece."""
        if not self.pieces:
            self._say("reasoning_summary_part.added", summary_index=0, part={"type": "summary_text", "text": ""})
        self.pieces.append(piece)
        self._say("reasoning_summary_text.delta", summary_index=0, delta=piece)

    def close(self, _status: str) -> Json:
        """End the reasoning; such items have no status."""
        if self.pieces:
            whole = "".join(self.pieces)
            self._say("reasoning_summary_text.done", summary_index=0, text=whole)
            self._say("reasoning_summary_part.done", summary_index=0, part={"type": "summary_text", "text": whole})
        self._end(self._item())
        return self._item()

    def _item(self) -> Json:
        summary = [{"type": "summary_text", "text": "".join(self.pieces)}] if self.pieces else []
        item: Json = {"id": self.item_id, "type": "reasoning", "summary": summary}
        if self.encrypted is not None:
            item["encrypted_content"] = self.encrypted
        return item


_CALL_KEYS = frozenset({"index", "id", "type", "function", "custom", "status", "call_id", "name", "input", "arguments"})


class OpenCall(_Item):
    """A call of a function or custom tool; told of, and given its place, as soon as its name is known.

    Args:
        place: gives the next place in the output; until then ``index`` is -1.
    """

    __slots__ = ("_extra", "_is_custom", "_name", "_place", "_written", "call_id")

    def __init__(self, events: Events, place: Callable[[], int], call_id: str, *, is_custom: bool) -> None:
        super().__init__(events, -1, "ctc_" if is_custom else "fc_")
        self._place = place
        self._is_custom = is_custom
        self._written = "input" if is_custom else "arguments"
        self.call_id = call_id or make_id("call_")
        self._name = ""
        self._extra: Json = {}

    def take(self, piece: Json) -> None:
        """The next piece of the call, as chat says it."""
        said = piece.get("custom" if self._is_custom else "function")
        if not isinstance(said, dict):
            said = {}
        name = said.get("name")
        if isinstance(name, str) and name != self._name:
            self._name += name
        if self._name:
            self.tell()
        if text := arguments_of(said, self._written):
            self.pieces.append(text)
            if self.index >= 0:
                self._say_written("delta", delta=text)
        if not _CALL_KEYS.issuperset(piece):
            self._extra |= {key: item for key, item in piece.items() if key not in _CALL_KEYS and item is not None}

    def close(self, status: str) -> Json:
        """End the call."""
        self.tell()
        whole = "".join(self.pieces)
        named = {} if self._is_custom else {"name": self._name}
        self._say_written("done", **named, **{self._written: whole})
        self._end(self._item(status, whole))
        return self._item(status, whole)

    def tell(self) -> None:
        """Say that there is such a call, where that has not been said."""
        if self.index < 0:
            self.index = self._place()
            self._begin(self._item("in_progress", ""))
            for piece in self.pieces:
                self._say_written("delta", delta=piece)

    def _say_written(self, step: str, **fields: Any) -> None:
        self._say(f"{'custom_tool_call_input' if self._is_custom else 'function_call_arguments'}.{step}", **fields)

    def _item(self, status: str, text: str) -> Json:
        return {
            "id": self.item_id,
            "type": "custom_tool_call" if self._is_custom else "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self._name,
            self._written: text,
            **self._extra,
        }
