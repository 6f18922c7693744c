"""From a stream's events to the buffered form of the same answer, on every surface that streams.

Rule: what a client has seen, put together; nothing is added that no event said.
Source: OpenAI API reference, "Streaming events" of responses; Anthropic API reference, "Streaming Messages".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from chatproxy.types.assembly_chat import ChatAssembly
from chatproxy.types.assembly_messages import MessagesAssembly

Json = dict[str, Any]


class Assembly(Protocol):
    """Collects the events of one stream."""

    def add(self, event: Mapping[str, Any]) -> None:
        """Take the next event."""

    def result(self, model: str) -> Json:
        """The buffered form; ``model`` stands in where no event named one."""


class ResponsesAssembly:
    """The last event carries the whole response; before it, the items that are done."""

    def __init__(self) -> None:
        self._response: Json = {}
        self._items: dict[int, Any] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """See `Assembly`."""
        if isinstance(event.get("response"), Mapping):
            self._response = dict(event["response"])
        elif event.get("type") == "response.output_item.done":
            self._items[event.get("output_index", len(self._items))] = event.get("item")

    def result(self, model: str) -> Json:
        """See `Assembly`."""
        items = [item for _, item in sorted(self._items.items())]
        response = {"object": "response", "model": model, **self._response}
        return response if response.get("output") else {**response, "output": items}


class CompletionsAssembly:
    """Choices whose texts are joined."""

    def __init__(self) -> None:
        self._head: Json = {}
        self._choices: dict[int, Json] = {}

    def add(self, event: Mapping[str, Any]) -> None:
        """See `Assembly`."""
        self._head = {**event, **self._head, "usage": event.get("usage") or self._head.get("usage")}
        for part in event.get("choices") or ():
            index = part.get("index", 0)
            choice = self._choices.setdefault(index, {"index": index, "text": "", "finish_reason": None})
            choice["text"] += part.get("text") or ""
            choice["finish_reason"] = part.get("finish_reason") or choice["finish_reason"]

    def result(self, model: str) -> Json:
        """See `Assembly`."""
        choices = [choice for _, choice in sorted(self._choices.items())]
        return {"object": "text_completion", "model": model, **self._head, "choices": choices}


_ASSEMBLIES: Mapping[str, Callable[[], Assembly]] = {
    "responses": ResponsesAssembly,
    "messages": MessagesAssembly,
    "completions": CompletionsAssembly,
}


def assembly_for(surface: str) -> Assembly:
    """An empty assembly for a stream of this surface."""
    return _ASSEMBLIES.get(surface, ChatAssembly)()
