"""ChatRequest: what a client sent and a handler gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self

from chatproxy.types.body import JsonBody
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
from chatproxy.types.text import Text


class ChatRequest(JsonBody):
    """A request body as a mutable mapping, with shortcuts that mean the same on every surface.

    Example:
        ``request["temperature"] = 0`` · ``request.tools.append(tool)`` · ``for text in request.texts(): …``
    """

    __slots__ = ("layout",)

    def __init__(self, value: Mapping[str, Any] | None = None, *, layout: Layout = CHAT) -> None:
        super().__init__(value)
        self.layout = layout

    @classmethod
    def of(cls, data: bytes, layout: Layout) -> Self:
        """Decode a body that belongs to a surface; raises `InvalidRequest` as `JsonBody.decode` does."""
        request = cls.decode(data)
        request.layout = layout
        return request

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
        """The conversation; an empty list of its own is put in where there is none."""
        return self._list("messages")

    @messages.setter
    def messages(self, value: list[dict[str, Any]]) -> None:
        self["messages"] = value

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools offered to the model; appending to it offers one more.

        A list is put into the request only once something is in it.
        """
        value = self.get("tools")
        return value if isinstance(value, list) else _LateList(self, "tools")

    @tools.setter
    def tools(self, value: list[dict[str, Any]]) -> None:
        self["tools"] = value

    @property
    def params(self) -> dict[str, Any]:
        """The model's parameters (``temperature``, ``max_tokens``, …), decoded; set them on the request itself."""
        return {key: self[key] for key in self if key not in self.layout.structural}

    def texts(self) -> Iterator[Text]:
        """Every text a person or a model wrote, with its place and ``replace``."""
        return self.layout.request_texts(self)

    def _list(self, key: str) -> list[dict[str, Any]]:
        value = self.get(key)
        if not isinstance(value, list):
            value = []
            self[key] = value
        return value


class _LateList(list[dict[str, Any]]):
    """An empty list that enters its request with the first item appended or extended."""

    __slots__ = ("_key", "_request")

    def __init__(self, request: ChatRequest, key: str) -> None:
        super().__init__()
        self._request = request
        self._key = key

    def append(self, item: dict[str, Any]) -> None:
        super().append(item)
        self._request[self._key] = self

    def extend(self, items: Any) -> None:
        super().extend(items)
        if self:
            self._request[self._key] = self

    def insert(self, index: Any, item: dict[str, Any]) -> None:
        super().insert(index, item)
        self._request[self._key] = self
