"""Labels: values from outside, made fit to be attributes of a metric: few, short, printable, without secrets.

Rule: a place is never given back. A collector's cumulative sums keep every series for as long as the process lives, so
forgetting a value here would free nothing there, and a flood of new values could drive out the ones in use. First come,
first served can only be flooded with what somebody answered, costs whoever floods as many answers as there are places,
and takes nothing from values already seen, or from those the configuration names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Literal

OTHER = "_OTHER"
"""What further values are called; the word is that of HTTP's conventions for methods and error types."""
MAX_LENGTH = 128
_WINDOW = 4_096
_LONGEST_SECRET = 1_024

Kind = Literal["model", "response_model", "error", "tool", "detail", "route", "user", "policy", "check", "outcome"]


class Labels:
    """The values that metrics tell apart.

    Args:
        max_values: of each kind; further ones are `OTHER`.
        models: names from the configuration, which have their places beside those.
        redact: takes secrets out of a text.
    """

    def __init__(self, max_values: int, *, models: Iterable[str] = (), redact: Callable[[str], str] = str) -> None:
        self._max_values = max_values
        self._redact = redact
        self._places: dict[tuple[Kind, str], str] = {("model", name): printable(name) for name in models}
        self._taken: Counter[Kind] = Counter()

    def of(self, kind: Kind, value: str, *, admits: bool = True) -> str:
        """The label of a value.

        Args:
            admits: whether a new value takes a place; False where only a client vouches for it.
        """
        place = self._places.get((kind, value))
        if place is not None:
            return place
        shown = printable(value)
        place = self._places.get((kind, shown))
        if place is not None or not shown or not admits or self._taken[kind] >= self._max_values:
            return place or OTHER
        return self._admit(kind, value)

    def _admit(self, kind: Kind, value: str) -> str:
        clean = self._redact(printable(value, _WINDOW))  # before it is cut, since half a key is not known for one
        clean = printable(clean[:-_LONGEST_SECRET] if len(value) > _WINDOW else clean)
        if (kind, clean) not in self._places:
            self._taken[kind] += 1
            self._places[kind, clean] = clean
        return clean


def printable(value: str, most: int = MAX_LENGTH) -> str:
    """A text of at most so many characters, without control characters and lone surrogates."""
    value = value[:most]
    return value if value.isprintable() else "".join(char for char in value if char.isprintable())
