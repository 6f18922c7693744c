"""Fitting: texts and values as spans and log records carry them: without secrets, bounded, such that OTLP takes them.

Rule: a value that cannot be encoded costs a whole batch of records, so that nothing leaves this module that cannot.
Sources: OpenTelemetry's log data model, "Type any"; protobuf's limit of 100 messages within each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, TypeGuard

import msgspec
from opentelemetry.util.types import AnyValue

MAX_TEXT = 16_384
MAX_VALUE = 1_024
MAX_NAME = 128
MAX_ITEMS = 32
MAX_DEPTH = 4
CONTENT_DEPTH = 24
"""Each level of a structure is up to three messages of protobuf; receivers refuse the whole batch over its limit."""
HIDDEN = "***"
_PROBE = "probe"
_MOST_NAMES = 1_024
_LEAST_INT, _OVER_INT = -(2**63), 2**63


class Fitter:
    """Makes texts and values fit.

    Args:
        redact: a text without secrets.
    """

    def __init__(self, redact: Callable[[str], str]) -> None:
        self._redact = redact
        self._is_secret: dict[str, bool] = {}

    def text(self, text: str, limit: int = MAX_TEXT) -> str:
        """A text without secrets, of at most so many characters.

        It is cut after it was cleaned, since half a key is not known for one; of a huge text only the begin is cleaned,
        and of that the end, where half a key may stand, is left out.
        """
        window = 4 * max(limit, MAX_VALUE)
        cleaned = self._redact(text[:window])
        if len(text) > window:
            cleaned = f"{cleaned[:-MAX_VALUE]}…"
        return encodable(cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…")

    def value(self, value: object, depth: int = 0) -> AnyValue:
        """Any value without secrets, also where a name says that one follows; other objects become their texts."""
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return _integer(value)
        if isinstance(value, str):
            return self.text(value, MAX_VALUE)
        if isinstance(value, bytes | bytearray):
            return self.text(value[: 4 * MAX_VALUE].decode("utf-8", "backslashreplace"), MAX_VALUE)
        if depth >= MAX_DEPTH and isinstance(value, Mapping | list | tuple | set | frozenset):
            return "…"
        if isinstance(value, Mapping):
            return {self.name(name): self.item(name, item, depth) for name, item in islice(value.items(), MAX_ITEMS)}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, depth + 1) for item in islice(value, MAX_ITEMS)]
        return self.text(str(value), MAX_VALUE)

    def item(self, name: object, value: object, depth: int = 0) -> AnyValue:
        """The value that stands under a name; hidden where the name is that of a credential."""
        return HIDDEN if self._names_secret(str(name)) else self.value(value, depth + 1)

    def items(self, values: Mapping[str, object]) -> dict[str, Any]:
        """Attributes of a span, which are texts, numbers, bools and lists of one of these; others are left out."""
        found = ((self.name(name), self.item(name, value)) for name, value in values.items())
        return {name: value for name, value in found if isinstance(value, str | bool | int | float | list)}

    def name(self, name: object) -> str:
        """A name of an attribute."""
        return self.text(str(name), MAX_NAME) or "_"

    def _names_secret(self, name: str) -> bool:
        """Whether a text would be hidden under this name; who cleans texts knows the names."""
        found = self._is_secret.get(name)
        if found is None:
            if len(self._is_secret) >= _MOST_NAMES:
                self._is_secret.clear()
            found = self._is_secret[name] = _PROBE not in self._redact(f'"{name[:MAX_NAME]}": "{_PROBE}"')
        return found


def encodable(text: str) -> str:
    """The text with half surrogate pairs made visible; UTF-8 has none."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def structure(value: object, depth: int = CONTENT_DEPTH) -> AnyValue:
    """Decoded JSON as OTLP carries it; what lies deeper than receivers read becomes a text of JSON."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _integer(value)
    if _is_container(value) and depth <= 0:
        return _as_text(value)
    if isinstance(value, Mapping):
        return {encodable(str(name)) or "_": structure(item, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [structure(item, depth - 1) for item in value]
    return value if value is None or isinstance(value, bool | float | bytes) else encodable(str(value))


def _is_container(value: object) -> TypeGuard[Mapping[object, object] | list[object] | tuple[object, ...]]:
    return isinstance(value, Mapping | list | tuple)


def _as_text(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):  # half surrogate pairs, or deeper than any parser goes
        return "…"


def _integer(value: int) -> int | str:
    return int(value) if _LEAST_INT <= value < _OVER_INT else f"{value:#x}"[:MAX_VALUE]
