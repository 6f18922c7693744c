"""Text: one piece of writing inside a request, reply or stream event, wherever the surface keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

TextKind = Literal["content", "instructions", "reasoning", "refusal", "tool_arguments", "tool_result"]
Path = tuple[str | int, ...]
Channel = tuple[str | int, ...]


class Origin(NamedTuple):
    """What the texts of one message, choice or event have in common.

    Attributes:
        number: of the message, item, choice or block.
        channel: which running text of a stream a piece belongs to; empty = that of its index and kind.
        is_whole: see `Text`.
        field_at: where in its path the field stands that tells a piece's running text from others; 0 = nowhere.
    """

    role: str
    number: int = 0
    on_replace: Callable[[], None] | None = None
    channel: Channel = ()
    is_whole: bool = True
    field_at: int = 0


class Text:
    """A text that a person or a model wrote, with the place it was found in.

    Attributes:
        path: keys and indexes from the body's root, for example ``("messages", 0, "content")``.
        role: whose text it is: ``system``, ``developer``, ``user``, ``assistant`` or ``tool``.
        kind: what it is; guards choose by it.
        index: of the message or item in a request or reply, of the choice, item or block in a stream event.
        is_whole: nothing is missing: always in a request or a reply. In a stream event False for a piece that goes
            on in later events; True for a text that says again, or at once, what its pieces say.
        value: the text itself.
    """

    __slots__ = ("_holder", "_origin", "kind", "path", "value")

    def __init__(self, holder: Any, path: Path, kind: TextKind, origin: Origin) -> None:
        self._holder = holder
        self._origin = origin
        self.path = path
        self.kind: TextKind = kind
        self.value: str = holder[path[-1]]

    @property
    def role(self) -> str:
        """Whose text it is."""
        return self._origin.role

    @property
    def index(self) -> int:
        """Which message, item, choice or block it belongs to."""
        return self._origin.number

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the text is missing here."""
        return self._origin.is_whole

    @property
    def channel(self) -> Channel:
        """The running text that a piece of a stream belongs to; pieces of the same channel, joined, are one text."""
        origin = self._origin
        if origin.field_at and not origin.channel:
            return (origin.number, self.path[origin.field_at], self.kind)
        return (*(origin.channel or (origin.number,)), self.kind)

    @property
    def field(self) -> str:
        """The path as text, for example ``messages.0.content``."""
        return ".".join(map(str, self.path))

    def replace(self, new: str) -> None:
        """Put another text in its place; the body is encoded with it. The same text again changes nothing.

        The log probabilities beside a text spell it out token by token: they leave with it.
        """
        key = self.path[-1]
        self.value = new
        if self._holder[key] == new:
            return
        self._holder[key] = new
        if isinstance(self._holder, dict):
            forget_logprobs(self._holder)
        if self._origin.on_replace is not None:
            self._origin.on_replace()

    def __repr__(self) -> str:
        return f"Text({self.field}, role={self.role!r}, kind={self.kind!r}, {len(self.value)} characters)"


def forget_logprobs(holder: dict[str, Any]) -> None:
    """Empty the log probabilities in an object, in the form that says there are none."""
    value = holder.get("logprobs")
    if value is not None:
        holder["logprobs"] = [] if isinstance(value, list) else None
