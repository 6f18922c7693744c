"""From chat's chunks to the buffered form: calls, messages, choices.

Rule: what a client has seen, put together; nothing is added that no chunk said. Memory is bounded by what was sent:
an index is a name, not a place.
Source: OpenAI API reference, "The chat completion chunk object".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from secrets import token_hex
from typing import Any

from chatproxy.types.walk import objects

Json = dict[str, Any]
_REASONING = frozenset({"text", "summary", "thinking"})
_TOLD = ("service_tier", "system_fingerprint")  # beside the head, in chunks as in the buffered form; the last counts
_RUNNING = _REASONING | {"name", "arguments", "input", "transcript", "data"}  # of objects that come in pieces


class ChatCall:
    """One tool call, put together from its pieces.

    Attributes:
        order: how many calls of the message began before it.
        id: the first that a piece gave; empty where none did.
    """

    __slots__ = ("_arguments", "_function", "_names", "_others", "id", "order")

    def __init__(self, order: int) -> None:
        self.order = order
        self.id = ""
        self._names: list[str] = []
        self._arguments: list[str] = []
        self._function: Json = {}
        self._others: dict[str, list[Any]] = {}

    @property
    def name(self) -> str:
        """The function's name, as far as it has come."""
        return "".join(self._names)

    @property
    def is_named(self) -> bool:
        """Whether the name is whole: its arguments have begun, or it is a call of another kind than a function."""
        return bool(self._names and self._arguments) or "custom" in self._others

    def is_before(self, part: Mapping[str, Any]) -> bool:
        """Whether a piece that stands in this call's place begins another one.

        Some servers give several calls one index, or none; others make up a new id for each piece of one call.
        """
        function = part.get("function")
        if type(function) is not dict or not function.get("name") or not self._names:
            return False
        if part.get("id") and self.id:
            return bool(part["id"] != self.id)
        return type(part.get("index")) is not int and bool(self._arguments)

    def extend(self, part: Mapping[str, Any]) -> None:
        """Take the next piece."""
        for key, value in part.items():
            if key == "function" and isinstance(value, dict):
                self._extend_function(value)
            elif key == "id":
                self.id = self.id or (value if isinstance(value, str) else "")
            elif key not in {"index", "function"} and value is not None:
                self._others.setdefault(key, []).append(value)

    def result(self) -> Json:
        """The call in the buffered form."""
        others = {key: _folded(values) for key, values in self._others.items()}
        if "custom" in others and not self._names:
            return {"id": self.id, **others}
        function = {"name": self.name, "arguments": "".join(self._arguments), **self._function}
        return {"id": self.id, "type": "function", **others, "function": function}

    def _extend_function(self, part: Json) -> None:
        for key, value in part.items():
            if key not in {"name", "arguments"}:
                self._function[key] = value
            elif value and isinstance(value, str):
                (self._names if key == "name" else self._arguments).append(value)


class ChatMessage:
    """A message, put together from its deltas.

    Attributes:
        calls: its tool calls, in the order in which they began.
    """

    __slots__ = ("_by_index", "_others", "_texts", "calls")

    def __init__(self) -> None:
        self.calls: list[ChatCall] = []
        self._by_index: dict[int, ChatCall] = {}
        self._texts: dict[str, list[str]] = {}
        self._others: dict[str, list[Any]] = {}

    def extend(self, delta: Mapping[str, Any]) -> list[tuple[ChatCall, Json]]:
        """Take the next delta.

        Returns:
            Its pieces of tool calls, each with the call it belongs to.
        """
        found: list[tuple[ChatCall, Json]] = []
        for key, value in delta.items():
            if type(value) is str:
                pieces = self._texts.get(key)
                if pieces is not None:
                    pieces.append(value)
                elif key != "role":
                    self._texts[key] = [value]
            elif key == "tool_calls":
                parts = value if type(value) is list else ()
                found = [(self._extend_call(part), part) for part in parts if type(part) is dict]
            elif value is not None and key != "role":
                self._others.setdefault(key, []).append(value)
        return found

    def result(self) -> Json:
        """What has been said so far, without nulls."""
        said = {key: _folded(values) for key, values in self._others.items()}
        for key, pieces in self._texts.items():
            text = "".join(pieces)
            said[key] = [*said[key], {"type": "text", "text": text}] if isinstance(said.get(key), list) else text
        if self.calls:
            said["tool_calls"] = [call.result() for call in self.calls]
        return said

    def _extend_call(self, part: Json) -> ChatCall:
        index: Any = part.get("index")
        is_indexed = type(index) is int
        call = self._by_index.get(index) if is_indexed else self.calls[-1] if self.calls else None
        if call is None or call.is_before(part):
            call = ChatCall(len(self.calls))
            self.calls.append(call)
            if is_indexed:
                self._by_index[index] = call
        call.extend(part)
        return call


class ChatAssembly:
    """Choices whose deltas are joined."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._told: Json = {}
        self._messages: dict[int, ChatMessage] = {}
        self._reasons: dict[int, str] = {}
        self._usage: Mapping[str, Any] | None = None

    def add(self, event: Mapping[str, Any]) -> None:
        """See `Assembly`."""
        self._head = self._head or {key: event[key] for key in ("id", "created", "model") if key in event}
        if isinstance(event.get("usage"), Mapping):
            self._usage = event["usage"]
        for key in _TOLD:
            if event.get(key) is not None:
                self._told[key] = event[key]
        for position, choice in objects(event.get("choices")):
            number = choice_number(choice, position)
            message = self._messages.setdefault(number, ChatMessage())
            if isinstance(choice.get("delta"), Mapping):
                message.extend(choice["delta"])
            if choice.get("finish_reason"):
                self._reasons[number] = choice["finish_reason"]

    def result(self, model: str) -> Json:
        """See `Assembly`."""
        empty: Json = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
        choices = [
            {
                "index": number,
                "message": {**empty, **message.result()},
                "logprobs": None,
                "finish_reason": self._reasons.get(number, "stop"),
            }
            for number, message in sorted(self._messages.items())
        ]
        return {
            "id": self._head.get("id") or f"chatcmpl-{token_hex(12)}",
            "object": "chat.completion",
            "created": self._head.get("created") or int(time.time()),
            "model": self._head.get("model") or model,
            "choices": choices,
            **({} if self._usage is None else {"usage": dict(self._usage)}),
            **self._told,
        }


def choice_number(choice: Mapping[str, Any], position: int) -> int:
    """Which choice of chat it is; its position where it does not say."""
    index = choice.get("index")
    return index if type(index) is int else position


class _Pieces:
    """An object that comes in pieces: its running texts go on, all else is said anew."""

    __slots__ = ("_said", "_texts")

    def __init__(self, first: Json) -> None:
        self._said: Json = {}
        self._texts: dict[str, list[str]] = {}
        self.add(first)

    def goes_on(self, item: Any) -> bool:
        """Whether an item of a list is the next piece of this one, as pieces of reasoning are."""
        if not isinstance(item, dict) or self._said.get("signature"):
            return False
        is_same = all(self._said.get(key) == item.get(key) for key in ("type", "index"))
        return is_same and item.get("id") in (None, self._said.get("id")) and not _REASONING.isdisjoint(self._said)

    def add(self, piece: Json) -> None:
        for key, value in piece.items():
            if isinstance(value, str) and key in _RUNNING:
                self._texts.setdefault(key, []).append(value)
                self._said[key] = ""
            elif value is not None or key not in self._said:
                self._said[key] = value
                self._texts.pop(key, None)

    def result(self) -> Json:
        return {**self._said, **{key: "".join(texts) for key, texts in self._texts.items()}}


def _folded(values: list[Any]) -> Any:
    """What a field's pieces make together: lists grow, objects go on, all else is said anew."""
    made: Any = None
    for value in values:
        if isinstance(value, list):
            made = made if isinstance(made, list) else []
            for item in value:
                if made and isinstance(made[-1], _Pieces) and made[-1].goes_on(item):
                    made[-1].add(item)
                else:
                    made.append(_Pieces(item) if isinstance(item, dict) else item)
        elif isinstance(made, _Pieces) and isinstance(value, dict):
            made.add(value)
        else:
            made = _Pieces(value) if isinstance(value, dict) else value
    if isinstance(made, list):
        return [item.result() if isinstance(item, _Pieces) else item for item in made]
    return made.result() if isinstance(made, _Pieces) else made
