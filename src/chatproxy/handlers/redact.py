"""Take secrets out of what an upstream sent, before it becomes part of an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

_TOKENS = re.compile(rb"(?i)(bearer\s+|\b(?:sk|pk|rk|cp|xai|gsk|hf|ghp|AIza)[-_])[A-Za-z0-9._~+/*-]{6,}=*")
_HIDDEN = b"***"


class Redactor:
    """Replaces known secrets, and what looks like one.

    Args:
        secrets: the exact values that must never leave, for example upstream keys.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = [secret.encode() for secret in secrets if len(secret) >= 4]

    def clean(self, data: bytes) -> bytes:
        """The same bytes with every secret replaced by ``***``."""
        for secret in self._secrets:
            if secret in data:
                data = data.replace(secret, _HIDDEN)
        return _TOKENS.sub(rb"\1***", data)

    def excerpt(self, data: bytes, limit: int = 200) -> str:
        """The beginning of a body as one printable line, without secrets."""
        text = self.clean(data[: 4 * limit]).decode("utf-8", "replace")
        line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
        return repr(line[:limit]) if line else "an empty body"
