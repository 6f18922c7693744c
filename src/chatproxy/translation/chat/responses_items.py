"""What a Responses handler puts out, item by item, as deltas of a chat answer.

Rule: each text, call and annotation reaches the client once, whether it comes in deltas, with the end of its part or
item, or only in the finished response.
Source: OpenAI API reference, "The response object" and the streaming events of Responses.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.chat.chunks import REASONING_GAP, Delta, call_piece, call_start
from chatproxy.translation.chat.responses_input import sealed
from chatproxy.translation.hub import objects
from chatproxy.types.walk import objects as numbered

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_NOWHERE: Any = object()


class _Open(msgspec.Struct):
    """A part of an item: how much of it the client has, and where in the content it began."""

    begin: int
    sent: int = 0
    annotations: int = 0


class _OpenCall(msgspec.Struct):
    index: int
    is_custom: bool
    sent: int = 0


class OutputItems:
    """Reads the items of one answer; ``index`` is an item's place in the output, ``part`` one within the item."""

    __slots__ = ("_call_ids", "_calls", "_complete", "_hub", "_losses", "_parts", "_reasoned_in", "_refused",
                 "_text_size")  # fmt: skip

    def __init__(self, losses: Losses, *, hub: bool) -> None:
        self._losses = losses
        self._hub = hub
        self._parts: dict[tuple[Any, str, Any], _Open] = {}
        self._calls: dict[Any, _OpenCall] = {}
        self._call_ids: set[str] = set()
        self._complete: set[str] = set()  # kinds of items that came whole
        self._reasoned_in = _NOWHERE
        self._refused = False
        self._text_size = 0

    @property
    def has_calls(self) -> bool:
        """Whether the model called a tool."""
        return bool(self._calls)

    def text(self, index: Any, part: Any, text: str) -> None:
        """Count a piece of text that goes to the client."""
        key = (index, "output_text", part)
        opened = self._parts.get(key)
        if opened is None:
            opened = self._parts[key] = _Open(self._text_size)
        opened.sent += len(text)
        self._text_size += len(text)

    def said(self, index: Any, kind: str, part: Any, text: str) -> list[Delta]:
        """A piece of something that is said, of a kind that `part_complete` knows."""
        if not text:
            return []
        if kind == "output_text":
            self.text(index, part, text)
            return [Delta({"content": text})]
        is_new = (index, kind, part) not in self._parts
        self._part(index, kind, part).sent += len(text)
        if kind == "refusal":
            self._refused = True
            return [Delta({"refusal": text})]
        # A blank line stands between parts; but in hub form not between items, which keep their borders there.
        if is_new and self._reasoned_in is not _NOWHERE and (self._reasoned_in == index or not self._hub):
            text = REASONING_GAP + text
        self._reasoned_in = index
        return [Delta({"reasoning_content": text})]

    def part_complete(self, index: Any, kind: str, part: Any, text: Any, logprobs: Any = None) -> list[Delta]:
        """All of a part's text; what the client has is not sent again.

        Args:
            kind: ``output_text``, ``refusal``, or for reasoning ``summary`` or ``content``.
        """
        opened = self._parts.get((index, kind, part))
        rest = text[opened.sent if opened is not None else 0 :] if isinstance(text, str) else ""
        made = self.said(index, kind, part, rest)
        if made and opened is None and kind == "output_text":
            return [Delta(made[0].said, logprobs_of(logprobs))]
        return made

    def annotation(self, index: Any, part: Any, annotation: Any) -> list[Delta]:
        """An annotation of a text."""
        opened = self._part(index, "output_text", part)
        opened.annotations += 1
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        if kind != "url_citation":
            self._losses.add("choices[0].message.annotations", "dropped", f"{str(kind)[:60]}: {NOT_ON_CHAT}")
            return []
        cited = {key: value for key, value in annotation.items() if key != "type"}
        for key in ("start_index", "end_index"):
            if type(cited.get(key)) is int:
                cited[key] += opened.begin
        return [Delta({"annotations": [{"type": kind, kind: cited}]})]

    def call_written(self, index: Any, written: str) -> list[Delta]:
        """A piece of a call's arguments or input."""
        call = self._calls.get(index)
        if call is None or not written:
            return []
        call.sent += len(written)
        return [call_piece(call.index, written, is_custom=call.is_custom)]

    def call_complete(self, index: Any, written: Any) -> list[Delta]:
        """All of a call's arguments or input; what the client has is not sent again."""
        call = self._calls.get(index)
        return self.call_written(index, written[call.sent :]) if call is not None and isinstance(written, str) else []

    def begin(self, index: Any, item: Json) -> list[Delta]:
        """An item begins. Only a call says something now; its arguments follow."""
        kind = str(item.get("type"))
        if kind not in _CALLS:
            if kind not in ("message", "reasoning"):
                self._losses.add("choices[0].message", "dropped", f"{kind[:60]} items: {NOT_ON_CHAT}")
            return []
        if index in self._calls:
            return []
        is_custom = kind == "custom_tool_call"
        call = self._calls[index] = _OpenCall(len(self._calls), is_custom)
        call_id = _call_id(item)
        self._call_ids.add(call_id)
        return [call_start(call.index, call_id, item.get("name"), is_custom=is_custom)]

    def complete(self, index: Any, item: Json) -> list[Delta]:
        """An item is whole: whatever of it the client does not have yet."""
        kind = str(item.get("type"))
        deltas = self.begin(index, item)
        self._complete.add(kind)
        if kind == "message":
            for place, part in numbered(item.get("content")):
                deltas += self._part_of_message(index, place, part)
        elif kind == "reasoning":
            deltas += self._reasoning_item(index, item)
        elif kind in _CALLS:
            deltas += self.call_complete(index, item.get(_CALLS[kind]))
        return deltas

    def missed(self, items: Any) -> list[Delta]:
        """Items of the finished response that never came in the stream."""
        deltas: list[Delta] = []
        told = set(self._call_ids)
        known = set(self._complete)
        known |= {"message"} if self._text_size or self._refused else set()
        known |= {"reasoning"} if self._reasoned_in is not _NOWHERE else set()
        for place, item in numbered(items):
            kind = str(item.get("type"))
            if (_call_id(item) in told) if kind in _CALLS else (kind in known):
                continue
            deltas += self.complete(("missed", place), item)
        return deltas

    def _part(self, index: Any, kind: str, part: Any) -> _Open:
        return self._parts.setdefault((index, kind, part), _Open(self._text_size))

    def _part_of_message(self, index: Any, place: int, part: Json) -> list[Delta]:
        kind = str(part.get("type"))
        if kind == "refusal":
            return self.part_complete(index, kind, place, part.get("refusal"))
        if kind != "output_text":
            self._losses.add("choices[0].message.content", "dropped", f"{kind[:60]} parts: {NOT_ON_CHAT}")
            return []
        deltas = self.part_complete(index, kind, place, part.get("text"), part.get("logprobs"))
        known = self._part(index, kind, place).annotations
        for annotation in objects(part.get("annotations"))[known:]:
            deltas += self.annotation(index, place, annotation)
        return deltas

    def _reasoning_item(self, index: Any, item: Json) -> list[Delta]:
        deltas: list[Delta] = []
        texts: list[str] = []
        for kind in ("summary", "content"):
            for place, part in numbered(item.get(kind)):
                text = part.get("text")
                deltas += self.part_complete(index, kind, place, text)
                texts += [text] if isinstance(text, str) and text else []
        encrypted = item.get("encrypted_content")
        signature = sealed(item.get("id"), encrypted) if isinstance(encrypted, str) and encrypted else None
        if not self._hub:
            if signature is not None:
                reason = f"its encrypted form: {NOT_ON_CHAT}"
                self._losses.add("choices[0].message.reasoning_content", "changed", reason)
        elif texts:
            block: Json = {"type": "thinking", "thinking": REASONING_GAP.join(texts), "signature": signature}
            deltas.append(Delta({"thinking_blocks": [block]}))
        elif signature is not None:
            deltas.append(Delta({"thinking_blocks": [{"type": "redacted_thinking", "data": signature}]}))
        return deltas


def logprobs_of(found: Any) -> Json | None:
    """Log probabilities of a text in chat's form; None where there are none."""
    listed = [_logprob(one, top=objects(one.get("top_logprobs"))) for one in objects(found)]
    return {"content": listed, "refusal": None} if listed else None


def _logprob(found: Json, top: list[Json] | None = None) -> Json:
    made = {"token": found.get("token"), "logprob": found.get("logprob"), "bytes": found.get("bytes")}
    if top is not None:
        made["top_logprobs"] = [_logprob(one) for one in top]
    return made


def _call_id(item: Json) -> str:
    """What tells a call from others; its own id where there is no better one, maybe nothing."""
    found = item.get("call_id") or item.get("id")
    return found if isinstance(found, str) else ""
