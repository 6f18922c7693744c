"""The events of a Responses handler as the chunks of a chat stream.

Rule: one chunk for each delta of text, as cheaply as can be; all that needs thought lies in `OutputItems`.
Source: OpenAI API reference, streaming events of Responses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import Chunks, Delta, Ending
from chatproxy.translation.chat.responses_items import OutputItems, logprobs_of

_REASONS = {"max_output_tokens": "length", "content_filter": "content_filter"}


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
        made = self._chunks.start(response.get("id"), response.get("model") or self._model, response.get("created_at"))
        if kind == "response.output_text.delta":
            return made + self.event(data)
        if kind in ("response.completed", "response.incomplete"):
            return made + self._end(response)
        read = self._READERS.get(kind)
        return made if read is None else made + self._chunks.chunks(read(self, data))

    def _end(self, response: Json) -> list[Json]:
        if self._chunks.is_finished:
            return []
        made = self._chunks.start(response.get("id"), response.get("model") or self._model, response.get("created_at"))
        made += self._chunks.chunks(self._items.missed(response.get("output")))
        return made + self._chunks.finish(ending_of(response, self._losses, has_calls=self._items.has_calls))

    def _item_added(self, data: Json) -> list[Delta]:
        item = data.get("item")
        return self._items.begin(_index(data), item) if isinstance(item, dict) else []

    def _item_done(self, data: Json) -> list[Delta]:
        item = data.get("item")
        return self._items.complete(_index(data), item) if isinstance(item, dict) else []

    def _text_done(self, data: Json) -> list[Delta]:
        place = _index(data), _place(data.get("content_index"))
        return self._items.part_complete(place[0], "output_text", place[1], data.get("text"), data.get("logprobs"))

    def _refusal(self, data: Json) -> list[Delta]:
        return self._items.refusal(_index(data), _place(data.get("content_index")), _text(data))

    def _refusal_done(self, data: Json) -> list[Delta]:
        place = _index(data), _place(data.get("content_index"))
        return self._items.part_complete(place[0], "refusal", place[1], data.get("refusal"))

    def _reasoning(self, data: Json) -> list[Delta]:
        return self._items.reasoning(_index(data), "content", _place(data.get("content_index")), _text(data))

    def _summary(self, data: Json) -> list[Delta]:
        return self._items.reasoning(_index(data), "summary", _place(data.get("summary_index")), _text(data))

    def _reasoning_done(self, data: Json) -> list[Delta]:
        kind = "summary" if "summary_index" in data else "content"
        return self._items.part_complete(_index(data), kind, _place(data.get(f"{kind}_index")), data.get("text"))

    def _annotation(self, data: Json) -> list[Delta]:
        return self._items.annotation(_index(data), _place(data.get("content_index")), data.get("annotation"))

    def _call(self, data: Json) -> list[Delta]:
        return self._items.call_written(_index(data), _text(data))

    def _call_done(self, data: Json) -> list[Delta]:
        return self._items.call_complete(_index(data), data.get("arguments", data.get("input")))

    _READERS: ClassVar[dict[str, Callable[[ResponsesStream, Json], list[Delta]]]] = {
        "response.output_item.added": _item_added,
        "response.output_item.done": _item_done,
        "response.output_text.done": _text_done,
        "response.output_text.annotation.added": _annotation,
        "response.refusal.delta": _refusal,
        "response.refusal.done": _refusal_done,
        "response.reasoning_text.delta": _reasoning,
        "response.reasoning_text.done": _reasoning_done,
        "response.reasoning_summary_text.delta": _summary,
        "response.reasoning_summary_text.done": _reasoning_done,
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
        said = details.get("reason") if isinstance(details, dict) else None
        if said not in _REASONS:
            losses.add("choices[0].finish_reason", "changed", f"the response is incomplete: {str(said)[:60]}")
        reason = _REASONS.get(str(said), "length")
    elif status not in ("completed", None):
        losses.add("choices[0].finish_reason", "changed", f"the response's status is {str(status)[:60]}")
    tier = response.get("service_tier")
    return Ending(reason, usage_of(response.get("usage")), tier if isinstance(tier, str) else None)


def usage_of(usage: Any) -> Json | None:
    """A response's ``usage`` in chat's form; None where there is none."""
    if not isinstance(usage, dict):
        return None
    read, written = _count(usage, "input_tokens"), _count(usage, "output_tokens")
    prompt: Json = {"cached_tokens": 0}
    given = usage.get("input_tokens_details")
    for key in ("cached_tokens", "cache_write_tokens"):
        if isinstance(given, dict) and key in given:
            prompt[key] = _count(given, key)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": _count(usage, "total_tokens") or read + written,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {
            "reasoning_tokens": _count(usage.get("output_tokens_details"), "reasoning_tokens")
        },
    }


def _count(holder: Any, key: str) -> int:
    found = holder.get(key) if isinstance(holder, dict) else None
    return found if type(found) is int else 0


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
