"""Cleaning: what must not leave is taken out of texts before anything is cut.

Rule: hidden texts are replaced first, then what looks like a credential, then a text is cut; never between the two ends
of either. A false alarm costs a word of what is shown, a miss costs a key: in doubt, hide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from heapq import heapify, heappop, heapreplace
from typing import Any

HIDDEN = "***"
MAX_DEPTH = 32
_CHUNK = 8_192  # characters; `App.redact` cuts after 16,384, and a seam takes both of these
_OVERLAP = 4_096
_STEP = 1_024
_MOST = 8  # times more is looked at where stand-ins are shorter than what they stand for
_MIN_PREFIX = 4
_MAX_NUMBER = 2**63

_CREDENTIAL = re.compile(
    r".*(?:api[-_ ]?key|token|secret|passw(?:or)?d|passphrase|authorization|credentials?|private[-_ ]?key|cookie)"
    r"|headers|auth|bearer",
    re.IGNORECASE | re.DOTALL,
)
_SAMPLES = frozenset({"default", "example", "examples", "const", "enum"})
_DATA = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{1024,}+={0,2}")


class Cleaner:
    """Takes texts and JSON values, and gives them back without what must not leave.

    Args:
        redact: see `chatproxy.App`.
        hidden: texts, and what stands for them.
        limit: characters of one text; more are left out, and said to be.
        is_cut: the texts broke off, so that the last words of one may be the begin of a hidden text.
    """

    def __init__(
        self, redact: Callable[[str], str], hidden: Mapping[str, str], limit: int, *, is_cut: bool = False
    ) -> None:
        self._redact = redact
        self._limit = limit
        self._is_cut = is_cut
        self._hidden = _with_escapes(hidden)
        self._longest = max(map(len, self._hidden), default=0)
        self._room = 0

    def text(self, text: str) -> str:
        """A text."""
        window = self._limit + _OVERLAP
        if len(text) <= self._limit and not self._hidden:
            return self._redacted(_DATA.sub(_size, text), 0)[0]
        shown, left_out = self._replaced(text, window)
        if self._is_cut and not left_out:
            shown = self._without_begin(shown)
        made, rest = self._redacted(_DATA.sub(_size, shown), _OVERLAP if left_out else 0)
        return made + more(left_out + rest, "characters") if left_out else made

    def value(self, value: Any) -> Any:
        """A JSON value: its texts, its names, and all that stands under the name of a credential."""
        self._room = 2 * self._limit
        return self._value(value, 0, is_schema=False)

    def schema(self, value: Any) -> Any:
        """A JSON schema: under the name of a credential only what may be one is hidden, not what describes it."""
        self._room = 2 * self._limit
        return self._value(value, 0, is_schema=True)

    # -- values ---------------------------------------------------------------------------------------------------

    def _value(self, value: Any, depth: int, *, is_schema: bool) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int | float):
            said = str(value)
            self._room -= len(said)
            cleaned = self.text(said)
            return value if cleaned == said and abs(value) < _MAX_NUMBER else cleaned
        if isinstance(value, str):
            cleaned = self.text(value)
            self._room -= len(cleaned) + 2
            return cleaned
        if depth >= MAX_DEPTH:
            return "…"
        if isinstance(value, dict):
            return self._object(value, depth, is_schema=is_schema)
        if isinstance(value, list):
            made: list[Any] = []
            for position, item in enumerate(value):
                if self._room <= 0:
                    return [*made, more(len(value) - position, "items")]
                made.append(self._value(item, depth + 1, is_schema=is_schema))
            return made
        return self.text(str(value))

    def _object(self, value: dict[str, Any], depth: int, *, is_schema: bool) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for position, (name, item) in enumerate(value.items()):
            if self._room <= 0:
                made["…"] = more(len(value) - position, "fields")
                break
            self._room -= len(name) + 4
            shown = self._value(item, depth + 1, is_schema=is_schema)
            if item is not None and not isinstance(item, bool) and _CREDENTIAL.fullmatch(name):
                shown = _described(shown) if is_schema else HIDDEN
            made[self.text(name)] = shown
        return made

    # -- texts ----------------------------------------------------------------------------------------------------

    def _replaced(self, text: str, window: int) -> tuple[str, int]:
        """A text with what is hidden replaced, and how many characters behind it are left out.

        It ends behind ``window`` characters, never inside a hidden text.
        """
        piece = text[: _MOST * window + self._longest]
        found = [hidden for hidden in self._hidden if hidden in piece]
        if not found:
            return text[:window], max(0, len(text) - window)
        made: list[str] = []
        position = size = 0
        for start, hidden in _places(piece, found):
            if size + start - position >= window or start >= _MOST * window:
                break
            made += [piece[position:start], self._hidden[hidden]]
            size += len(made[-2]) + len(made[-1])
            position = start + len(hidden)
        rest = piece[position : min(position + max(0, window - size), max(_MOST * window, position))]
        return "".join([*made, rest]), len(text) - position - len(rest)

    def _without_begin(self, text: str) -> str:
        """A text that broke off without the begin of a hidden one at its end."""
        for hidden, stand_in in self._hidden.items():
            for length in range(min(len(hidden) - 1, len(text)), _MIN_PREFIX - 1, -1):
                if text.endswith(hidden[:length]):
                    return text[:-length] + stand_in
        return text

    def _redacted(self, text: str, margin: int) -> tuple[str, int]:
        """A text without credentials, but for about ``margin`` characters of its end; and how many those are."""
        made: list[str] = []
        while len(text) > margin:
            if not margin and len(text) <= _CHUNK:
                return "".join([*made, self._redact(text)]), 0
            whole = min(_CHUNK, len(text) - margin)
            seam = next((at for at in range(whole, 0, -_STEP) if self._parts_at(text, at)), 0)
            if not seam:  # a credential without an end: what follows may belong to it
                return "".join([*made, HIDDEN]), 0
            made.append(self._redact(text[:seam]))
            text = text[seam:]
        return "".join(made), len(text)

    def _parts_at(self, text: str, at: int) -> bool:
        """Whether no credential stands across a place: both sides, cleaned apart, say what they say together."""
        left, right = text[:at], text[at : at + _OVERLAP]
        return self._redact(left) + self._redact(right) == self._redact(left + right)


def more(count: int, what: str) -> str:
    """The mark of what was left out."""
    return f"… ({count} more {what})"


def _places(text: str, found: list[str]) -> Iterator[tuple[int, str]]:
    """Where texts stand in another, from left to right and without overlap; of several at one place the first given.

    An expression of thousands of alternatives would take 100 ms for a step, in which no other thread runs.
    """
    following = [(text.find(one), order, one) for order, one in enumerate(found)]
    heapify(following)
    position = 0
    while following:
        start, order, one = following[0]
        if start >= position:
            yield start, one
            position = start + len(one)
        again = text.find(one, position)
        if again >= 0:
            heapreplace(following, (again, order, one))
        else:
            heappop(following)


def _with_escapes(hidden: Mapping[str, str]) -> dict[str, str]:
    """Hidden texts, also as they stand inside a JSON text that stayed a text; the longest first."""
    made: dict[str, str] = {}
    for text, stand_in in hidden.items():
        for is_ascii in (False, True):
            made[json.dumps(text, ensure_ascii=is_ascii)[1:-1]] = stand_in
    made.update(hidden)
    return dict(sorted(made.items(), key=lambda item: -len(item[0])))


def _size(found: re.Match[str]) -> str:
    return f"({len(found[0])} characters of data)"


def _described(value: Any) -> Any:
    """What a schema says about a credential, without values that may be one."""
    if isinstance(value, dict):
        return {name: HIDDEN if name in _SAMPLES else item for name, item in value.items()}
    return HIDDEN
