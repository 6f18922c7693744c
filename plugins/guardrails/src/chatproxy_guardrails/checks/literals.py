"""Literal words and phrases as rules.

Rule: whatever the number of words, one pattern and one automaton over their beginnings, so that thousands cost a text
no more than a few do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from chatproxy_guardrails.checks.base import Rule

MAX_CHARS = 200
_BLANKS = r"\s{1,4}"
# Scripts that put no blanks between words: a word's edge cannot be seen there.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")


def literal_rules(kind: str, words: Iterable[str], *, ignore_case: bool = True, whole_words: bool = True) -> list[Rule]:
    """Rules that find any of these words; a phrase's blanks match up to four blanks or line ends.

    They are two at most: ASCII words are also found where look-alikes of other scripts disguise them, others are found
    as they are written.

    Raises:
        ValueError: there is no word, or one is longer than `MAX_CHARS`.
    """
    phrases = sorted({_normal(word) for word in words} - {""}, key=lambda phrase: (-len(phrase), phrase))
    if not phrases:
        raise ValueError("at least one word is needed")
    if len(phrases[0]) > MAX_CHARS:
        raise ValueError(f"a word of {len(phrases[0])} characters; at most {MAX_CHARS} are possible")
    ascii_phrases = [phrase for phrase in phrases if phrase.isascii()]
    others = [phrase for phrase in phrases if not phrase.isascii()]
    return [
        _rule(kind, group, ignore_case=ignore_case, whole_words=whole_words)
        for group in (ascii_phrases, others)
        if group
    ]


def _normal(word: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", word).split())


def _rule(kind: str, phrases: Sequence[str], *, ignore_case: bool, whole_words: bool) -> Rule:
    patterns = [_pattern(phrase, whole_words=whole_words) for phrase in phrases]
    return Rule(
        kind=kind,
        pattern=f"(?:{'|'.join(patterns)})",
        keywords=tuple(sorted({phrase.split(" ")[0] for phrase in phrases})),
        ignore_case=ignore_case,
    )


def _pattern(phrase: str, *, whole_words: bool) -> str:
    body = _BLANKS.join(re.escape(part) for part in phrase.split(" "))
    if not whole_words:
        return body
    return f"{_edge(phrase[0], behind=True)}{body}{_edge(phrase[-1], behind=False)}"


def _edge(char: str, *, behind: bool) -> str:
    """A word must end there, if the word's own character could be inside a longer one."""
    if re.match(r"\w", char) is None or _UNSPACED.match(char):
        return ""
    return r"(?<!\w)" if behind else r"(?!\w)"
