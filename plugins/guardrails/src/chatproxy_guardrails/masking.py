"""Reversible masking: placeholders for the model, the values again for the client.

Rule: a vault belongs to one exchange, or to one session of one principal; values never leave it but to the client that
sent them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import cache

import msgspec

from chatproxy.types import RequestContext
from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching import Matcher, TextStage

NAMESPACE = "guardrails"
_NOT_IN_NAMES = re.compile(r"[^A-Z0-9]+")
_PLACEHOLDER = r"\[[A-Z0-9_]{1,64}_[1-9][0-9]{0,6}\]"
_placeholders = re.compile(_PLACEHOLDER)


class Vault:
    """Values and their placeholders: ``[EMAIL_1]`` is the first value of kind ``email``.

    The same value always gets the same placeholder, so that a conversation that grows begins alike each time.

    Args:
        hide: called with each value and its placeholder, before the value is given back to anybody.
    """

    __slots__ = ("_counts", "_hide", "_reserved", "_values", "placeholders")

    def __init__(self, hide: Callable[[str, str], None] | None = None) -> None:
        self._hide = hide
        self._values: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._reserved: set[str] = set()
        self.placeholders: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._values)

    def reserve(self, texts: Iterable[str]) -> None:
        """Keep clear of what already looks like a placeholder in texts that a client wrote."""
        for text in texts:
            if "[" in text:
                self._reserved.update(_placeholders.findall(text))
        self._reserved.difference_update(self._values)

    def mask(self, kind: str, value: str) -> str:
        """The placeholder of a value."""
        found = self.placeholders.get(value)
        if found is not None:
            return found
        name = _NOT_IN_NAMES.sub("_", kind.upper())[:64].strip("_") or "VALUE"
        while True:
            count = self._counts[name] = self._counts.get(name, 0) + 1
            placeholder = f"[{name}_{count}]"
            if placeholder not in self._reserved:
                break
        self._values[placeholder] = value
        self.placeholders[value] = placeholder
        if self._hide is not None:
            self._hide(value, placeholder)
        return placeholder

    def value(self, placeholder: str) -> str:
        """The value of a placeholder; one that nobody gave is itself."""
        return self._values.get(placeholder, placeholder)

    def reveal(self, text: str) -> str:
        """A text with the values in the place of their placeholders."""
        return _placeholders.sub(lambda found: self.value(found[0]), text) if self._values and "[" in text else text

    def unmasking(self, *, is_json: bool = False) -> TextStage:
        """A stage that puts values in the place of their placeholders."""
        return TextStage(_matcher(), lambda _, found: self.value(found), is_json=is_json)

    def encode(self) -> bytes:
        """For a session's store."""
        return msgspec.json.encode([self._values, self._counts])

    def load(self, data: bytes) -> None:
        """Take over what a session's store holds, which is at least what it held before."""
        self._values, self._counts = msgspec.json.decode(data, type=tuple[dict[str, str], dict[str, int]])
        self.placeholders = {value: placeholder for placeholder, value in self._values.items()}
        if self._hide is not None:
            for value, placeholder in self.placeholders.items():
                self._hide(value, placeholder)


def session_key(ctx: RequestContext, header: str) -> str | None:
    """Where a session's vault is kept; None where the exchange belongs to no session of anybody.

    It holds the principal, so that a session's name guessed by another finds nothing.
    """
    session = ctx.headers.get(header)
    if not session or ctx.principal is None:
        return None
    return hashlib.sha256(msgspec.json.encode([ctx.principal.id, session])).hexdigest()


@cache
def _matcher() -> Matcher:
    return Matcher([Rule(kind="placeholder", pattern=_PLACEHOLDER, keywords=("[",))])
