"""What may stand in logs, in ``agent.debug`` and in messages of errors: no secrets, no media.

Rule: no I/O here. Values are copied, never changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "[hidden]"
LONGEST_TEXT = 20_000
SHORTEST_SECRET = 4
DEEPEST = 60

_SECRET_NAME = re.compile(
    r"(?i)^(proxy-)?authorization$|^(set-)?cookie$|api[-_]?key|(^|[-_])(token|secret|password|passwd|credentials?)$"
    r"|^(secret|password|token)[-_]|access[-_]?key|private[-_]?key"
)
_SECRET_TEXT = re.compile(
    r"(?P<scheme>\b(?:Bearer|Basic)\s+)(?:(?=[\w.~+/=-]*\d)[\w.~+/=-]{6,}|[\w.~+/=-]{20,})"
    r"|\b(?:sk|pk|rk)-[A-Za-z0-9_-]{12,}"
    r"|(?P<origin>\b[a-z][a-z0-9+.-]*://)[^/\s@\"']+@",
    re.IGNORECASE,
)
_DATA_URI = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)?(?:;[\w=.-]+)*;base64,(?P<data>[A-Za-z0-9+/=_-]+)")


class Redactor:
    """Takes known secrets out of texts, and what looks like one.

    Args:
        secrets: texts that shall stand nowhere; those of fewer than four characters are no secrets.
    """

    def __init__(self, secrets: Iterable[str | None]) -> None:
        known = {secret for secret in secrets if secret and len(secret) >= SHORTEST_SECRET}
        self._known = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        """The same text without secrets; media are named by their size, and the very long is cut."""
        if "base64," in text:
            text = _DATA_URI.sub(_shortened, text)
        for secret in self._known:
            text = text.replace(secret, HIDDEN)
        text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… [{len(text)} characters]"
        return _SECRET_TEXT.sub(_hidden, text)

    def value(self, value: Any, *, depth: int = 0) -> Any:
        """The same for all texts in a JSON value; texts that are named as secrets are hidden, whatever they are."""
        if isinstance(value, str):
            return self.text(value)
        if depth == DEEPEST and isinstance(value, (Mapping, list)):
            return "…"
        if isinstance(value, Mapping):
            return {self.text(str(name)): self._named(str(name), one, depth) for name, one in value.items()}
        if isinstance(value, list):
            return [self.value(one, depth=depth + 1) for one in value]
        return value

    def _named(self, name: str, value: Any, depth: int) -> Any:
        is_secret = isinstance(value, (str, list)) and bool(value) and _SECRET_NAME.search(name)
        return HIDDEN if is_secret else self.value(value, depth=depth + 1)


def _shortened(found: re.Match[str]) -> str:
    return f"data:{found['type'] or 'text/plain'};base64,[{len(found['data'])} characters]"


def _hidden(found: re.Match[str]) -> str:
    if found["origin"]:
        return f"{found['origin']}{HIDDEN}@"
    return f"{found['scheme'] or ''}{HIDDEN}"
