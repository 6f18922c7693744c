"""The events of a Responses handler as the chunks of a chat stream.

Rule: one chunk for each delta of text, as cheaply as can be; all that needs thought lies in `OutputItems`.
Source: OpenAI API reference, streaming events of Responses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import Chunks, Delta, Ending
from chatproxy.translation.chat.responses_items import OutputItems, logprobs_of
from chatproxy.translation.endings import RESPONSES_TO_CHAT, usage_from_responses


class ResponsesStream:
    """Reads one stream.

    Args:
        model: stands in where the handler names none.
        hub: the client can carry encrypted reasoning.
    """

    __slots__ = ("_chunks", "_items", "_losses", "_model")

    def __init__(self, losses: Losses, *, model: str, hub: bool) -> None:
        self._losses = losses
        self._model = model
        self._chunks = Chunks()
        self._items = OutputItems(losses, hub=hub)

    def event(self, data: Json) -> list[Json]:
        """The chunks for the next event."""
        kind = data.get("type")
        if kind == "response.output_text.delta" and self._chunks.is_open:
            text = data.get("delta")
            if not isinstance(text, str) or not text:
                return []
            self._items.text(_index(data), _place(data.get("content_index")), text)
            made = self._chunks.chunk(
                {"content": text}, logprobs_of(data["logprobs"]) if data.get("logprobs") else None
            )
            if "obfuscation" in data:
                made["obfuscation"] = data["obfuscation"]
            return [made]
        return self._other(str(kind), data)

    def finish(self) -> list[Json]:
        """The end, where the handler named none."""
        return self._end({})

    def _other(self, kind: str, data: Json) -> list[Json]:
        if self._chunks.is_finished:
            return []
        response = data.get("response")
        response = response if isinstance(response, dict) else {}
        if kind in ("response.completed", "response.incomplete"):
            return self._end(response)
        made = self._start(response)
        if kind == "response.output_text.delta":
            return made + self.event(data)
        read = _READERS.get(kind)
        return made if read is None else made + self._chunks.chunks(read(self._items, data))

    def _start(self, response: Json) -> list[Json]:
        return self._chunks.start(response.get("id"), response.get("model") or self._model, response.get("created_at"))

    def _end(self, response: Json) -> list[Json]:
        if self._chunks.is_finished:
            return []
        made = self._start(response) + self._chunks.chunks(self._items.missed(response.get("output")))
        return made + self._chunks.finish(ending_of(response, self._losses, has_calls=self._items.has_calls))


_Reader = Callable[[OutputItems, Json], list[Delta]]


def _item_added(items: OutputItems, data: Json) -> list[Delta]:
    item = data.get("item")
    return items.begin(_index(data), item) if isinstance(item, dict) else []


def _item_done(items: OutputItems, data: Json) -> list[Delta]:
    item = data.get("item")
    return items.complete(_index(data), item) if isinstance(item, dict) else []


def _said(kind: str, place: str) -> _Reader:
    """Reads a piece of a part whose place in its item is told by the field ``place``."""

    def read(items: OutputItems, data: Json) -> list[Delta]:
        return items.said(_index(data), kind, _place(data.get(place)), _text(data))

    return read


def _part_done(kind: str, place: str, key: str = "text") -> _Reader:
    """Reads the whole of such a part, which is under ``key``."""

    def read(items: OutputItems, data: Json) -> list[Delta]:
        return items.part_complete(_index(data), kind, _place(data.get(place)), data.get(key), data.get("logprobs"))

    return read


def _annotation(items: OutputItems, data: Json) -> list[Delta]:
    return items.annotation(_index(data), _place(data.get("content_index")), data.get("annotation"))


def _call(items: OutputItems, data: Json) -> list[Delta]:
    return items.call_written(_index(data), _text(data))


def _call_done(items: OutputItems, data: Json) -> list[Delta]:
    return items.call_complete(_index(data), data.get("arguments", data.get("input")))


_READERS: dict[str, _Reader] = {
    "response.output_item.added": _item_added,
    "response.output_item.done": _item_done,
    "response.output_text.done": _part_done("output_text", "content_index"),
    "response.output_text.annotation.added": _annotation,
    "response.refusal.delta": _said("refusal", "content_index"),
    "response.refusal.done": _part_done("refusal", "content_index", "refusal"),
    "response.reasoning_text.delta": _said("content", "content_index"),
    "response.reasoning_text.done": _part_done("content", "content_index"),
    "response.reasoning_summary_text.delta": _said("summary", "summary_index"),
    "response.reasoning_summary_text.done": _part_done("summary", "summary_index"),
    "response.function_call_arguments.delta": _call,
    "response.function_call_arguments.done": _call_done,
    "response.custom_tool_call_input.delta": _call,
    "response.custom_tool_call_input.done": _call_done,
}


def ending_of(response: Json, losses: Losses, *, has_calls: bool) -> Ending:
    """Finish reason and usage of a response; one without a status counts as completed."""
    reason = "tool_calls" if has_calls else "stop"
    status = response.get("status")
    if status == "incomplete":
        details = response.get("incomplete_details")
        said = str(details.get("reason")) if isinstance(details, dict) else "no reason"
        if said not in RESPONSES_TO_CHAT:
            losses.add("choices[0].finish_reason", "changed", f"the response is incomplete: {said[:60]}")
        reason = RESPONSES_TO_CHAT.get(said, "length")
    elif status not in ("completed", None):
        losses.add("choices[0].finish_reason", "changed", f"the response's status is {str(status)[:60]}")
    tier = response.get("service_tier")
    return Ending(reason, usage_from_responses(response.get("usage")), tier if isinstance(tier, str) else None)


def _text(data: Json) -> str:
    text = data.get("delta")
    return text if isinstance(text, str) else ""


def _index(data: Json) -> int | str | None:
    """The place of an event's item, or the item's id where a handler leaves the place out."""
    index = data.get("output_index")
    if index is None:
        item = data.get("item")
        index = item.get("id") if isinstance(item, dict) else data.get("item_id")
    return _place(index)


def _place(value: Any) -> int | str | None:
    return value if isinstance(value, int | str) else None
