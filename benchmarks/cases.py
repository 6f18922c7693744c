"""The cases of the series ``surfaces``: which surface, native or translated, buffered or streamed.

Rule: names and what they mean; sizes are in ``series``, goals in ``report_surfaces``.
"""

from typing import Any, Literal

import msgspec

Way = Literal["native", "translated"]

SURFACES = ("responses", "messages", "completions")
GAP_MODEL = "10ms-100"


class Case(msgspec.Struct, frozen=True):
    """One thing to measure. Responses are stored unless the client says no, as by default."""

    surface: str
    way: Way
    stream: bool
    is_stored: bool = True

    @property
    def kind(self) -> str:
        """The case's name but for whether it is streamed."""
        return f"{self.surface}, {self.way}" + ("" if self.is_stored else ", not stored")

    @property
    def name(self) -> str:
        """The case in a word or five, for records and the command line."""
        return f"{self.kind}, {'stream' if self.stream else 'json'}"

    @property
    def model(self) -> str:
        """A model that is configured to be answered this way, by the upstream's script for a stream or for JSON."""
        prefix = "native" if self.way == "native" else "mock"
        return f"{prefix}-{GAP_MODEL}" if self.stream else prefix

    @property
    def fields(self) -> dict[str, Any]:
        """What the case adds to a request's body."""
        return {} if self.is_stored else {"store": False}


def _both(surface: str, way: Way, *, is_stored: bool = True) -> list[Case]:
    return [Case(surface, way, stream, is_stored) for stream in (False, True)]


CASES: tuple[Case, ...] = (
    *_both("chat", "native"),
    *_both("responses", "native"),
    *_both("responses", "native", is_stored=False),
    *_both("responses", "translated"),
    *_both("messages", "native"),
    *_both("messages", "translated"),
    *_both("completions", "native"),
    *_both("completions", "translated"),
)
"""In the order in which they are measured in each round; chat is what the others are compared with."""
