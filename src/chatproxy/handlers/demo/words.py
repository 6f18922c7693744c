"""The words of a text, and what makes two of them alike; what embeddings and reranking compare.

Rule: case, accents and a plural's "s" make no difference. Scripts that write no spaces have every two characters in a
row as words.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]{2,}")
_COMMON_TEXT = (
    "a an and are as at be been but by can could did do does for from had has have he her his how i if in into is it "
    "its me my no not of on or our she so than that the their them then there they this to us was we were what when "
    "where which who why will with would you your"
)
_COMMON = frozenset(_COMMON_TEXT.split())


def words_of(text: str) -> list[str]:
    """The words of a text in order, in their plain form."""
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = _UNSPACED.sub(_spaced, "".join(part for part in parts if not unicodedata.combining(part)))
    return [_stem(word) for word in _WORD.findall(text.casefold())]


def is_common(word: str) -> bool:
    """Whether a word says little about what a text is about."""
    return word in _COMMON


def grams(word: str) -> list[str]:
    """Every three characters of a word, its ends marked; words that share some are alike."""
    marked = f"#{word}#"
    return [marked[i : i + 3] for i in range(len(marked) - 2)]


def _spaced(run: re.Match[str]) -> str:
    characters = run.group()
    return "".join(f" {characters[i : i + 2]} " for i in range(len(characters) - 1))


def _stem(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word
