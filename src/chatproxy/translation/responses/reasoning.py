"""Reasoning between Responses items and chat messages.

Rule: readable reasoning is ``reasoning_content`` on chat; what only its maker can read travels between translations as
``thinking_blocks``, and with a client as ``encrypted_content`` that begins with the kind of its block.
"""

from __future__ import annotations

from chatproxy.translation import checks
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.hub import Thought

_THINKING = "thinking:"
_REDACTED = "redacted_thinking:"


def sealed(thought: Thought) -> str | None:
    """``encrypted_content`` for some reasoning; None where it has nothing that must come back unchanged."""
    if thought.redacted is not None:
        return f"{_REDACTED}{thought.redacted}"
    return f"{_THINKING}{thought.signature}" if thought.signature else None


def read_reasoning(item: Json, at: str, losses: Losses, *, hub: bool) -> tuple[str, Json | None]:
    """The text and, where ``hub`` is asked for, the thinking block of a reasoning item."""
    text = _text(item, at, losses)
    encrypted = checks.optional_text(item, "encrypted_content", at)
    block = _opened(encrypted, text) if hub else None
    if block is None:
        if not text:
            losses.add(at, "dropped", "reasoning without a text that the handler can read")
        elif encrypted:
            losses.add(f"{at}.encrypted_content", "dropped", "another model's, which the handler cannot read")
        if hub and text:
            block = {"type": "thinking", "thinking": text, "signature": None}
    return text, block


def _opened(encrypted: str, text: str) -> Json | None:
    if encrypted.startswith(_REDACTED):
        return {"type": "redacted_thinking", "data": encrypted.removeprefix(_REDACTED)}
    if encrypted.startswith(_THINKING):
        return {"type": "thinking", "thinking": text, "signature": encrypted.removeprefix(_THINKING)}
    return None


def _text(item: Json, at: str, losses: Losses) -> str:
    """The reasoning itself where it is there, else its summary."""
    summary = _texts(item, "summary", at)
    content = _texts(item, "content", at)
    if content and summary:
        losses.add(f"{at}.summary", "dropped", "the reasoning itself is sent")
    return "\n\n".join(content or summary)


def _texts(item: Json, key: str, at: str) -> list[str]:
    return [checks.want_text(part, "text", where) for part, where in checks.optional_objects(item, key, at)]
