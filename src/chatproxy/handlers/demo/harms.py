"""The words by which the demo model's moderation knows a harm: a short and plain list, for trying things out.

Rule: no list of words protects anybody; a real moderation model does.
Source: OpenAI moderation guide, "Content classifications", for the names of the categories.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

CATEGORIES = (
    "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm",
    "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors", "violence", "violence/graphic",
)  # fmt: skip

_MAX_CHARACTERS = 100_000
_MAX_WORDS = 4
_WORD = re.compile(r"[^\W_]+")

_ATTACKS = ("attack", "beat", "hurt", "kill", "killing", "murder", "murdering", "shoot", "stab", "strangle", "torture")
_VICTIMS = ("you", "him", "her", "them", "people", "everyone", "somebody", "someone")
_GROUPS = ("foreigners", "immigrants", "refugees", "minorities", "women", "men")
_INSULTS = ("idiot", "moron", "loser", "scum", "pig")
_WEAPONS = ("bomb", "gun", "weapon", "grenade", "explosive")


def _every(*parts: tuple[str, ...]) -> tuple[str, ...]:
    """Every phrase with one word of each part, in order."""
    phrases: tuple[str, ...] = ("",)
    for part in parts:
        phrases = tuple(f"{phrase} {word}".strip() for phrase in phrases for word in part)
    return phrases


_THREATS = _every(_ATTACKS, _VICTIMS)
_HATE_THREATS = _every(_ATTACKS, ("all", "the"), _GROUPS) + _every(_ATTACKS, _GROUPS)
_WEAPON_MAKING = (*_every(("build", "make", "buy"), ("a", "an"), ("", "pipe"), _WEAPONS), "make explosives")
_SELF_HARM = (*_every(("kill", "hurt", "cut", "harm"), ("myself",)), "end my life", "commit suicide")
_SELF_HARM_HOW = ("how to commit suicide", "how to kill yourself", "ways to kill yourself", "how to self harm")
_GORE = ("dismembered", "disembowelled", "beheaded", "decapitated", "blood everywhere", "gutted alive")
_PORN = ("porn", "pornography", "pornographic", "explicit sex", "nude pictures", "nudes", "sexual intercourse")

_PHRASES: Mapping[str, tuple[str, ...]] = {
    "harassment": (*_every(("you",), ("", "are"), ("", "a", "an"), _INSULTS), *_THREATS, "shut up"),
    "harassment/threatening": _THREATS,
    "hate": (*_every(("hate", "despise"), ("", "all", "the"), _GROUPS), *_HATE_THREATS, "subhuman"),
    "hate/threatening": _HATE_THREATS,
    "illicit": (
        *("how to shoplift", "steal a car", "hack into", "launder money", "fake passport", "counterfeit money"),
        *("cook meth", "sell cocaine", "buy heroin"),
        *_WEAPON_MAKING,
    ),
    "illicit/violent": _WEAPON_MAKING,
    "self-harm": (*_SELF_HARM, *_SELF_HARM_HOW, "suicide", "self harm"),
    "self-harm/instructions": _SELF_HARM_HOW,
    "self-harm/intent": _SELF_HARM,
    "sexual": (*_PORN, "csam", "child pornography"),
    "sexual/minors": ("csam", "child pornography"),
    "violence": (*_THREATS, *_HATE_THREATS, *_GORE, "massacre", "murder", "bloodbath"),
    "violence/graphic": _GORE,
}


def _by_phrase() -> dict[str, frozenset[str]]:
    """Which categories a phrase belongs to."""
    found: dict[str, set[str]] = {}
    for category, phrases in _PHRASES.items():
        for phrase in phrases:
            found.setdefault(" ".join(phrase.split()), set()).add(category)
    return {phrase: frozenset(categories) for phrase, categories in found.items()}


_KNOWN = _by_phrase()
_FIRST_WORDS = frozenset(phrase.split()[0] for phrase in _KNOWN)


def find_harms(text: str) -> dict[str, int]:
    """How often each category's phrases occur in the first 100,000 characters; only those that do."""
    words = _WORD.findall(text[:_MAX_CHARACTERS].casefold())
    found: dict[str, int] = {}
    for i, word in enumerate(words):
        if word not in _FIRST_WORDS:
            continue
        for size in range(1, _MAX_WORDS + 1):
            phrase = " ".join(words[i : i + size]) if i + size <= len(words) else ""
            for category in _KNOWN.get(phrase, ()):
                found[category] = found.get(category, 0) + 1
    return found
