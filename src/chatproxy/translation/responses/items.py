"""Output items of a Response that are being written, each with the events that tell of it.

Rule: an item tells of its own beginning, growth and end; which items there are is decided elsewhere.
Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chatproxy.translation.base import Json
from chatproxy.translation.responses.object import make_id


class Events:
    """The events of one stream, numbered from 0."""

    __slots__ = ("made", "number")

    def __init__(self) -> None:
        self.made: list[Json] = []
        self.number = 0

    def add(self, kind: str, **fields: Any) -> None:
        """Say something."""
        self.made.append({"type": kind, "sequence_number": self.number, **fields})
        self.number += 1

    def take(self) -> list[Json]:
        """What was said since the last time."""
        made, self.made = self.made, []
        return made


class Silence(Events):
    """For a buffered reply, of which nothing is told before its end."""

    __slots__ = ()

    def add(self, kind: str, **fields: Any) -> None:
        """Say nothing."""


class OpenMessage:
    """A message: parts of text and refusal, one after the other."""

    __slots__ = ("_annotations", "_events", "_logprobs", "_parts", "index", "item_id", "kind", "pieces")

    def __init__(self, events: Events, index: int) -> None:
        self._events = events
        self.index = index
        self.item_id = make_id("msg_")
        self.kind: str | None = None
        self.pieces: list[str] = []
        self._logprobs: list[Json] = []
        self._annotations: list[Json] = []
        self._parts: list[Json] = []
        events.add("response.output_item.added", output_index=index, item=self._item("in_progress", []))

    @property
    def content_index(self) -> int:
        """The place of the part that is being written."""
        return len(self._parts)

    def text(self, piece: str, logprobs: list[Json]) -> None:
        """The next piece of text."""
        self._begin("output_text")
        self.pieces.append(piece)
        self._logprobs += logprobs
        if piece or logprobs:
            self._say("response.output_text.delta", delta=piece, logprobs=logprobs)

    def refusal(self, piece: str) -> None:
        """The next piece of a refusal."""
        self._begin("refusal")
        self.pieces.append(piece)
        self._say("response.refusal.delta", delta=piece)

    def annotate(self, annotation: Json) -> None:
        """A source of the text."""
        self._begin("output_text")
        place = len(self._annotations)
        self._annotations.append(annotation)
        self._say("response.output_text.annotation.added", annotation_index=place, annotation=annotation)

    def close(self, status: str) -> Json:
        """End the message."""
        self._end()
        shown = self._item(status, [dict(part) for part in self._parts])
        self._events.add("response.output_item.done", output_index=self.index, item=shown)
        return self._item(status, self._parts)

    def _item(self, status: str, parts: list[Json]) -> Json:
        return {"id": self.item_id, "type": "message", "status": status, "role": "assistant", "content": parts}

    def _begin(self, kind: str) -> None:
        if self.kind != kind:
            self._end()
            self.kind = kind
            self._say("response.content_part.added", part=self._part(""))

    def _end(self) -> None:
        if self.kind is None:
            return
        whole = "".join(self.pieces)
        if self.kind == "refusal":
            self._say("response.refusal.done", refusal=whole)
        else:
            self._say("response.output_text.done", text=whole, logprobs=self._logprobs)
        self._say("response.content_part.done", part=self._part(whole))
        self._parts.append(self._part(whole))
        self.kind, self.pieces, self._logprobs, self._annotations = None, [], [], []

    def _part(self, text: str) -> Json:
        if self.kind == "refusal":
            return {"type": "refusal", "refusal": text}
        return {"type": "output_text", "annotations": [*self._annotations], "logprobs": [*self._logprobs], "text": text}

    def _say(self, kind: str, **fields: Any) -> None:
        self._events.add(kind, item_id=self.item_id, output_index=self.index, content_index=len(self._parts), **fields)


class OpenReasoning:
    """Reasoning, told as the one part of a summary; ``encrypted`` is what only the model's maker can read."""

    __slots__ = ("_events", "encrypted", "index", "item_id", "pieces")

    def __init__(self, events: Events, index: int) -> None:
        self._events = events
        self.index = index
        self.item_id = make_id("rs_")
        self.pieces: list[str] = []
        self.encrypted: str | None = None
        events.add("response.output_item.added", output_index=index, item=self._item())

    def text(self, piece: str) -> None:
        """The next piece."""
        if not self.pieces:
            self._say("response.reasoning_summary_part.added", part={"type": "summary_text", "text": ""})
        self.pieces.append(piece)
        self._say("response.reasoning_summary_text.delta", delta=piece)

    def close(self, _status: str) -> Json:
        """End the reasoning; such items have no status."""
        if self.pieces:
            whole = "".join(self.pieces)
            self._say("response.reasoning_summary_text.done", text=whole)
            self._say("response.reasoning_summary_part.done", part={"type": "summary_text", "text": whole})
        self._events.add("response.output_item.done", output_index=self.index, item=self._item())
        return self._item()

    def _item(self) -> Json:
        summary = [{"type": "summary_text", "text": "".join(self.pieces)}] if self.pieces else []
        item: Json = {"id": self.item_id, "type": "reasoning", "summary": summary}
        if self.encrypted is not None:
            item["encrypted_content"] = self.encrypted
        return item

    def _say(self, kind: str, **fields: Any) -> None:
        self._events.add(kind, item_id=self.item_id, output_index=self.index, summary_index=0, **fields)


_CALL_KEYS = frozenset({"index", "id", "type", "function", "custom", "status", "call_id", "name", "input", "arguments"})


class OpenCall:
    """A call of a function or custom tool; told of, and given its place, as soon as its name is known.

    Args:
        place: gives the next place in the output.

    Attributes:
        index: its place; -1 before it has one.
    """

    __slots__ = ("_events", "_extra", "_is_custom", "_name", "_pieces", "_place", "call_id", "index", "item_id")

    def __init__(self, events: Events, place: Callable[[], int], call_id: str, *, is_custom: bool) -> None:
        self._events = events
        self._place = place
        self.index = -1
        self._is_custom = is_custom
        self.item_id = make_id("ctc_" if is_custom else "fc_")
        self.call_id = call_id or make_id("call_")
        self._name = ""
        self._pieces: list[str] = []
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
        text = said.get("input" if self._is_custom else "arguments")
        if text:
            text = text if isinstance(text, str) else msgspec.json.encode(text).decode()
            self._pieces.append(text)
            if self.index >= 0:
                self._say_delta(text)
        if not _CALL_KEYS.issuperset(piece):
            self._extra |= {key: item for key, item in piece.items() if key not in _CALL_KEYS and item is not None}

    def close(self, status: str) -> Json:
        """End the call."""
        self.tell()
        whole = "".join(self._pieces)
        if self._is_custom:
            self._say("response.custom_tool_call_input.done", input=whole)
        else:
            self._say("response.function_call_arguments.done", name=self._name, arguments=whole)
        self._events.add("response.output_item.done", output_index=self.index, item=self._item(status, whole))
        return self._item(status, whole)

    def tell(self) -> None:
        """Say that there is such a call, where that has not been said."""
        if self.index >= 0:
            return
        self.index = self._place()
        self._events.add("response.output_item.added", output_index=self.index, item=self._item("in_progress", ""))
        for piece in self._pieces:
            self._say_delta(piece)

    def _say_delta(self, piece: str) -> None:
        kind = "response.custom_tool_call_input.delta" if self._is_custom else "response.function_call_arguments.delta"
        self._say(kind, delta=piece)

    def _item(self, status: str, text: str) -> Json:
        return {
            "id": self.item_id,
            "type": "custom_tool_call" if self._is_custom else "function_call",
            "status": status,
            "call_id": self.call_id,
            "name": self._name,
            "input" if self._is_custom else "arguments": text,
            **self._extra,
        }

    def _say(self, kind: str, **fields: Any) -> None:
        self._events.add(kind, item_id=self.item_id, output_index=self.index, **fields)
