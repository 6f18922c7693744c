"""Check ``system_prompt``: whether a text repeats the request's own instructions.

Runs of words are compared, without case, punctuation, marks and line ends. The instructions are those of the exchange,
system and developer messages, that guardrails keeps in ``ctx.state``.

Rule: the instructions are compared, never kept beyond the exchange, and no part of them leaves here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Annotated, NamedTuple

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece
from chatproxy_guardrails.matching import View

INSTRUCTIONS_KEY = "guardrails.instructions"
_WORD_CHARS = 25
# A letter of Chinese, Japanese or Korean counts as a word: there are no blanks to tell words by.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]{{1,200}}")


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        min_words: so many words of the instructions in a row are a leak; instructions with fewer are not compared.
    """

    min_words: Annotated[int, msgspec.Meta(ge=3, le=100)] = 8


class _Word(NamedTuple):
    text: str
    start: int
    end: int


Run = tuple[str, ...]


class SystemPrompt:
    """Judges windows; see `Options`."""

    reads_view = True

    def __init__(self, options: Options) -> None:
        self._size = options.min_words
        self.overlap: int = options.min_words * _WORD_CHARS
        self.window: int | None = 4 * self.overlap

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck`; without an exchange there is nothing to compare with."""
        runs = self._runs_of(ctx)
        return [self._findings(piece.text, runs) if runs else [] for piece in pieces]

    def _runs_of(self, ctx: RequestContext | None) -> set[Run]:
        """Runs of the instructions' words; made once for an exchange."""
        if ctx is None:
            return set()
        key = f"guardrails.system_prompt.{self._size}"
        made: set[Run] | None = ctx.state.get(key)
        if made is None:
            texts: list[str] = ctx.state.get(INSTRUCTIONS_KEY, [])
            made = {run for text in texts for run in self._runs([word.text for word in _words(_plain(text))])}
            ctx.state[key] = made
        return made

    def _runs(self, words: Sequence[str]) -> Iterator[Run]:
        for start in range(len(words) - self._size + 1):
            yield tuple(words[start : start + self._size])

    def _findings(self, text: str, leaked: set[Run]) -> list[Finding]:
        words = list(_words(text))
        found: list[Finding] = []
        last_end = -1
        for place, run in enumerate(self._runs([word.text for word in words])):
            if run not in leaked:
                continue
            start, end = words[place].start, words[place + self._size - 1].end
            if found and start <= last_end:
                start = found.pop().start
            found.append(Finding(start, end, "system_prompt"))
            last_end = end
        return found


def _plain(text: str) -> str:
    """The text as pieces are shown."""
    view = View()
    view.append(text, is_last=True)
    return view.plain


def _words(text: str) -> Iterator[_Word]:
    for match in _WORD.finditer(text):
        yield _Word(unicodedata.normalize("NFKC", match.group()).casefold(), match.start(), match.end())


CHECK = CheckType(
    options=Options,
    make=SystemPrompt,
    on=("output", "tool_arguments"),
    summary="Runs of words of the request's own instructions.",
)
