"""Arguments of tool calls as one text each, also where a surface keeps them as JSON objects.

Chat and responses carry arguments as JSON text, and so does every stream; a message of Anthropic's carries an object.
Checks see JSON text everywhere, so that numbers, keys and values that stand together are seen alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from chatproxy.types import Text
from chatproxy.types.text import Path, TextKind

_CONTAINERS = frozenset({"arguments", "input"})


class CallText:
    """An object of arguments, shown as `chatproxy.types.Text` shows a text."""

    __slots__ = ("_key", "_on_replace", "_parent", "path", "role", "value")
    kind: TextKind = "tool_arguments"
    is_whole = True

    def __init__(self, body: Any, path: Path, role: str, on_replace: Callable[[], None] | None) -> None:
        self._parent = body
        for step in path[:-1]:
            self._parent = self._parent[step]
        self._key = path[-1]
        self._on_replace = on_replace
        self.path = path
        self.role = role
        self.value: str = msgspec.json.encode(self._parent[self._key]).decode()

    def replace(self, new: str) -> None:
        """Put other arguments in their place; raises `msgspec.DecodeError` for what is no JSON."""
        if new != self.value:
            self.value = new
            self._parent[self._key] = msgspec.json.decode(new)
            if self._on_replace is not None:
                self._on_replace()


AnyText = Text | CallText


def with_whole_calls(
    texts: Iterable[Text], body: Callable[[], Any], on_replace: Callable[[], None] | None = None
) -> list[AnyText]:
    """The texts, with one for all that stand in the same object of arguments.

    Args:
        body: gives what the texts' paths begin at.
        on_replace: called where an object was changed.
    """
    found: dict[Path, AnyText] = {}
    for text in texts:
        path = _container(text)
        if path is None:
            found[text.path] = text
        elif path not in found:
            found[path] = CallText(body(), path, text.role, on_replace)
    return list(found.values())


def _container(text: Text) -> Path | None:
    """Where the object is that a text of arguments stands in; the first step is the request's or reply's own field."""
    if text.kind == "tool_arguments":
        path = text.path
        for place in range(1, len(path) - 1):
            if path[place] in _CONTAINERS:
                return path[: place + 1]
    return None
