"""What a client got of an answer, as entries of the conversation."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy import ChatResponse, StreamEvent, Usage
from chatproxy.types import LAYOUTS, assembly_for
from chatproxy_platform.sessions.parts import Json

_LAST = frozenset({"response.completed", "response.incomplete", "message_stop"})


class Answer:
    """What has been said, whole.

    Attributes:
        entries: in the surface's form; of several choices the first.
        others: the further choices.
        size_bytes: of the entries, as JSON.
        failure: why the answer is not whole, where it says so itself.
    """

    __slots__ = ("entries", "failure", "others", "size_bytes", "usage")

    def __init__(self, surface: str, body: Json) -> None:
        self.entries, self.others = _entries(surface, body)
        self.failure = "failed" if surface == "responses" and body.get("status") == "failed" else None
        self.size_bytes = len(msgspec.json.encode(self.entries))
        self.usage: Usage | None = LAYOUTS[surface].usage(body)

    @classmethod
    def of(cls, surface: str, response: ChatResponse) -> Answer:
        """A buffered answer; nothing of it counts as read."""
        return cls(surface, response.plain())


class Hearing:
    """Puts the events of a stream together as they go out."""

    __slots__ = ("_assembly", "_has_heard", "_running", "_surface")

    def __init__(self, surface: str) -> None:
        self._surface = surface
        self._assembly = assembly_for(surface)
        self._has_heard = False
        self._running: dict[Any, list[str]] = {}  # texts of items of the responses surface that are not done

    def add(self, data: Json) -> None:
        """The next event, as the client gets it."""
        self._assembly.add(data)
        self._has_heard = True
        if self._surface == "responses":
            kind, index = data.get("type"), data.get("output_index")
            if kind == "response.output_text.delta" and isinstance(data.get("delta"), str):
                self._running.setdefault(index, []).append(data["delta"])
            elif kind == "response.output_item.done":
                self._running.pop(index, None)

    def is_last(self, event: StreamEvent) -> bool:
        """Whether the client takes the answer for whole with this event."""
        return self._surface != "chat" and event.data.get("type") in _LAST

    def answer(self, model: str) -> Answer | None:
        """What has been said so far; None where nothing was."""
        if not self._has_heard:
            return None
        body = self._assembly.result(model)
        if self._running:
            texts = [{"type": "output_text", "text": "".join(pieces)} for pieces in self._running.values()]
            begun = {"type": "message", "role": "assistant", "content": texts}
            body["output"] = [*body.get("output", ()), begun]
        return Answer(self._surface, body)


def _entries(surface: str, body: Json) -> tuple[list[Any], list[Any]]:
    if surface == "responses":
        output = body.get("output")
        return (output if isinstance(output, list) else []), []
    if surface == "messages":
        content = body.get("content")
        return [{"role": "assistant", "content": content if isinstance(content, list) else []}], []
    said = [choice.get("message") for choice in body.get("choices") or () if isinstance(choice, dict)]
    messages = [_without_nothing(message) for message in said if isinstance(message, dict)]
    return messages[:1], messages[1:]


def _without_nothing(message: Json) -> Json:
    """A message as it can be sent again: what is null or empty says nothing."""
    kept = {key: value for key, value in message.items() if value not in (None, [])}
    return {"role": "assistant", "content": message.get("content"), **kept}
