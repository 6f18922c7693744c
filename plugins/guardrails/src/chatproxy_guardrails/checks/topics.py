"""Check ``topics``: what a text is about, told by keywords.

Rule: topics are lists of words, no more; what a text means without saying it is a classifier's affair.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import CheckType, Finding, Piece

Count = Annotated[int, msgspec.Meta(ge=1)]
Topics = dict[str, tuple[str, ...]]
_WORD = re.compile(r"\w{1,200}")


class Options(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check.

    Attributes:
        deny: topics by name, each with its keywords: a text that has ``min_hits`` of a topic's keywords is found.
        allow: topics by name: a text with no keyword of any of them is found as ``off_topic``.
        min_hits: how often keywords of a denied topic must stand in a text.
        min_words: shorter texts may be about anything ("Yes, please.").

    A keyword is a word or a phrase, in any case; with ``*`` at its end it stands for all words that begin so.
    """

    deny: Topics = {}
    allow: Topics = {}
    min_hits: Count = 1
    min_words: Count = 6


class TopicsCheck:
    """Judges whole texts; see `Options`.

    Raises:
        ValueError: there is neither a denied nor an allowed topic, or one has no keywords.
    """

    window: int | None = None
    overlap: int = 0
    reads_view = True

    def __init__(self, options: Options) -> None:
        if not options.deny and not options.allow:
            raise ValueError("name at least one topic in deny or allow")
        self._options = options
        self._denied = _compiled(options.deny)
        self._allowed = _compiled(options.allow)

    async def judge(self, ctx: RequestContext | None, pieces: Sequence[Piece]) -> Sequence[Sequence[Finding]]:
        """See `JudgeCheck`; findings of denied topics are the keywords, one of a foreign topic is the whole text."""
        return [self._findings(piece.text) for piece in pieces]

    def _findings(self, text: str) -> list[Finding]:
        found: list[Finding] = []
        for topic, pattern in self._denied.items():
            hits = [Finding(match.start(), match.end(), f"topic_{topic}") for match in pattern.finditer(text)]
            found += hits if len(hits) >= self._options.min_hits else []
        if self._is_foreign(text):
            found.append(Finding(0, len(text), "off_topic"))
        return found

    def _is_foreign(self, text: str) -> bool:
        if not self._allowed or any(pattern.search(text) for pattern in self._allowed.values()):
            return False
        return len(_WORD.findall(text)) >= self._options.min_words


def _compiled(topics: Mapping[str, Sequence[str]]) -> dict[str, re.Pattern[str]]:
    return {topic: _pattern(topic, keywords) for topic, keywords in topics.items()}


def _pattern(topic: str, keywords: Sequence[str]) -> re.Pattern[str]:
    phrases = sorted({" ".join(keyword.split()) for keyword in keywords} - {"", "*"}, key=len, reverse=True)
    if not phrases:
        raise ValueError(f"topic {topic!r} has no keywords")
    return re.compile("|".join(map(_word, phrases)), re.IGNORECASE)


def _word(phrase: str) -> str:
    stem, star = phrase.removesuffix("*"), phrase.endswith("*")
    body = r"\s{1,4}".join(re.escape(part) for part in stem.split(" "))
    return rf"(?<!\w){body}" + (r"\w{0,40}" if star else r"(?!\w)")


CHECK = CheckType(
    options=Options,
    make=TopicsCheck,
    on=("input",),
    roles=("user",),
    summary="Denied topics, or none but the allowed ones, by keywords.",
)
