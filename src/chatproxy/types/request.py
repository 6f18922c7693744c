"""ChatRequest: what a client sent and a handler gets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, SupportsIndex

from chatproxy.errors import InvalidRequest
from chatproxy.types.body import JsonBody
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.reply import ChatResponse
from chatproxy.types.text import Text


class ChatRequest(JsonBody):
    """A request body as a mutable mapping, with shortcuts that mean the same on every surface.

    Example:
        ``request["temperature"] = 0`` · ``request.tools.append(tool)`` · ``for text in request.texts(): …``
    """

    __slots__ = ("_late", "layout")

    def __init__(self, value: Mapping[str, Any] | None = None, *, layout: Layout = CHAT) -> None:
        super().__init__(value)
        self.layout = layout

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a chat completion's body; raises `InvalidRequest` as `JsonBody.decode` does."""
        return cls.of(data, CHAT)

    @classmethod
    def of(cls, data: bytes, layout: Layout) -> Self:
        """Decode a body that belongs to a surface; raises `InvalidRequest` as `JsonBody.decode` does."""
        request = super().decode(data)
        request.layout = layout
        return request

    def copy(self) -> Self:
        """Another request with the same content; changing one does not change the other."""
        return type(self)(self, layout=self.layout)

    @property
    def model(self) -> str:
        """The model's id; empty where the request names none."""
        value = self.get("model")
        return value if isinstance(value, str) else ""

    @model.setter
    def model(self, value: str) -> None:
        self["model"] = value

    @property
    def stream(self) -> bool:
        """Whether the client asked for a stream."""
        return self.get("stream") is True

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The conversation. Where there is none, an empty list that enters the request with its first item.

        On the responses surface these are the items of ``input``. A surface without a conversation (completions,
        embeddings) has an empty list that belongs to nothing.

        Raises:
            InvalidRequest: the field is no array (400).
        """
        key = self.layout.messages_key
        if key == "input" and isinstance(text := self.get(key), str):
            self[key] = [{"role": "user", "content": text}]
        return self._list(key) if key else []

    @messages.setter
    def messages(self, value: list[dict[str, Any]]) -> None:
        if self.layout.messages_key:
            self[self.layout.messages_key] = value

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools offered to the model. Where there are none, a list that enters the request with its first item.

        They are in the surface's own form; a function tool in chat's form (``{"type": "function", "function": {…}}``)
        takes that form when it is put into the list. A surface without tools has an empty list that belongs to
        nothing.

        Raises:
            InvalidRequest: ``tools`` is no array (400).
        """
        if not self.layout.has_tools:
            return []
        found = self._list("tools")
        if isinstance(found, _OwnList) or self.layout is CHAT:
            return found
        self["tools"] = tools = _OwnList(self, "tools", found)
        return tools

    @tools.setter
    def tools(self, value: list[dict[str, Any]]) -> None:
        if self.layout.has_tools:
            self["tools"] = [self.layout.own_tool(tool) for tool in value]

    @property
    def params(self) -> dict[str, Any]:
        """The model's parameters (``temperature``, ``max_tokens``, …), decoded; set them on the request itself."""
        return {key: self[key] for key in self if key not in self.layout.structural}

    def texts(self) -> Iterator[Text]:
        """Every text a person or a model wrote, with its place and ``replace``."""
        return self.layout.request_texts(self)

    def instruct(self, prompt: str, behavior: str = "append") -> None:
        """Join a system prompt with the request's own, wherever the surface keeps it.

        Args:
            behavior: ``override`` (replace what is there), ``prepend`` or ``append`` (with a blank line between),
                ``default`` (only where the request has none).
        """
        self.layout.instruct(self, prompt, behavior)

    def answer_calls(self, reply: ChatResponse, results: Mapping[str, ToolResult]) -> None:
        """Add a model's turn and the results of its tool calls to the conversation: one round of a tool loop.

        Args:
            reply: the turn, of the same surface.
            results: by the id of the call.
        """
        self.layout.answer_calls(self, reply, results)

    def calls(self) -> dict[str, ToolCall]:
        """The calls of functions that stand in the conversation, by id."""
        return {} if self.layout.turns is None else self.layout.turns.calls(self)

    def answers(self) -> dict[str, Any]:
        """What the conversation says in answer to tool calls: content, as it stands there, by the call's id."""
        return {} if self.layout.turns is None else self.layout.turns.answers(self)

    def set_answer(self, call_id: str, result: ToolResult) -> None:
        """Put a result in place of what the conversation says in answer to a call."""
        if self.layout.turns is not None:
            self.layout.turns.set_answer(self, call_id, result)

    def resume(self, trails: Mapping[str, list[dict[str, Any]]]) -> None:
        """Put what earlier exchanges hid from the client back into the conversation; see `Turns.resume`.

        Args:
            trails: by the id of a call that the client was given.
        """
        if self.layout.turns is not None:
            self.layout.turns.resume(self, trails)

    def _list(self, key: str) -> list[dict[str, Any]]:
        value = self.get(key)
        if isinstance(value, list):
            return value
        if value is not None:
            raise InvalidRequest(f"'{key}' must be an array, found {type(value).__name__}.", param=key)
        if not hasattr(self, "_late"):
            self._late: dict[str, _OwnList] = {}
        return self._late.setdefault(key, _OwnList(self, key))


class _OwnList(list[dict[str, Any]]):
    """A list of a request: it gives tools the surface's form, and enters the request with its first item.

    Looking at a field that is not there thus does not add it.
    """

    __slots__ = ("_form", "_key", "_request")

    def __init__(self, request: ChatRequest, key: str, items: Iterable[dict[str, Any]] = ()) -> None:
        super().__init__(items)
        self._request = request
        self._key = key
        self._form: Callable[[Any], dict[str, Any]] | None = request.layout.own_tool if key == "tools" else None

    def append(self, item: dict[str, Any]) -> None:
        self[len(self) :] = [item]

    def extend(self, items: Iterable[dict[str, Any]]) -> None:
        self[len(self) :] = items

    def insert(self, index: SupportsIndex, item: dict[str, Any]) -> None:
        self[index:index] = [item]

    def __iadd__(self, items: Iterable[dict[str, Any]]) -> Self:  # type: ignore[override,misc]
        self[len(self) :] = items
        return self

    def __setitem__(self, index: Any, items: Any) -> None:
        was_empty = not self
        if self._form is not None:
            items = [self._form(item) for item in items] if isinstance(index, slice) else self._form(items)
        super().__setitem__(index, items)
        if was_empty and self and self._request.get(self._key) is None:
            self._request[self._key] = self
