"""Tokens of the demo model.

Rule: a token is up to 16 letters, digits or underscores, or one other visible character, each with the white space
before it; white space at the end of a text is one more.
"""

from __future__ import annotations

import re
from itertools import islice
from typing import Any
from zlib import crc32

_TOKEN = re.compile(r"\s*(?:\w{1,16}|[^\w\s])|\s+\Z")
_OTHERS = (
    " the", " a", " of", " to", " and", " in", " that", " it", " is", " for", " on", " with", " as", " at", " by",
    " this", " you", " not", " or", " from", " are",
)  # fmt: skip


def split_tokens(text: str) -> list[str]:
    """The tokens of a text; joined they are the text."""
    return _TOKEN.findall(text)


def count_tokens(text: str) -> int:
    """How many tokens a text has."""
    return len(_TOKEN.findall(text))


def count_up_to(text: str, limit: int) -> int | None:
    """How many tokens a text has; None where it has more than ``limit``, at the cost of that many."""
    found = sum(1 for _ in islice(_TOKEN.finditer(text), limit + 1))
    return found if found <= limit else None


def token_logprob(token: str, *, position: int, top: int) -> dict[str, Any]:
    """A plausible ``logprobs.content`` entry, the same for the same token and position.

    Args:
        top: how many ``top_logprobs`` to list, the token itself first; 0 to 20.
    """
    value = -((crc32(token.encode()) + position * 7919) % 690) / 1000
    others = (other for other in _OTHERS if other != token)
    ranked = [_entry(token, value), *(_entry(other, value - 1 - rank) for rank, other in enumerate(others))]
    return {**_entry(token, value), "top_logprobs": ranked[:top]}


def _entry(token: str, value: float) -> dict[str, Any]:
    return {"token": token, "bytes": list(token.encode()), "logprob": round(value, 4)}
