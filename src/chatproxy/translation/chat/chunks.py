"""What a chat client gets, in pieces or whole, for each translation that answers one.

Rule: an answer is read as deltas; the stream sends each in a chunk, the buffered reply puts them together. So both say
the same.
Source: OpenAI API reference, "The chat completion chunk object" and "The chat completion object".
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from secrets import token_hex
from typing import Any, NamedTuple

from chatproxy.translation.base import Json

# Stands between parts of the reasoning that a handler keeps apart.
REASONING_GAP = "\n\n"
_CALLS = (("function", "arguments"), ("custom", "input"))


class Delta(NamedTuple):
    """A piece of the answer: the fields of a chunk's ``delta``, and log probabilities by ``content`` or ``refusal``."""

    said: Json
    logprobs: Json | None = None


class Ending(NamedTuple):
    """How the answer ended.

    Attributes:
        usage: in chat's form.
        service_tier: where the handler named one.
        stop_reason: the stop sequence that was met, under the name that vLLM gave it in a choice.
    """

    finish_reason: str
    usage: Json | None = None
    service_tier: str | None = None
    stop_reason: str | None = None

    def choice(self, key: str, said: Json, logprobs: Json | None = None) -> Json:
        """The choice that ends."""
        made = {"index": 0, key: said, "logprobs": logprobs, "finish_reason": self.finish_reason}
        return made if self.stop_reason is None else {**made, "stop_reason": self.stop_reason}

    def around(self, opening: Json) -> Json:
        """The opening of a chat object, with what is said of the whole answer."""
        return opening if self.service_tier is None else {**opening, "service_tier": self.service_tier}


class Chunks:
    """Writes the chunks of one stream: a role first, then deltas, a finish reason and the usage, all under one id."""

    __slots__ = ("_head", "is_finished", "is_open")

    def __init__(self) -> None:
        self._head: Json = {}
        self.is_open = False
        self.is_finished = False

    def start(self, answer_id: Any, model: Any, created: Any = None) -> list[Json]:
        """The chunk that names the role; nothing the second time."""
        if self._head:
            return []
        self.is_open = True
        self._head = head("chat.completion.chunk", answer_id, model, created)
        return [self.chunk({"role": "assistant", "content": ""})]

    def chunk(self, said: Json, logprobs: Json | None = None) -> Json:
        """One chunk with one delta."""
        choice = {"index": 0, "delta": said, "logprobs": logprobs, "finish_reason": None}
        return {**self._head, "choices": [choice]}

    def chunks(self, deltas: Iterable[Delta]) -> list[Json]:
        """A chunk for each delta."""
        return [self.chunk(said, logprobs) for said, logprobs in deltas]

    def finish(self, ending: Ending) -> list[Json]:
        """The finish reason, then the usage in a chunk of its own where there is one."""
        self.is_finished = True
        self.is_open = False
        opening = ending.around(self._head)
        made = [{**opening, "choices": [ending.choice("delta", {})]}]
        if ending.usage is not None:
            made.append({**opening, "choices": [], "usage": ending.usage})
        return made


def head(kind: str, answer_id: Any, model: Any, created: Any = None) -> Json:
    """What every chat object opens with; an id of chat's own form is kept, another replaced."""
    is_own = isinstance(answer_id, str) and answer_id.startswith("chatcmpl-")
    return {
        "id": answer_id if is_own else f"chatcmpl-{token_hex(12)}",
        "object": kind,
        "created": int(created) if isinstance(created, int | float) and created else int(time.time()),
        "model": model if isinstance(model, str) else "",
    }


def completion(opening: Json, deltas: Iterable[Delta], ending: Ending) -> Json:
    """The buffered form of an answer."""
    message: Json = {"role": "assistant", "content": None, "refusal": None, "annotations": []}
    logprobs: Json = {"content": None, "refusal": None}
    for said, probabilities in deltas:
        for key, value in said.items():
            if key == "tool_calls":
                _add_calls(message.setdefault(key, []), value)
            elif value:
                message[key] = value if not message.get(key) else message[key] + value
        for key, value in (probabilities or {}).items():
            logprobs[key] = [*(logprobs[key] or ()), *value] if value else logprobs[key]
    if message["content"] is None and message["refusal"] is None and "tool_calls" not in message:
        message["content"] = ""
    choice = ending.choice("message", message, logprobs if any(logprobs.values()) else None)
    made = {**ending.around(opening), "choices": [choice]}
    return made if ending.usage is None else {**made, "usage": ending.usage}


def call_start(index: int, call_id: Any, name: Any, *, is_custom: bool = False) -> Delta:
    """The delta that opens a call; what the model writes for it follows."""
    kind, written = _CALLS[is_custom]
    call_id = call_id if isinstance(call_id, str) and call_id else f"call_{token_hex(12)}"
    called = {"name": name if isinstance(name, str) else "", written: ""}
    return Delta({"tool_calls": [{"index": index, "id": call_id, "type": kind, kind: called}]})


def call_piece(index: int, text: str, *, is_custom: bool = False) -> Delta:
    """The delta with the next piece of a call's arguments, or of a custom call's input."""
    kind, written = _CALLS[is_custom]
    return Delta({"tool_calls": [{"index": index, kind: {written: text}}]})


def _add_calls(calls: list[Json], pieces: list[Json]) -> None:
    """Put pieces of calls together; a call's first piece has its id and name."""
    for piece in pieces:
        kind, written = _CALLS["custom" in piece]
        if "id" in piece:
            calls.append({"id": piece["id"], "type": kind, kind: dict(piece[kind])})
        else:
            calls[piece["index"]][kind][written] += piece[kind][written]
