"""What every translation shares: its interface, and the record of what the other surface could not carry.

Rule: no I/O and no await in this package, plain data in and plain dicts out, so that every case is a table test. All
that reads a client's request raises `InvalidRequest` as `Translation.request` does, and does not say so again.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Protocol

from chatproxy.types.exchange import Loss

Json = dict[str, Any]
Action = Literal["dropped", "changed", "added"]

NOT_ON_CHAT = "not known to chat completions"
NOT_ON_MESSAGES = "not known to Messages"
NOT_ON_RESPONSES = "not known to Responses"

_MOST_LOSSES = 64
_MOST_CHARACTERS = 200
_MORE = Loss("", "dropped", "more than is recorded here")


class Losses:
    """What one exchange lost in translation; the first 64 are kept, and a mark where there were more."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: list[Loss] = []

    def add(self, field: str, action: Action, reason: str, *, once: bool = False) -> None:
        """Put something on record; the same thing twice counts once.

        Args:
            field: the client's own name for it, as a path.
            once: it may stand in many places, of which the first speaks for all.
        """
        if once and any(loss.action == action and loss.reason == reason for loss in self.kept):
            return
        loss = Loss(field[:_MOST_CHARACTERS], action, reason)
        if len(self.kept) <= _MOST_LOSSES and loss not in self.kept:
            self.kept.append(loss if len(self.kept) < _MOST_LOSSES else _MORE)

    def add_rest(self, holder: Json, read: Collection[str], at: str, reason: str) -> None:
        """Put on record what an object holds beside the keys that are read; what is empty says nothing."""
        for key, value in holder.items():
            if key in read or value in (None, "", [], {}):
                continue
            if key == "cache_control":
                self.add(f"{at}.{key}", "dropped", f"marks for the prompt cache: {reason}", once=True)
            else:
                self.add(f"{at}.{key}", "dropped", reason)


class Reading(Protocol):
    """A stream of the handler's that is being read."""

    def event(self, data: Json) -> list[Json]:
        """What the client gets for the next event of the handler's stream; maybe nothing yet."""

    def finish(self) -> list[Json]:
        """What is left to say once the handler's stream has ended properly."""


class Translation(Reading, Protocol):
    """One exchange between a client of one surface and a handler of another."""

    def request(self, body: Json) -> Json:
        """What the handler gets for the client's request.

        Raises:
            InvalidRequest: the client's API would refuse it, or the handler's cannot carry what matters (400).
        """

    def reply(self, body: Json) -> Json:
        """What the client gets for the handler's buffered reply.

        Raises:
            UpstreamError: there is no answer in it (502).
        """

    def param(self, name: str) -> str:
        """The client's name for a field of the handler's request or reply; the same where there is no better one."""
