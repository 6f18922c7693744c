"""Other readings of a text: what it says to a model that sees through spelling, spacing and encodings.

Rule: a reading keeps where each of its characters came from, so that what is found in it is found in the text.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chatproxy_guardrails.matching.view import View

_WORD_LIST = (
    "ignore|ignoring|disregard|forget|bypass|override|all|any|every|previous|prior|above|earlier|preceding|"
    "initial|original|instruction|instructions|prompt|prompts|directive|directives|guideline|guidelines|"
    "command|commands|rule|rules|policy|policies|restriction|restrictions|constraint|constraints|limitation|"
    "limitations|filter|filters|safety|system|your|you|the|and|now|pretend|developer|mode|admin|reveal|show|"
    "repeat|print|output|tell|secret|password|hidden|jailbreak|unrestricted|unfiltered|uncensored|everything|"
    "before|told|without|ethical|programming|training|security|act|from|are|said|given|following|follow|new|"
    "role|message|content|disable|disregarding|these|those"
)
_VOCABULARY = frozenset(_WORD_LIST.split("|"))
_LEET = {
    "0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "8": "b", "9": "g", "@": "a", "$": "s", "!": "i",
    "|": "il", "+": "t", "€": "e", "£": "l", "¡": "i", "(": "c",
}  # fmt: skip
_TOKEN = re.compile(r"[\w@$!|+€£¡(]{3,16}")
_LEET_CHARS = frozenset(_LEET)
_SPELLED = re.compile(r"(?<!\w)(?:\w[ .\-_*·|/,]{1,3}){5,400}\w(?!\w)")
_JOINED = re.compile(r"(?<![\w/.:@-])[A-Za-z]{20,200}(?![\w/@-])")
_WORDS = re.compile("|".join(sorted(_VOCABULARY, key=len, reverse=True)), re.IGNORECASE)
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/=_-])(?:[A-Za-z0-9+/_-]{4}){5,700}[A-Za-z0-9+/_-]{0,3}={0,2}")
_HEX = re.compile(r"(?<![A-Za-z0-9])(?:(?:0x|\\x|%)?[0-9A-Fa-f]{2}[\s,:]{0,2}){12,1000}(?![A-Za-z0-9])")
_BINARY = re.compile(r"(?<!\d)(?:[01]{8}\s{0,2}){8,500}(?!\d)")
_TAGS = re.compile(r"[\U000E0020-\U000E007E]{8,4000}")
_TURNED_STEMS = ("vafgehpg", "cebzcg", "vtaber", "qvfertneq")
_REVERSED_STEMS = ("tcurtsni", "tpmorp", "erongi", "dragersid")
_TAG_BASE = 0xE0000
_MIN_ENCODED_CHARS = 16


class Reading(NamedTuple):
    """A text as it may be read.

    Attributes:
        text: what it says.
        starts: for each character, where in the original text it stands.
        ends: for each character, where its original ends.
        is_hidden: it was hidden on purpose, by an encoding or the like.
    """

    text: str
    starts: Sequence[int]
    ends: Sequence[int]
    is_hidden: bool = False

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the original text this part of the reading stands."""
        return min(self.starts[start:end]), max(self.ends[start:end])


def seen(text: str) -> Iterator[Reading]:
    """The text as checks see it; where there are any, also with look-alikes as Latin letters, and what its tags say."""
    if text.isascii():
        yield Reading(text, range(len(text)), range(1, len(text) + 1))
        return
    view = View()
    view.append(text, is_last=True)
    starts = [view.start_of(place) for place in range(len(view.plain))]
    ends = [view.end_of(place + 1) for place in range(len(view.plain))]
    yield Reading(view.plain, starts, ends)
    if view.folded is not view.plain:
        yield Reading(view.folded, starts, ends, is_hidden=True)
    for match in _TAGS.finditer(text):
        said = "".join(chr(ord(char) - _TAG_BASE) for char in match.group())
        yield Reading(said, list(range(*match.span())), list(range(match.start() + 1, match.end() + 1)), is_hidden=True)


def readings(base: Reading) -> Iterator[Reading]:
    """Readings that differ from the base; most texts have none."""
    for read in (_repaired, _joined, _split, _turned, _backwards):
        found = read(base)
        if found is not None:
            yield found
    yield from _decoded(base)


def _repaired(base: Reading) -> Reading | None:
    """Leetspeak and words with their inner letters mixed up, where the vocabulary has the word meant."""
    made, changes = list(base.text), 0
    for match in _TOKEN.finditer(base.text):
        word = _meant(match.group().lower())
        if word is not None:
            made[match.start() : match.end()] = word
            changes += 1
    return base._replace(text="".join(made), is_hidden=True) if changes >= 2 else None


def _meant(token: str) -> str | None:
    """A word of the vocabulary of the same length, or None where the token is one, or is like none."""
    if token in _VOCABULARY:
        return None
    if not _LEET_CHARS.isdisjoint(token):
        return next((word for word in _BY_LENGTH.get(len(token), ()) if _is_leet(token, word)), None)
    return _MIXED_UP.get(_signature(token)) if len(token) > 4 else None


def _is_leet(token: str, word: str) -> bool:
    return all(mark == letter or letter in _LEET.get(mark, "") for mark, letter in zip(token, word, strict=True))


def _signature(word: str) -> str:
    return f"{word[0]}{''.join(sorted(word[1:-1]))}{word[-1]}"


_MIXED_UP = {_signature(word): word for word in sorted(_VOCABULARY) if len(word) > 4}
_BY_LENGTH: dict[int, list[str]] = {}
for _word in sorted(_VOCABULARY):
    _BY_LENGTH.setdefault(len(_word), []).append(_word)


def _picked(base: Reading, places: list[int | None]) -> Reading:
    """A reading of these characters; None stands for a blank between words."""
    made: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    last = 0
    for place in places:
        if place is not None:
            last = place
        made.append(" " if place is None else base.text[place])
        starts.append(base.starts[last])
        ends.append(base.ends[last])
    return Reading("".join(made), starts, ends, is_hidden=True)


def _joined(base: Reading) -> Reading | None:
    """Letters that were set apart (``i g n o r e``) put together."""
    return _respelled(base, _SPELLED)


def _split(base: Reading) -> Reading | None:
    """Words that were put together (``IgnoreAllInstructions``) set apart."""
    return _respelled(base, _JOINED)


def _respelled(base: Reading, pattern: re.Pattern[str]) -> Reading | None:
    """The text with the letters of each match as words."""
    places: list[int | None] = []
    done = 0
    for match in pattern.finditer(base.text):
        letters = [place for place in range(match.start(), match.end()) if base.text[place].isalnum()]
        places += [*range(done, match.start()), None, *_words_apart(base.text, letters), None]
        done = match.end()
    return _picked(base, [*places, *range(done, len(base.text))]) if done else None


def _words_apart(text: str, letters: list[int]) -> list[int | None]:
    """Put blanks around the vocabulary's words in these letters."""
    places: list[int | None] = []
    done = 0
    for match in _WORDS.finditer("".join(text[place] for place in letters)):
        places += [*letters[done : match.start()], None, *letters[match.start() : match.end()], None]
        done = match.end()
    return [*places, *letters[done:]]


def _turned(base: Reading) -> Reading | None:
    if not any(stem in base.text.lower() for stem in _TURNED_STEMS):
        return None
    return base._replace(text=codecs.decode(base.text, "rot13"), is_hidden=True)


def _backwards(base: Reading) -> Reading | None:
    if not any(stem in base.text.lower() for stem in _REVERSED_STEMS):
        return None
    return Reading(base.text[::-1], base.starts[::-1], base.ends[::-1], is_hidden=True)


def _decoded(base: Reading) -> Iterator[Reading]:
    """Runs of base64, hexadecimal or binary digits that hold a text."""
    for pattern, decode in _ENCODINGS:
        for match in pattern.finditer(base.text):
            said = decode(match.group())
            if said is not None:
                start, end = base.span(match.start(), match.end())
                yield Reading(said, [start] * len(said), [end] * len(said), is_hidden=True)


def _from_base64(run: str) -> str | None:
    digits = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return _text(base64.b64decode(digits + "=" * (-len(digits) % 4)))
    except binascii.Error:
        return None


def _from_hex(run: str) -> str | None:
    digits = re.sub(r"0x|\\x|[%\s,:]", "", run)
    return _text(bytes.fromhex(digits)) if len(digits) % 2 == 0 else None


def _from_binary(run: str) -> str | None:
    return _text(bytes(int(byte, 2) for byte in re.findall(r"[01]{8}", run)))


def _text(raw: bytes) -> str | None:
    """Bytes that are a text of more than one word, or None."""
    try:
        said = raw.decode()
    except UnicodeDecodeError:
        return None
    is_text = len(said) >= _MIN_ENCODED_CHARS and " " in said.strip() and said.replace("\n", " ").isprintable()
    return said if is_text else None


_ENCODINGS: tuple[tuple[re.Pattern[str], Callable[[str], str | None]], ...] = (
    (_BASE64, _from_base64),
    (_HEX, _from_hex),
    (_BINARY, _from_binary),
)
