"""Text: one piece of writing inside a request, reply or stream event, wherever the surface keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

TextKind = Literal["content", "instructions", "reasoning", "refusal", "tool_arguments", "tool_result"]
Path = tuple[str | int, ...]


class Text:
    """A text that a person or a model wrote, with the place it was found in.

    Attributes:
        path: keys and indexes from the body's root, for example ``("messages", 0, "content")``.
        role: whose text it is: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``.
        kind: what it is; guards choose by it.
        index: of the message in a request, of the choice in a reply or stream event.
        value: the text itself.
    """

    __slots__ = ("_holder", "_on_replace", "index", "kind", "path", "role", "value")

    def __init__(
        self,
        holder: Any,
        path: Path,
        *,
        role: str,
        kind: TextKind,
        index: int,
        on_replace: Callable[[], None] | None = None,
    ) -> None:
        self._holder = holder
        self._on_replace = on_replace
        self.path = path
        self.role = role
        self.kind: TextKind = kind
        self.index = index
        self.value: str = holder[path[-1]]

    @property
    def field(self) -> str:
        """The path as text, for example ``messages.0.content``."""
        return ".".join(map(str, self.path))

    def replace(self, new: str) -> None:
        """Put another text in its place; the body is encoded with it. The same text again changes nothing."""
        key = self.path[-1]
        self.value = new
        if self._holder[key] == new:
            return
        self._holder[key] = new
        if self._on_replace is not None:
            self._on_replace()

    def __repr__(self) -> str:
        return f"Text({self.field}, role={self.role!r}, kind={self.kind!r}, {len(self.value)} characters)"
