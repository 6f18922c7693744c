"""Taking secrets out of what a vendor said, before it becomes part of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKENS = re.compile(rb"(?i)(bearer\s+|\b(?:sk|pk|rk|xai|gsk|hf|AIza)[-_]?)[A-Za-z0-9._~+/*-]{12,}=*")
_MIN_SECRET = 4
_HIDDEN = b"***"


class Hider:
    """Replaces secrets that are known, and what looks like one.

    Args:
        secrets: values that must never leave; shorter ones than four characters are no secrets.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {secret.encode() for secret in secrets if len(secret) >= _MIN_SECRET}
        self._secrets = sorted(found, key=len, reverse=True)

    def clean(self, data: bytes) -> bytes:
        """The same bytes with ``***`` for each secret."""
        for secret in self._secrets:
            data = data.replace(secret, _HIDDEN)
        return _TOKENS.sub(rb"\1***", data)

    def text(self, text: str, limit: int = 2_000) -> str:
        """The same of a text, as one printable line."""
        cleaned = self.clean(text[: 4 * limit].encode("utf-8", "replace")).decode("utf-8", "replace")
        return " ".join("".join(c if c.isprintable() else " " for c in cleaned).split())[:limit]
