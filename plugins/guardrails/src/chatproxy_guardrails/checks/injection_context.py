"""Whether an order is given or only talked about.

An attack is addressed to the model now. What is quoted, denied, asked about, reported of somebody, meant for another
reader, part of a program or of a story counts for less.

Rule: a share between 0 and 1 of a sign's weight, from the words of the text alone.
"""

from __future__ import annotations

import re
from functools import cached_property

from chatproxy_guardrails.checks.injection_frames import (
    ABOUT_ATTACKS,
    ASKED,
    CODE_ELSEWHERE,
    CODE_LINE,
    COMMENT,
    DENIED,
    DENIED_ELSEWHERE,
    DENIED_INSIDE,
    FOR_OTHERS,
    LIFT,
    MODEL,
    MYSELF,
    NOT_TOLD,
    OBEY,
    OF_ANOTHER,
    REPORTED,
    REPORTED_ON,
    SHOWN,
    STORY_ASKED,
    TASK,
    THIRD_PERSON,
    TOLD_SOMEONE,
)

_OPENING = "\"'`“‘«„「『<"
_CLOSING = "\"'`”’»“」』>"
_BEFORE_CHARS = 200
_QUOTED_CHARS = 240
_ADDRESSED = re.compile(r"\byour\b", re.IGNORECASE)
_ROLES = frozenset({"limits", "persona", "pressure", "story", "refusal"})


class Context:
    """The words around a text's orders."""

    __slots__ = ("__dict__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text

    def trust(self, start: int, end: int, kind: str = "override") -> float:
        """How much of its weight a sign keeps: 1 where an order is given, less where it is only talked about.

        Args:
            kind: of the sign.
        """
        if kind == "harm":
            return 1.0
        before = self._text[max(0, start - _BEFORE_CHARS) : start]
        is_trait = kind in _ROLES and LIFT.match(self._text, start, end) is None
        if not is_trait and self._is_denied(before, start, end):
            return 0.1
        shares = [self._quoted(before, start, end)]
        shares.append(self._set_in(before) if is_trait else self._asked(before, start, end))
        if not is_trait:
            shares.append(self._reported(before, start, end))
            if kind != "extraction" and MYSELF.search(before[-40:]) and not self._is_addressed(start, end):
                shares.append(0.4)
        if OF_ANOTHER.match(self._text[end : end + 60]):
            shares.append(0.4)
        return min(shares)

    def _is_denied(self, before: str, start: int, end: int) -> bool:
        near = before[-40:]
        if DENIED.search(near) or NOT_TOLD.search(near) or DENIED_ELSEWHERE.search(before[-10:]):
            return True
        return DENIED_INSIDE.match(self._text[start:end]) is not None

    def _quoted(self, before: str, start: int, end: int) -> float:
        """Less for what stands in quotation marks or in a program that the text does something else with."""
        if self._is_obeyed:
            return 1.0
        line = before.rpartition("\n")[2]
        if SHOWN.search(line):
            return 0.15
        if self._is_framed and (_is_quoted(self._text, start, end) or self._is_code(start)):
            return 0.15
        comment = COMMENT.search(before)
        if comment is None:
            return 1.0
        return 0.4 if comment["mark"] in ("//", "/*") or CODE_ELSEWHERE.search(self._text) else 1.0

    def _is_code(self, start: int) -> bool:
        line_start = self._text.rfind("\n", 0, start) + 1
        line_end = self._text.find("\n", start)
        line = self._text[line_start : len(self._text) if line_end < 0 else line_end]
        return CODE_LINE.search(line) is not None or self._text.count("```", 0, start) % 2 == 1

    def _set_in(self, before: str) -> float:
        """A trait of a part: less in a story, in an article, and where nobody speaks of a machine that answers."""
        if (STORY_ASKED.search(before) and not self._is_obeyed) or REPORTED_ON.search(before):
            return 0.4
        if not self._is_about_model:
            return 0.5
        return 0.6 if self._is_about_attacks else 1.0

    def _asked(self, before: str, start: int, end: int) -> float:
        if ASKED.search(before):
            return 0.3 if self._is_about_attacks else 0.9 if self._is_addressed(start, end) else 0.4
        return 0.4 if FOR_OTHERS.search(before) else 1.0

    def _is_addressed(self, start: int, end: int) -> bool:
        return _ADDRESSED.search(self._text, start, end) is not None

    def _reported(self, before: str, start: int, end: int) -> float:
        near = before[-60:]
        if TOLD_SOMEONE.search(near) or THIRD_PERSON.match(self._text, start, end):
            return 0.4
        if REPORTED.search(near):
            return 0.35
        return 0.4 if REPORTED_ON.search(before) else 1.0

    @cached_property
    def _is_about_attacks(self) -> bool:
        return ABOUT_ATTACKS.search(self._text) is not None

    @cached_property
    def _is_about_model(self) -> bool:
        return MODEL.search(self._text) is not None

    @cached_property
    def _is_obeyed(self) -> bool:
        """What is quoted shall be carried out."""
        return OBEY.search(self._text) is not None

    @cached_property
    def _is_framed(self) -> bool:
        """Somebody asks for something to be done with a text, or talks about attacks."""
        return self._is_about_attacks or TASK.search(self._text) is not None


def _is_quoted(text: str, start: int, end: int) -> bool:
    """An opening mark stands in front on the same line, and one that closes it behind."""
    before = text[max(0, start - _QUOTED_CHARS) : start].rpartition("\n")[2]
    after = text[end : end + _QUOTED_CHARS].partition("\n")[0]
    return any(
        _opens(before, opening, closing) and closing in after
        for opening, closing in zip(_OPENING, _CLOSING, strict=True)
    )


def _opens(before: str, opening: str, closing: str) -> bool:
    if opening == closing:  # an apostrophe inside a word opens nothing
        marks = re.findall(rf"(?<!\w){opening}|{opening}(?!\w)", before)
        return len(marks) % 2 == 1
    return before.rfind(opening) > before.rfind(closing)
