"""Structured content: said to the model where the texts beside it do not say it already.

Rule: nothing twice. Servers should send structured content as a text too (MCP 2025-11-25, "Structured Content"), and
the official Python SDK wraps what is no object: ``hello`` comes with ``{"result": "hello"}``.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

_WRAPPER = {"result"}
_UNREADABLE = object()


def added_text(content: Any, texts: list[str], limit: int) -> list[str]:
    """The content as JSON in a list, or none where the texts say the same.

    Args:
        limit: in characters; where the texts are longer there is no room for more.
    """
    if sum(map(len, texts)) >= limit or _is_said(content, texts):
        return []
    return [_encoded(content)]


def _is_said(content: Any, texts: list[str]) -> bool:
    if any(_says(text, content) for text in texts):
        return True
    if not isinstance(content, dict) or content.keys() != _WRAPPER:
        return False
    inner = content["result"]
    if any(_says(text, inner) for text in texts):
        return True
    # A list comes as one text for each item.
    is_listed = isinstance(inner, list) and len(inner) == len(texts)
    return is_listed and all(map(_says, texts, inner))


def _says(text: str, value: Any) -> bool:
    if text == value:
        return True
    found = _decoded(text)
    return found is not _UNREADABLE and bool(found == value)


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _UNREADABLE


def _encoded(content: Any) -> str:
    try:
        return msgspec.json.encode(content).decode()
    except (UnicodeEncodeError, OverflowError):
        return json.dumps(content, separators=(",", ":"))
    except RecursionError:
        return "[structured content left out: it is nested too deep]"
