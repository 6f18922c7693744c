"""The check ``length``: how long each text may be, and how long it must be.

What is too long is found behind the limit, so that ``redact`` cuts it off; what is too short is found as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Annotated

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece

Least = Annotated[int, msgspec.Meta(ge=1)]
Most = Annotated[int, msgspec.Meta(ge=0)]

_BYTES_PER_TOKEN = 4
_WORD = re.compile(r"\S+")


class LengthOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``length``; each None is no limit.

    Attributes:
        min_characters: in Unicode code points, as the others of characters.
        max_characters: likewise.
        min_words: a word is what white space surrounds; languages without spaces need one of the other limits.
        max_words: likewise.
        min_tokens: an estimate, the same for every model: one token for every four bytes of UTF-8, rounded up.
        max_tokens: likewise.
    """

    min_characters: Least | None = None
    max_characters: Most | None = None
    min_words: Least | None = None
    max_words: Most | None = None
    min_tokens: Least | None = None
    max_tokens: Most | None = None


class LengthCheck:
    """Measures whole texts; raises ValueError for no limit, and for a least one above the most."""

    window: int | None = None
    overlap = 0

    def __init__(self, options: LengthOptions) -> None:
        self._most = _limits(options, "max")
        self._least = _limits(options, "min")
        if not self._most and not self._least:
            raise ValueError("no limit is set, wanted for example 'max_characters'")
        for unit in self._most.keys() & self._least.keys():
            if self._least[unit] > self._most[unit]:
                raise ValueError(f"'min_{unit}' is above 'max_{unit}'")

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck.judge`."""
        return [self._findings(piece.text) for piece in pieces]

    def _findings(self, text: str) -> list[Finding]:
        ends = ((f"max_{unit}", _BEGINNINGS[unit](text, limit)) for unit, limit in self._most.items())
        too_long = [Finding(end, len(text), kind) for kind, end in ends if end < len(text)]
        # the beginning one unit short of the limit holds everything: the text has fewer units than that
        short = (unit for unit, limit in self._least.items() if _BEGINNINGS[unit](text, limit - 1) == len(text))
        return too_long + [Finding(0, len(text), f"min_{unit}") for unit in short]


def _limits(options: LengthOptions, side: str) -> dict[str, int]:
    limits = {unit: getattr(options, f"{side}_{unit}") for unit in _BEGINNINGS}
    return {unit: limit for unit, limit in limits.items() if limit is not None}


def _of_characters(text: str, count: int) -> int:
    return min(count, len(text))


def _of_words(text: str, count: int) -> int:
    after = next(islice(_WORD.finditer(text), count, None), None)
    return len(text) if after is None else after.start()


def _of_tokens(text: str, count: int) -> int:
    limit = count * _BYTES_PER_TOKEN
    if len(text) * 4 <= limit:  # a character has four bytes at most
        return len(text)
    return len(text[: limit + 1].encode(errors="replace")[:limit].decode(errors="ignore"))


_BEGINNINGS: Mapping[str, Callable[[str, int], int]] = {
    "characters": _of_characters,
    "words": _of_words,
    "tokens": _of_tokens,
}
"""Where the longest beginning of a text ends that has at most so many units."""


CHECK = CheckType(
    options=LengthOptions,
    make=LengthCheck,
    kinds=("content", "instructions", "tool_arguments", "tool_result"),
    summary="Limits the characters, words or estimated tokens of each text.",
)
