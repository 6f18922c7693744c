"""Arguments of tool calls as one text each, also where a surface keeps them as JSON objects.

Chat and responses carry arguments as JSON text, and so does every stream; a message of Anthropic's carries an object.
Checks see JSON text everywhere, so that numbers, keys and values that stand together are seen alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
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
        """Put other arguments in their place, as `as_container` reads them."""
        if new != self.value:
            self.value = new
            self._parent[self._key] = as_container(new)
            if self._on_replace is not None:
                self._on_replace()


AnyText = Text | CallText


def with_whole_calls(
    texts: Iterable[Text],
    body: Callable[[], Any],
    on_replace: Callable[[], None] | None = None,
    *,
    has_bare: bool = True,
) -> list[AnyText]:
    """The texts, with one for all that stand in the same object of arguments.

    Args:
        body: gives what the texts' paths begin at.
        on_replace: called where an object was changed.
        has_bare: there may be objects without any text in them, whose numbers and keys count all the same.
    """
    found: dict[Path, AnyText] = {}
    for text in texts:
        path = _container(text)
        if path is None:
            found[text.path] = text
        elif path not in found:
            found[path] = CallText(body(), path, text.role, on_replace)
    if has_bare:
        root = body()
        for path, role in _objects(root):
            if path not in found:
                found[path] = CallText(root, path, role, on_replace)
    return list(found.values())


def as_container(arguments: str) -> Any:
    """The object that JSON text stands for; what is none any more becomes the one value of an object."""
    try:
        made = msgspec.json.decode(arguments)
    except msgspec.DecodeError:  # a judge's finding may be the object's own braces
        made = None
    return made if isinstance(made, dict | list) else {"redacted": arguments}


def _objects(body: Any) -> Iterator[tuple[Path, str]]:
    """Where a body of any surface keeps objects of arguments, and whose they are."""
    found: list[tuple[Path, Any, str]] = [((), body, "assistant"), (("content_block",), body.get("content_block"), "")]
    for path, message in _entries(body.get("messages"), ("messages",)):
        role = message.get("role")
        found.append((path, message, role if isinstance(role, str) else "user"))
    for path, choice in _entries(body.get("choices"), ("choices",)):
        found += [((*path, key), choice.get(key), "assistant") for key in ("message", "delta")]
    for path, holder, role in found:
        if isinstance(holder, Mapping):
            yield from ((place, role or "assistant") for place in _calls(path, holder))


def _calls(path: Path, holder: Mapping[str, Any]) -> Iterator[Path]:
    """The objects of arguments in a message, or in the block that ``path`` leads to."""
    blocks = [*_entries(holder.get("content"), (*path, "content"))]
    for place, call in _entries(holder.get("tool_calls"), (*path, "tool_calls")):
        blocks.append(((*place, "function"), call.get("function")))
    if path == ("content_block",):
        blocks.append((path, holder))
    for place, block in blocks:
        if isinstance(block, dict):
            yield from ((*place, key) for key in _CONTAINERS if block.get(key) and isinstance(block[key], dict | list))


def _entries(value: Any, path: Path) -> list[tuple[Path, Any]]:
    entries = enumerate(value) if isinstance(value, list) else ()
    return [((*path, number), entry) for number, entry in entries if isinstance(entry, dict)]


def _container(text: Text) -> Path | None:
    """Where the object is that a text of arguments stands in; the first step is the request's or reply's own field."""
    if text.kind == "tool_arguments":
        path = text.path
        for place in range(1, len(path) - 1):
            if path[place] in _CONTAINERS:
                return path[: place + 1]
    return None
