"""ResponseProgress: what of a streamed response has gone out, so that it can be ended where it stands.

Rule: what is said again at the end is exactly what went out; nothing is taken from elsewhere.
Source: OpenAI API reference, "Responses, streaming events" and "The response object", ``incomplete_details``.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from chatproxy.types.endings_responses import LAST, message_item
from chatproxy.types.usage import Usage

Json = dict[str, Any]
_HEADS = frozenset({"response.created", "response.queued", "response.in_progress"})
_DONE = "response.output_item.done"


class _Form(NamedTuple):
    """How one type of part is told of.

    Attributes:
        holder: the item's list that it is in.
        key: of its text in the part and in the event that says it whole.
        stem: of the events about its text.
        part_stem: of the events about the part.
    """

    holder: str
    type: str
    key: str
    stem: str
    part_stem: str

    @property
    def index_key(self) -> str:
        return f"{self.holder}_index"


_FORMS = (
    _Form("content", "output_text", "text", "response.output_text", "response.content_part"),
    _Form("content", "refusal", "refusal", "response.refusal", "response.content_part"),
    _Form("content", "reasoning_text", "text", "response.reasoning_text", "response.content_part"),
    _Form("summary", "summary_text", "text", "response.reasoning_summary_text", "response.reasoning_summary_part"),
)
_BY_DELTA = {f"{form.stem}.delta": form for form in _FORMS}
_BY_DONE = {f"{form.stem}.done": form for form in _FORMS}
_PARTS = {f"{form.part_stem}.{step}": form.holder for form in _FORMS for step in ("added", "done")}
# Fields of items that are said in pieces.
_WRITTEN: Mapping[str, str] = {
    "response.function_call_arguments": "arguments",
    "response.mcp_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.code_interpreter_call_code": "code",
}
_WRITTEN_DELTAS = {f"{stem}.delta": key for stem, key in _WRITTEN.items()}
_WRITTEN_DONE = {f"{stem}.done": key for stem, key in _WRITTEN.items()}


class _Part:
    """A part of an item.

    Attributes:
        was_added: an event told of the part itself.
    """

    __slots__ = ("form", "is_over", "is_said", "pieces", "shown", "was_added")

    def __init__(self, form: _Form, shown: Json | None = None) -> None:
        self.form = form
        self.was_added = shown is not None
        self.shown: Json = dict(shown or {"type": form.type})
        text = self.shown.get(form.key)
        self.pieces = [text] if isinstance(text, str) else []
        self.is_said = False
        self.is_over = False

    @property
    def whole(self) -> Json:
        return {**self.shown, self.form.key: "".join(self.pieces)}


class _Item:
    """An output item; ``parts`` by the list they are in and their place there."""

    __slots__ = ("is_over", "parts", "pieces", "shown")

    def __init__(self, shown: Json) -> None:
        self.shown = shown
        self.parts: dict[tuple[str, int], _Part] = {}
        self.pieces: dict[str, list[str]] = {}
        self.is_over = False

    def part(self, form: _Form, index: int) -> _Part:
        found = self.parts.get((form.holder, index))
        if found is None:
            found = self.parts[form.holder, index] = _Part(form)
        return found

    def write(self, key: str) -> list[str]:
        """The pieces of one of its fields."""
        begun = self.shown.get(key)
        return self.pieces.setdefault(key, [begun] if isinstance(begun, str) else [])

    def cut(self) -> Json:
        """The item as far as it was told of."""
        made = dict(self.shown)
        for (holder, _), part in sorted(self.parts.items(), key=lambda found: found[0]):
            if holder not in made or made[holder] is self.shown.get(holder):
                made[holder] = []
            made[holder].append(part.whole)
        made |= {key: "".join(pieces) for key, pieces in self.pieces.items()}
        if "status" in made:
            made["status"] = "incomplete"
        return made


class ResponseProgress:
    """`Progress` of a response's events."""

    __slots__ = ("_head", "_is_over", "_items", "_number")

    def __init__(self) -> None:
        self._head: Json | None = None
        self._items: dict[int, _Item] = {}
        self._number = -1
        self._is_over = False

    def take(self, data: Json) -> None:
        """See `Progress`."""
        kind, number = data.get("type"), data.get("sequence_number")
        self._number = number if type(number) is int else self._number + 1
        if not isinstance(kind, str):
            return
        form = _BY_DELTA.get(kind)
        if form is not None:
            self._item(data, form.type).part(form, _int(data, form.index_key)).pieces.append(_str(data, "delta"))
        elif kind in _WRITTEN_DELTAS:
            self._item(data, "function_call").write(_WRITTEN_DELTAS[kind]).append(_str(data, "delta"))
        else:
            self._note(kind, data)

    def filtered(self, message: str, usage: Usage | None, model: str) -> list[Json]:
        """See `Progress`; the message is an item of its own."""
        made: list[Json] = []
        if self._is_over:
            return made
        if self._head is None:
            self._head = _begun(model)
            made += [{"type": f"response.{state}", "response": self._head} for state in ("created", "in_progress")]
        for index, item in sorted(self._items.items()):
            if not item.is_over:
                made += _closing(item, index)
        if message:
            made += self._saying(message)
        output = [item.shown for _, item in sorted(self._items.items())]
        counts = self._head.get("usage") if usage is None else _counts(usage)
        end = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": output}
        made.append({"type": "response.incomplete", "response": {**self._head, **end, "usage": counts}})
        self._is_over = True
        first = self._number + 1
        return [{"type": event["type"], "sequence_number": first + i, **event} for i, event in enumerate(made)]

    def _note(self, kind: str, data: Json) -> None:
        """An event that is no piece of a text."""
        if kind in LAST:
            self._is_over = True
        elif kind in _HEADS:
            self._head = data.get("response") if isinstance(data.get("response"), dict) else self._head
        elif kind in _PARTS:
            self._note_part(kind, data, data.get("part"))
        elif kind in _BY_DONE:
            form = _BY_DONE[kind]
            part = self._item(data, form.type).part(form, _int(data, form.index_key))
            part.pieces, part.is_said = [_str(data, form.key)], True
        elif kind in _WRITTEN_DONE:
            key = _WRITTEN_DONE[kind]
            self._item(data, "function_call").pieces[key] = [_str(data, key)]
        elif kind in {"response.output_item.added", _DONE} and isinstance(data.get("item"), dict):
            item = self._items[_int(data, "output_index")] = _Item(data["item"])
            item.is_over = kind == _DONE
        elif kind == "response.output_text.annotation.added":
            part = self._item(data, "output_text").part(_FORMS[0], _int(data, "content_index"))
            known = part.shown.get("annotations")
            part.shown["annotations"] = [*(known if isinstance(known, list) else ()), data.get("annotation")]

    def _note_part(self, kind: str, data: Json, shown: Any) -> None:
        holder = _PARTS[kind]
        form = next((form for form in _FORMS if isinstance(shown, dict) and form.type == shown.get("type")), None)
        if form is None:
            return
        part = _Part(form, shown)
        part.is_over = part.is_said = kind.endswith(".done")
        self._item(data, form.type).parts[holder, _int(data, form.index_key)] = part

    def _item(self, data: Json, part_type: str) -> _Item:
        """The item that an event speaks of, also where nothing told of its beginning."""
        place = _int(data, "output_index")
        item = self._items.get(place)
        if item is None:
            item = self._items[place] = _Item(_unknown(part_type, data.get("item_id")))
        return item

    def _saying(self, message: str) -> list[Json]:
        """The events of a message of its own, behind all other items."""
        index = max(self._items, default=-1) + 1
        whole = message_item(message)
        self._items[index] = item = _Item(whole)
        item.is_over = True
        (part,) = whole["content"]
        place = {"item_id": whole["id"], "output_index": index, "content_index": 0}
        begun = {**whole, "status": "in_progress", "content": []}
        return [
            {"type": "response.output_item.added", "output_index": index, "item": begun},
            {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
            {"type": "response.output_text.delta", **place, "delta": message, "logprobs": []},
            {"type": "response.output_text.done", **place, "text": message, "logprobs": []},
            {"type": "response.content_part.done", **place, "part": part},
            {"type": _DONE, "output_index": index, "item": whole},
        ]


def _closing(item: _Item, index: int) -> list[Json]:
    """The events that end an open item; a call gets no event that says its arguments whole, since they are not."""
    made: list[Json] = []
    for (_, number), part in sorted(item.parts.items(), key=lambda found: found[0]):
        form = part.form
        place = {"item_id": item.shown.get("id"), "output_index": index, form.index_key: number}
        if not part.is_said:
            chances: Json = {"logprobs": []} if form.type == "output_text" else {}
            made.append({"type": f"{form.stem}.done", **place, form.key: "".join(part.pieces), **chances})
        if part.was_added and not part.is_over:
            made.append({"type": f"{form.part_stem}.done", **place, "part": part.whole})
    item.shown, item.is_over = item.cut(), True
    return [*made, {"type": _DONE, "output_index": index, "item": item.shown}]


def _begun(model: str) -> Json:
    """A response of which nothing was said yet, with the fields that clients must find."""
    absent = dict.fromkeys(("error", "incomplete_details", "instructions", "temperature", "top_p", "usage"))
    return {
        "id": "resp_" + secrets.token_hex(24),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "model": model,
        "output": [],
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **absent,
    }


def _unknown(part_type: str, item_id: Any) -> Json:
    """An item of which only the inner parts were told."""
    if part_type == "function_call":
        return {"type": "function_call", "id": item_id, "status": "in_progress", "arguments": ""}
    if part_type in {"reasoning_text", "summary_text"}:
        return {"type": "reasoning", "id": item_id, "summary": []}
    return {"type": "message", "id": item_id, "status": "in_progress", "role": "assistant", "content": []}


def _counts(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }


def _int(data: Json, key: str) -> int:
    value = data.get(key)
    return value if type(value) is int else 0


def _str(data: Json, key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
