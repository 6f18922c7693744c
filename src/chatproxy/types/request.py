"""ChatRequest: what a client sent and a handler gets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, SupportsIndex

from chatproxy.errors import InvalidRequest
from chatproxy.types.body import JsonBody
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
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

        Raises:
            InvalidRequest: ``messages`` is no array (400).
        """
        return self._list("messages")

    @messages.setter
    def messages(self, value: list[dict[str, Any]]) -> None:
        self["messages"] = value

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The tools offered to the model. Where there are none, a list that enters the request with its first item.

        Raises:
            InvalidRequest: ``tools`` is no array (400).
        """
        return self._list("tools")

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
        if isinstance(value, list):
            return value
        if value is not None:
            raise InvalidRequest(f"'{key}' must be an array, found {type(value).__name__}.", param=key)
        if not hasattr(self, "_late"):
            self._late: dict[str, _LateList] = {}
        return self._late.setdefault(key, _LateList(self, key))


class _LateList(list[dict[str, Any]]):
    """An empty list that enters its request with its first item, so that looking does not add an empty field."""

    __slots__ = ("_key", "_request")

    def __init__(self, request: ChatRequest, key: str) -> None:
        super().__init__()
        self._request = request
        self._key = key

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
        super().__setitem__(index, items)
        if was_empty and self and self._request.get(self._key) is None:
            self._request[self._key] = self
