"""Reasoning between Responses items and chat messages.

Rule: readable reasoning is ``reasoning_content`` on chat; what only its maker can read travels between translations as
``thinking_blocks``, and with a client as ``encrypted_content`` that begins with the kind of its block.
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.shapes import want_list, want_object, want_text, wrong_type

_THINKING = "thinking:"
_REDACTED = "redacted_thinking:"


def sealed(block: Json) -> str | None:
    """``encrypted_content`` for a thinking block; None where it has nothing that must come back unchanged."""
    if block.get("type") == "redacted_thinking":
        data = block.get("data")
        return f"{_REDACTED}{data}" if isinstance(data, str) else None
    signature = block.get("signature")
    return f"{_THINKING}{signature}" if isinstance(signature, str) and signature else None


def read_reasoning(item: Json, param: str, losses: Losses, *, hub: bool) -> tuple[str | None, Json | None]:
    """The text and, where ``hub`` is asked for, the thinking block of a reasoning item.

    Raises:
        InvalidRequest: a wrong shape (400).
    """
    text = _text(item, param, losses)
    encrypted = item.get("encrypted_content")
    if encrypted is not None and not isinstance(encrypted, str):
        raise wrong_type(f"{param}.encrypted_content", "a string", encrypted)
    block = _opened(encrypted, text) if hub and encrypted else None
    if block is None:
        if text is None:
            losses.add(param, "dropped", "reasoning without a text that the handler can read")
        elif encrypted:
            losses.add(f"{param}.encrypted_content", "dropped", "the handler cannot read another's reasoning")
        if hub and text is not None:
            block = {"type": "thinking", "thinking": text, "signature": None}
    return text, block


def _opened(encrypted: str, text: str | None) -> Json | None:
    if encrypted.startswith(_REDACTED):
        return {"type": "redacted_thinking", "data": encrypted.removeprefix(_REDACTED)}
    if encrypted.startswith(_THINKING):
        return {"type": "thinking", "thinking": text or "", "signature": encrypted.removeprefix(_THINKING)}
    return None


def _text(item: Json, param: str, losses: Losses) -> str | None:
    """The reasoning itself where it is there, else its summary."""
    summary = _texts(item.get("summary"), f"{param}.summary")
    content = _texts(item.get("content"), f"{param}.content")
    if content and summary:
        losses.add(f"{param}.summary", "dropped", "the reasoning itself is sent")
    return "\n\n".join(content or summary) or None


def _texts(value: Any, param: str) -> list[str]:
    if value is None:
        return []
    parts = [want_object(part, f"{param}[{i}]") for i, part in enumerate(want_list(value, param))]
    return [want_text(part, "text", f"{param}[{i}]") for i, part in enumerate(parts)]
