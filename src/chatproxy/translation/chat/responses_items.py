"""What a Responses handler puts out, item by item, as deltas of a chat answer.

Rule: each text, call and annotation reaches the client once, whether it comes in deltas, with the end of its part or
item, or only in the finished response.
Source: OpenAI API reference, "The response object" and the streaming events of Responses.
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import Delta, call_piece, call_start
from chatproxy.translation.chat.responses_input import sealed

_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_REASONING_GAP = "\n\n"
_NOWHERE: Any = object()


class _Open:
    """A part of an item: how much of it the client has, and where in the content it began."""

    __slots__ = ("annotations", "begin", "sent")

    def __init__(self, begin: int) -> None:
        self.begin = begin
        self.sent = 0
        self.annotations = 0


class _OpenCall:
    __slots__ = ("index", "is_custom", "sent")

    def __init__(self, index: int, *, is_custom: bool) -> None:
        self.index = index
        self.is_custom = is_custom
        self.sent = 0


class OutputItems:
    """Reads the items of one answer; ``index`` is an item's place in the output, ``part`` one within the item."""

    __slots__ = (
        "_call_ids",
        "_calls",
        "_complete",
        "_hub",
        "_losses",
        "_parts",
        "_reasoned_in",
        "_refused",
        "_text_size",
    )

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

    def refusal(self, index: Any, part: Any, text: str) -> list[Delta]:
        """A piece of a refusal."""
        self._part(index, "refusal", part).sent += len(text)
        self._refused = True
        return [Delta({"refusal": text})] if text else []

    def reasoning(self, index: Any, kind: str, part: Any, text: str) -> list[Delta]:
        """A piece of reasoning; ``kind`` tells summaries from the reasoning itself.

        A blank line stands between parts. In hub form it does not between items, which keep their borders there.
        """
        if not text:
            return []
        is_new = (index, kind, part) not in self._parts
        self._part(index, kind, part).sent += len(text)
        if is_new and self._reasoned_in is not _NOWHERE and (self._reasoned_in == index or not self._hub):
            text = _REASONING_GAP + text
        self._reasoned_in = index
        return [Delta({"reasoning_content": text})]

    def annotation(self, index: Any, part: Any, annotation: Any) -> list[Delta]:
        """An annotation of a text."""
        opened = self._part(index, "output_text", part)
        opened.annotations += 1
        return self._annotation(annotation, opened.begin)

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

    def part_complete(self, index: Any, kind: str, part: Any, text: Any, logprobs: Any = None) -> list[Delta]:
        """All of a part's text; what the client has is not sent again."""
        opened = self._parts.get((index, kind, part))
        rest = text[opened.sent if opened is not None else 0 :] if isinstance(text, str) else ""
        if not rest:
            return []
        if kind == "refusal":
            return self.refusal(index, part, rest)
        if kind != "output_text":
            return self.reasoning(index, kind, part, rest)
        self.text(index, part, rest)
        return [Delta({"content": rest}, logprobs_of(logprobs) if opened is None else None)]

    def begin(self, index: Any, item: Json) -> list[Delta]:
        """An item begins. Only a call says something now; its arguments follow."""
        kind = str(item.get("type"))
        if kind not in _CALLS:
            if kind not in ("message", "reasoning"):
                self._losses.add("choices[0].message", "dropped", f"chat has no place for {kind[:60]} items")
            return []
        if index in self._calls:
            return []
        is_custom = kind == "custom_tool_call"
        call = self._calls[index] = _OpenCall(len(self._calls), is_custom=is_custom)
        call_id = _call_id(item)
        self._call_ids.add(call_id)
        return [call_start(call.index, call_id, item.get("name"), is_custom=is_custom)]

    def complete(self, index: Any, item: Json) -> list[Delta]:
        """An item is whole: whatever of it the client does not have yet."""
        kind = str(item.get("type"))
        deltas = self.begin(index, item)
        self._complete.add(kind)
        if kind == "message":
            for place, part in _listed(item.get("content")):
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
        for place, item in _listed(items):
            kind = str(item.get("type"))
            if (_call_id(item) in told) if kind in _CALLS else (kind in known):
                continue
            deltas += self.complete(("missed", place), item)
        return deltas

    def _part(self, index: Any, kind: str, part: Any) -> _Open:
        return self._parts.setdefault((index, kind, part), _Open(self._text_size))

    def _part_of_message(self, index: Any, place: int, part: Json) -> list[Delta]:
        kind = part.get("type")
        if kind == "refusal":
            return self.part_complete(index, "refusal", place, part.get("refusal"))
        if kind != "output_text":
            self._losses.add("choices[0].message.content", "dropped", f"chat has no place for {str(kind)[:60]} parts")
            return []
        deltas = self.part_complete(index, "output_text", place, part.get("text"), part.get("logprobs"))
        opened = self._part(index, "output_text", place)
        for _, annotation in _listed(part.get("annotations"))[opened.annotations :]:
            deltas += self.annotation(index, place, annotation)
        return deltas

    def _reasoning_item(self, index: Any, item: Json) -> list[Delta]:
        deltas: list[Delta] = []
        texts: list[str] = []
        for kind in ("summary", "content"):
            for place, part in _listed(item.get(kind)):
                text = part.get("text")
                deltas += self.part_complete(index, kind, place, text)
                texts += [text] if isinstance(text, str) and text else []
        encrypted = item.get("encrypted_content")
        signature = sealed(item.get("id"), encrypted) if isinstance(encrypted, str) and encrypted else None
        if not self._hub:
            if signature is not None:
                self._losses.add("choices[0].message.reasoning_content", "changed", "left without its encrypted form")
        elif texts:
            block: Json = {"type": "thinking", "thinking": _REASONING_GAP.join(texts), "signature": signature}
            deltas.append(Delta({"thinking_blocks": [block]}))
        elif signature is not None:
            deltas.append(Delta({"thinking_blocks": [{"type": "redacted_thinking", "data": signature}]}))
        return deltas

    def _annotation(self, annotation: Any, begin: int) -> list[Delta]:
        kind = annotation.get("type") if isinstance(annotation, dict) else None
        if kind != "url_citation":
            self._losses.add("choices[0].message.annotations", "dropped", f"chat has no {str(kind)[:60]}")
            return []
        cited = {key: value for key, value in annotation.items() if key != "type"}
        for key in ("start_index", "end_index"):
            if type(cited.get(key)) is int:
                cited[key] += begin
        return [Delta({"annotations": [{"type": kind, kind: cited}]})]


def logprobs_of(found: Any) -> Json | None:
    """Log probabilities of a text in chat's form; None where there are none."""
    listed = [_logprob(one, top=_listed(one.get("top_logprobs"))) for _, one in _listed(found)]
    return {"content": listed, "refusal": None} if listed else None


def _logprob(found: Json, top: list[tuple[int, Json]] | None = None) -> Json:
    made = {"token": found.get("token"), "logprob": found.get("logprob"), "bytes": found.get("bytes")}
    if top is not None:
        made["top_logprobs"] = [_logprob(one) for _, one in top]
    return made


def _call_id(item: Json) -> str:
    """What tells a call from others; its own id where there is no better one, maybe nothing."""
    found = item.get("call_id") or item.get("id")
    return found if isinstance(found, str) else ""


def _listed(value: Any) -> list[tuple[int, Json]]:
    """The objects of a list with their places; nothing where a handler sent another shape."""
    return [(i, one) for i, one in enumerate(value) if isinstance(one, dict)] if isinstance(value, list) else []
