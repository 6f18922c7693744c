"""What every translation shares: its interface, and the record of what the other surface could not carry.

Rule: no I/O and no await in this package, plain data in and plain dicts out, so that every case is a table test.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

from chatproxy.types.exchange import Loss

Json = dict[str, Any]
Action = Literal["dropped", "changed", "added"]

_MOST_LOSSES = 64
_MORE = Loss("", "dropped", "more than is recorded here")


class Losses:
    """What one exchange lost in translation; the first 64 are kept, and a mark where there were more."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: list[Loss] = []

    def add(self, field: str, action: Action, reason: str) -> None:
        """Put something on record; the same thing twice counts once."""
        loss = Loss(field, action, reason)
        if len(self.kept) <= _MOST_LOSSES and loss not in self.kept:
            self.kept.append(loss if len(self.kept) < _MOST_LOSSES else _MORE)


class Translation(Protocol):
    """One exchange between a client of one surface and a handler of another."""

    def request(self, body: Json) -> Json:
        """What the handler gets for the client's request.

        Raises:
            InvalidRequest: the client's API would refuse it, or the handler's cannot carry what matters (400).
        """

    def reply(self, body: Json) -> Json:
        """What the client gets for the handler's buffered reply."""

    def event(self, data: Json) -> list[Json]:
        """What the client gets for the next event of the handler's stream; maybe nothing yet."""

    def finish(self) -> list[Json]:
        """What is left to say once the handler's stream has ended properly."""

    def param(self, name: str) -> str:
        """The client's name for a field of the handler's request; the same name where there is no better one."""
