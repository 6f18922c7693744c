"""How the tables write a rule: a token known by its prefix, or one known by the name in front of it.

Rule: patterns are ASCII, bounded, begin with a keyword and look ahead at one character.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.secret_rules.placeholders import is_placeholder, is_wordy

ALNUM = "[A-Za-z0-9]"
LOWER = "[a-z0-9]"
UPPER = "[A-Z0-9]"
BASE32 = "[A-Z2-7]"
BASE64 = "[A-Za-z0-9+/]"
URLSAFE = "[A-Za-z0-9_-]"
HEX = "[0-9a-f]"
ANYHEX = "[0-9a-fA-F]"
DIGIT = "[0-9]"
UUID = "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"

# A token stands alone, or behind an escape (``\n``, ``%3D``) of the text around it.
START = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-F]{2}))"
WORD_START = r"(?<![A-Za-z0-9_-])"
END = r"(?![A-Za-z0-9])"
URLSAFE_END = r"(?![A-Za-z0-9_-])"

# Words that follow a service's name before the separator; a list, so that prose closes the match at once.
_PARTS = (
    "api|app|application|access|account|admin|auth|authentication|bot|client|consumer|service|rest|user|personal|"
    "private|master|global|license|ingest|integration|deploy|read|write|write_key|secret|token|pat|key|sdk|"
    "password|pass|credential|prod|production|dev|test|staging|live|cloud|ai|hub|id|value|mgmt|management|oauth|oauth2"
)
NAME_TAIL = rf"(?:[ _.-]{{0,2}}(?:{_PARTS})s?){{0,5}}"
SEPARATOR = (
    r"(?:\\{0,2}[\"'`]|[\])*]){0,3}[ \t]{0,8}(?:(?::[ ]?[&?A-Za-z]{2,9}[ ]?)?(?:=>|->|:=|\|\||\?\?|={1,3})|:{1,2}|"
    r"\||,|>|is:?|[ ])[ \t*]{0,8}(?:new[ ])?(?:\\{0,2}[\"'`(]){0,3}"
)


def run(alphabet: str, low: int, high: int | None = None) -> str:
    """So many characters of an alphabet, from ``low`` to ``high``."""
    return f"{alphabet}{{{low}}}" if high is None else f"{alphabet}{{{low},{high}}}"


def real(match: Any) -> bool:
    """Whether the whole match is no placeholder."""
    return not is_placeholder(match[0])


def random(match: Any) -> bool:
    """Whether a token whose prefix says little is no placeholder and no name made of words."""
    token = match[0]
    mixed = any(c.isdigit() for c in token) or (token.lower() != token and token.upper() != token)
    return mixed and real(match) and not is_wordy(token)


def real_value(match: Any) -> bool:
    """Whether the group ``value`` is no placeholder."""
    return not is_placeholder(match["value"])


def prefixed(
    kind: str, prefixes: str, body: str, source: str, *, accept: Callable[[Any], bool] | None = real, start: str = START
) -> Rule:
    """A token that its first characters give away.

    Args:
        prefixes: literals, parted by blanks; each is a keyword.
        body: pattern of what follows.
        start: what may stand in front of it.
    """
    literals = tuple(prefixes.split())
    heads = "|".join(re.escape(literal) for literal in literals)
    end = URLSAFE_END if "_-]" in body.rpartition("[")[1] + body.rpartition("[")[2] else END
    return Rule(kind=kind, pattern=f"{start}(?:{heads}){body}{end}", keywords=literals, accept=accept, source=source)


def named(kind: str, names: str, value: str, source: str, *, accept: Callable[[Any], bool] | None = real_value) -> Rule:
    """A token without a shape of its own, told by the service's name in front of it: ``DATADOG_API_KEY=…``.

    Args:
        names: literals, parted by blanks; letters of both cases match.
        value: pattern of the token.
    """
    literals = tuple(name.replace("~", " ") for name in names.split())
    heads = "|".join(re.escape(literal) for literal in literals)
    pattern = rf"(?<![A-Za-z])(?:{heads}){NAME_TAIL}{SEPARATOR}(?P<value>(?-i:{value})){URLSAFE_END}"
    return Rule(
        kind=kind, pattern=pattern, keywords=literals, group="value", ignore_case=True, accept=accept, source=source
    )
