"""Views: a text as checks see it, with the way back to the text as it was written.

Rule: every character is mapped by itself, so that what is mapped never changes when more comes. Text that is ASCII and
holds no escape is its own view; where each character is mapped to one, places are kept as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Set as AbstractSet

from chatproxy_guardrails.matching.json_text import JsonScanner, Part
from chatproxy_guardrails.matching.table import HOMOGLYPHS, NORMAL, fold

_JSON_BEGINNINGS = frozenset('{["')
_ASCII = frozenset(map(chr, range(128)))
_FEW = 16


class View:
    """A text that grows, and what checks see of it.

    Attributes:
        text: as it was written.
        done: how many of its characters are in the view; an escape that is cut off waits.
        plain: NFKC, digits in ASCII, nothing that cannot be seen.
        folded: like it, with look-alikes as Latin letters; the same object where there are none.
        scanner: where the text's JSON strings are; None where it is no JSON.
    """

    __slots__ = ("_ends", "_is_maybe_json", "_is_own", "_starts", "done", "folded", "plain", "scanner", "text")

    def __init__(self, *, is_json: bool = False) -> None:
        self.text = self.plain = self.folded = ""
        self.done = 0
        self.scanner: JsonScanner | None = None
        self._is_maybe_json = is_json
        self._is_own = True
        self._starts: list[int] | None = None
        self._ends: list[int] = []

    def append(self, piece: str, *, is_last: bool = False) -> None:
        """Take more of the text; ``is_last``: nothing comes after it."""
        self.text = text = self.text + piece if self.text else piece
        if self._is_maybe_json:
            self._look_for_json()
        if self._is_own_view(piece):
            self.plain = self.folded = text
            self.done = len(text)
        elif self.scanner is None:
            self._extend(self.done, text[self.done :])
        else:
            self._append_json(self.scanner, is_last=is_last)

    def _is_own_view(self, piece: str) -> bool:
        """Whether the text, up to here its own view, still is with this piece."""
        return (
            self._is_own
            and piece.isascii()
            and self.done + len(piece) == len(self.text)
            and (self.scanner is None or ('"' not in piece and "\\" not in piece))
        )

    def _append_json(self, scanner: JsonScanner, *, is_last: bool) -> None:
        for part in scanner.parts(self.text, self.done, is_last=is_last):
            if part.end - part.start == len(part.value):
                self._extend(part.start, part.value)
            else:
                self._add(part)
                self.done = part.end

    def _look_for_json(self) -> None:
        beginning = self.text.lstrip()[:1]
        if beginning:
            self._is_maybe_json = False
            if beginning in _JSON_BEGINNINGS:
                self.scanner = JsonScanner()
                self._is_own = True
                self._starts = None
                self.plain = self.folded = ""
                self.done = 0

    def _extend(self, start: int, run: str) -> None:
        """Add characters that stand for themselves."""
        self.done = start + len(run)
        others = frozenset() if run.isascii() else frozenset(run) - _ASCII
        self._is_own = self._is_own and not others
        odd = [char for char in others if len(NORMAL[ord(char)]) != 1]
        if odd:
            self._keep_places()
            self._place(start, run, re.compile(f"[{re.escape(''.join(odd))}]"))
        else:
            self._place_alike(start, self.done)
        self._see(_seen(run, others), is_foldable=_is_foldable(others))

    def _keep_places(self) -> None:
        """From now on, note where each character of the view is from."""
        if self._starts is None:
            self._starts = list(range(len(self.plain)))
            self._ends = list(range(1, len(self.plain) + 1))

    def _place(self, start: int, run: str, odd: re.Pattern[str]) -> None:
        """Note the places of a run in which some characters are more than one in the view, or none."""
        begin = start
        for found in odd.finditer(run):
            place = begin + found.start()
            self._place_alike(start, place)
            self._place_one(place, place + 1, len(NORMAL[ord(found[0])]))
            start = place + 1
        self._place_alike(start, begin + len(run))

    def _place_alike(self, start: int, end: int) -> None:
        if self._starts is not None:
            self._starts.extend(range(start, end))
            self._ends.extend(range(start + 1, end + 1))

    def _place_one(self, start: int, end: int, count: int) -> None:
        if self._starts is not None:
            self._starts += [start] * count
            self._ends += [end] * count

    def _add(self, part: Part) -> None:
        """Add a part of the text that stands for another, which is mapped in turn."""
        self._is_own = False
        self._keep_places()
        seen = "".join(NORMAL[ord(char)] for char in part.value)
        self._place_one(part.start, part.end, len(seen))
        self._see(seen, is_foldable=True)

    def _see(self, seen: str, *, is_foldable: bool) -> None:
        is_same = self.folded is self.plain
        folded = fold(seen) if is_foldable else seen
        self.plain += seen
        self.folded = self.plain if is_same and folded == seen else self.folded + folded

    def start_of(self, position: int) -> int:
        """Where a character of the view begins in the text; behind the last one, how much the view holds."""
        if position >= len(self.plain):
            return self.done
        return position if self._starts is None else self._starts[position]

    def end_of(self, position: int) -> int:
        """Where the character in front of a position of the view ends in the text."""
        return position if self._starts is None else self._ends[position - 1]

    def boundary(self, position: int) -> int:
        """The position, or the first one of the character that it would cut (``ﬁ`` is two in the view)."""
        starts = self._starts
        if starts is not None and position < len(starts):
            while position and starts[position] == starts[position - 1]:
                position -= 1
        return position

    def at(self, text_position: int) -> int:
        """The first position of the view whose character does not begin before a position of the text."""
        if self._starts is None:
            return text_position
        return bisect_left(self._starts, text_position)

    def is_foreign(self, start: int, end: int) -> bool:
        """Whether a span is Latin by look-alikes alone: a word of another script, not one in disguise."""
        if self.folded is self.plain:
            return False
        plain = self.plain[start:end]
        return plain != self.folded[start:end] and not any(char.isascii() and char.isalnum() for char in plain)

    def drop(self, position: int) -> tuple[int, int]:
        """Forget what stands in front of a position of the view.

        Returns:
            How many characters of the text, and how many of the view, are gone.
        """
        count = self.start_of(self.boundary(position))
        position = self.at(count)
        self.text = self.text[count:]
        is_same = self.folded is self.plain
        self.plain = self.plain[position:]
        self.folded = self.plain if is_same else self.folded[position:]
        self.done -= count
        if self._starts is not None:
            self._starts = [start - count for start in self._starts[position:]]
            self._ends = [end - count for end in self._ends[position:]]
        if self.scanner is not None:
            self.scanner.drop(count)
        return count, position


def _seen(run: str, others: AbstractSet[str]) -> str:
    """The run mapped, of which ``others`` are not ASCII; to replace a few is faster than to look up every character."""
    values = [(char, value) for char in others if (value := NORMAL[ord(char)]) != char]
    if len(values) > _FEW or not all(value.isascii() for _, value in values):
        return run.translate(NORMAL)
    for char, value in values:
        run = run.replace(char, value)
    return run


def _is_foldable(others: AbstractSet[str]) -> bool:
    return any(ord(seen) in HOMOGLYPHS for char in others for seen in NORMAL[ord(char)])


def normalise(text: str) -> str:
    """A whole text as checks see it."""
    if text.isascii():
        return text
    view = View()
    view.append(text)
    return view.folded
