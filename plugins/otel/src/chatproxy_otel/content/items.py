"""ItemTexts: the output of a response that broke off, from the events that came.

Rule: an item that is done is taken as it was said, one that had only begun as far as its texts came.
Source: OpenAI API reference, "Responses, streaming events".
"""

from __future__ import annotations

from typing import Any

from chatproxy.types import StreamEvent

Json = dict[str, Any]
_ADDED, _DONE = "response.output_item.added", "response.output_item.done"


class ItemTexts:
    """Collects the events of one response."""

    def __init__(self) -> None:
        self._items: dict[int, Json] = {}
        self._done: set[int] = set()
        self._pieces: dict[int, dict[tuple[str | int, ...], list[str]]] = {}

    def add(self, event: StreamEvent) -> None:
        """Take the next event."""
        data = event.data
        index, item = data.get("output_index"), data.get("item")
        index = index if type(index) is int else 0
        if data.get("type") in (_ADDED, _DONE) and isinstance(item, dict):
            self._items[index] = item
            if data["type"] == _DONE:
                self._done.add(index)
            return
        for text in event.texts():
            if not text.is_whole:
                self._pieces.setdefault(index, {}).setdefault(text.channel, []).append(text.value)

    def result(self) -> list[Json]:
        """The items in order."""
        places = sorted({*self._items, *self._pieces})
        return [self._items[place] if place in self._done else self._begun(place) for place in places]

    def _begun(self, place: int) -> Json:
        item = self._items.get(place, {})
        texts = [(channel[-1], "".join(pieces)) for channel, pieces in self._pieces.get(place, {}).items()]
        said = {kind: [text for of, text in texts if of == kind] for kind, _ in texts}
        if not said:
            return item
        if "tool_arguments" in said:
            key = "input" if item.get("type") == "custom_tool_call" else "arguments"
            return {"type": "function_call", **item, key: "".join(said["tool_arguments"])}
        if "reasoning" in said and item.get("type", "reasoning") == "reasoning":
            return {
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": text} for text in said["reasoning"]],
            }
        parts = [{"type": "refusal", "refusal": text} for text in said.get("refusal", ())]
        parts += [{"type": "output_text", "text": text} for text in said.get("content", ())]
        return {"type": "message", "role": "assistant", "content": parts}
