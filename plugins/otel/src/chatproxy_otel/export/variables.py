"""Variables: the ``OTEL_*`` environment variables, read with their meaning.

Rule: a value that cannot be used is an error that names its variable, never a silent default; a value that may be a
secret is not repeated. An empty variable counts as one that is not set.
Source: OpenTelemetry specification, "Environment Variable Specification".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from chatproxy.errors import ConfigError

LEAST_TIMEOUT_MS = 100
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Variables:
    """What an environment says; of several names, the first that is set counts."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def found(self, *names: str) -> tuple[str, str]:
        """Name and text of the first that is set; two empty texts where none is."""
        for name in names:
            if text := self._environ.get(name, "").strip():
                return name, text
        return "", ""

    def text(self, *names: str) -> str | None:
        """The text itself."""
        return self.found(*names)[1] or None

    def flag(self, *names: str) -> bool | None:
        """``true`` or ``false`` in any case.

        Raises:
            ConfigError: anything else.
        """
        name, text = self.found(*names)
        if not name:
            return None
        if text.lower() not in {"true", "false"}:
            raise _wrong(name, "true or false", text)
        return text.lower() == "true"

    def choice(self, allowed: Sequence[str], *names: str) -> str | None:
        """One of the allowed words, in any case.

        Raises:
            ConfigError: another word.
        """
        name, text = self.found(*names)
        if name and text.lower() not in allowed:
            raise _wrong(name, " or ".join(allowed), text)
        return text.lower() or None

    def count(self, *names: str, least: int = 0) -> int | None:
        """A whole number.

        Raises:
            ConfigError: not one, or too small.
        """
        name, text = self.found(*names)
        if not name:
            return None
        if not text.isascii() or not text.isdigit() or int(text) < least:
            raise _wrong(name, f"a whole number from {least}", text)
        return int(text)

    def milliseconds(self, *names: str) -> float | None:
        """A duration; returns seconds.

        Raises:
            ConfigError: not a number above 0.
        """
        name, text = self.found(*names)
        return None if not name else _number(name, text) / 1000

    def timeout_s(self, *names: str) -> float | None:
        """A deadline; returns seconds.

        The specification counts milliseconds, OpenTelemetry's Python exporters seconds. Below 100 only the latter makes
        sense (no collector answers reliably within 100 ms), so such a number is taken as seconds.

        Raises:
            ConfigError: not a number above 0.
        """
        name, text = self.found(*names)
        if not name:
            return None
        number = _number(name, text)
        return number if number < LEAST_TIMEOUT_MS else number / 1000

    def pairs(self, *names: str) -> dict[str, str]:
        """``key=value,key=value`` with percent-encoded values, as W3C Baggage writes it; keys keep their case.

        Raises:
            ConfigError: a part without ``=`` or with a key that is no token; values are not repeated.
        """
        name, text = self.found(*names)
        pairs: dict[str, str] = {}
        for position, part in enumerate(filter(None, map(str.strip, text.split(","))), 1):
            key, equals, value = (piece.strip() for piece in part.partition("="))
            if not equals or not _NAME.fullmatch(key):
                raise ConfigError(
                    f"{name}: wanted key=value parts with commas between them, part {position} is not one"
                )
            pairs[unquote(key)] = unquote(value)
        return pairs

    def file(self, *names: str) -> Path | None:
        """A file that can be read.

        Raises:
            ConfigError: it cannot.
        """
        name, text = self.found(*names)
        if not name:
            return None
        try:
            with Path(text).open("rb"):
                return Path(text)
        except OSError as exc:
            raise ConfigError(f"{name}: cannot read {text!r}: {exc.strerror}") from exc


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise _wrong(name, "a number above 0", text)
    return number


def _wrong(name: str, wanted: str, text: str) -> ConfigError:
    return ConfigError(f"{name}: wanted {wanted}, found {text!r:.80}")
