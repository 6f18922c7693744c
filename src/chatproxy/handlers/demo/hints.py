"""What a user's text offers to fill arguments with: quoted words, names, numbers, addresses, dates.

Rule: the first 4,000 characters are looked at, by patterns of linear cost.
"""

from __future__ import annotations

import re
from itertools import takewhile

from chatproxy.handlers.demo.arithmetic import find_sum

_MAX_CHARACTERS = 4000
_QUOTED = re.compile(r'"([^"\n]{1,300})"|“([^”\n]{1,300})”|(?<!\w)\'([^\'\n]{1,300})\'(?!\w)|`([^`\n]{1,300})`')
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
_NUMBER = re.compile(r"(?<![\w.])-?\d{1,15}(?:\.\d{1,10})?(?![\w])")
_AFTER_PREPOSITION = re.compile(r"\b(?:in|at|for|near|from|to|of|about|on)((?:\s[^\W\d_][\w'-]*){1,3})", re.IGNORECASE)
_LISTED = re.compile(r"\S+(?:,|\s+(?:and|or)\b)")
_ASSIGNED = re.compile(r"""\s*(?:=|:|\bis\b)\s*(?:"([^"\n]*)"|'([^'\n]*)'|([^\s,;]+))""", re.IGNORECASE)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_URL = re.compile(r"https?://[^\s\"'<>)]+")
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")
_WHOLE = {"query", "q", "question", "text", "prompt", "input", "message", "search", "term", "content", "body"}
_SUMS = {"expression", "expr", "formula", "calculation", "equation"}
_NO_NAMES_TEXT = (
    "a an and are at call can compute could do does fetch find for from get give hello hey hi how i in is it let list "
    "look make me my of on or please run search send show tell that the then there this to use using was what when "
    "where which who why will with would write you your today tomorrow yesterday now"
)
_NO_NAMES = frozenset(_NO_NAMES_TEXT.split())


class Hints:
    """One user's text, taken apart; what was taken for one value is not offered for another.

    Args:
        text: the last user message.
    """

    def __init__(self, text: str) -> None:
        self.text = text[:_MAX_CHARACTERS].strip()
        self._lower = self.text.lower()
        self._quoted = ["".join(groups) for groups in _QUOTED.findall(self.text)]
        self._dates = _DATE.findall(self.text)
        self._numbers = [_number(found) for found in _NUMBER.findall(_DATE.sub(" ", self.text))]
        self._names = _names(_QUOTED.sub('"', self.text))

    def assigned(self, name: str) -> str | None:
        """The value the text gives by name: ``city=Paris``, ``city: "New York"``, ``city is Paris``."""
        found = next((form for form in (name, name.replace("_", " ")) if self.mentions(form)), "")
        match = re.search(_as_word(found), self.text, re.IGNORECASE) if found else None
        value = _ASSIGNED.match(self.text, match.end()) if match else None
        given = next(filter(None, value.groups()), "").rstrip(".?!") if value else ""
        return given if given and given.lower() not in _NO_NAMES else None

    def mentions(self, value: str) -> bool:
        """Whether the text has this value as a word."""
        return is_word_of(value.lower(), self._lower)

    def string(self, name: str, format_name: str) -> str | None:
        """A text that fits a property of this name and JSON Schema format; None where the user gave none."""
        if (given := self.assigned(name)) is not None:
            return given
        lower = name.lower()
        if format_name or "email" in lower or lower in {"url", "uri", "date"}:
            return self._formatted(format_name or lower)
        if lower in _SUMS and (found := find_sum(self.text)):
            return found
        if self._quoted:
            return self._quoted.pop(0)
        if lower in _WHOLE:
            return self.text or None
        return self._names.pop(0) if self._names else None

    def strings(self) -> list[str]:
        """Every quoted text, or else every name: for a list of strings."""
        found, self._quoted, self._names = self._quoted or self._names, [], []
        return found

    def number(self, name: str) -> int | float | None:
        """A number the text gives by name, or the next one it has."""
        given = self.assigned(name)
        if given is not None and _NUMBER.fullmatch(given):
            return _number(given)
        return self._numbers.pop(0) if self._numbers else None

    def boolean(self, name: str) -> bool | None:
        """True or false where the text says so by name."""
        given = self.assigned(name)
        return {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}.get(
            (given or "").lower()
        )

    def _formatted(self, format_name: str) -> str | None:
        if format_name == "date" and self._dates:
            return str(self._dates.pop(0))
        pattern = _EMAIL if "email" in format_name else _URL if format_name in {"uri", "url"} else None
        match = pattern.search(self.text) if pattern else None
        return match.group() if match else None


def is_word_of(word: str, text: str) -> bool:
    """Whether a text has this word (or words) with no letter or digit beside it."""
    return word != "" and word in text and re.search(_as_word(word), text) is not None


def _as_word(value: str) -> str:
    return r"(?<!\w)" + re.escape(value) + r"(?!\w)"


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _names(text: str) -> list[str]:
    """Runs of capitalised words; where there are none, what prepositions lead to.

    A lone first word comes last unless a list begins with it: it is likely no name.
    """
    runs: list[list[str]] = []
    last_end = -1
    for match in _WORD.finditer(text):
        word = match.group()
        bare = word[:-2] if word.endswith(("'s", "’s")) else word
        if bare[0].isupper() and bare.lower() not in _NO_NAMES:
            if runs and last_end >= 0 and text[last_end : match.start()] == " ":
                runs[-1].append(bare)
            else:
                runs.append([bare])
            last_end = match.end()
        else:
            last_end = -1
    if len(runs) > 1 and len(runs[0]) == 1 and text.startswith(runs[0][0]) and not _LISTED.match(text):
        runs.append(runs.pop(0))
    return [" ".join(run) for run in runs] or _after_prepositions(text)


def _after_prepositions(text: str) -> list[str]:
    phrases = (takewhile(_can_be_name, phrase.split()) for phrase in _AFTER_PREPOSITION.findall(text))
    return [found for phrase in phrases if (found := " ".join(phrase))]


def _can_be_name(word: str) -> bool:
    return word.lower() not in _NO_NAMES
