"""What a tool gives back, as the content of a ``tool`` message.

Rule: no I/O here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from chatproxy_sdk.messages import Message

Content = str | list[Any]
_PARTS: dict[str, type] = {"text": str, "image_url": Mapping, "video_url": Mapping, "input_audio": Mapping}
# What stands for classes of one's own that are like these.
_PLAIN: list[tuple[type, Callable[[Any], Any]]] = [
    (int, int),
    (float, float),
    (Mapping, dict),
    (Sequence, list),
    (AbstractSet, list),
]


def content_of(result: object, max_chars: int) -> Content:
    """A result as a model reads it.

    A text is taken as it is, and UTF-8 bytes are a text; a ``Message`` stands for its content; a list of OpenAI's
    content parts, such as ``{"type": "text", "text": …}``, is sent as parts. All else is written as JSON: what msgspec
    knows (dataclasses, Structs, moments, enums, sets …), and what has ``model_dump()``, ``to_dict()`` or ``tolist()``.

    Args:
        max_chars: of a text; what is beyond is cut, and the cut is marked.

    Raises:
        TypeError: it cannot be written as JSON; the message names its type.
    """
    if isinstance(result, Message):
        result = result.content
    if isinstance(result, (bytes, bytearray)):
        result = _text_of(bytes(result))
    if isinstance(result, str):
        return cut(writable(result), max_chars)
    if isinstance(result, list) and result and all(_is_part(one) for one in result):
        return [_cut_part(part, max_chars) for part in result]
    return cut(_json(result), max_chars)


def cut(text: str, max_chars: int) -> str:
    """At most so many characters of a text; what follows a cut says how many there were."""
    return text if len(text) <= max_chars else f"{text[:max_chars]}… [cut: {max_chars} of {len(text)} characters]"


def writable(text: str) -> str:
    """A text that can be sent: lone surrogates, which UTF-8 does not have, become question marks."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text


def _text_of(content: bytes) -> str | bytes:
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content


def _json(result: object) -> str:
    try:
        return msgspec.json.encode(result, enc_hook=_simple).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as exc:
        raise TypeError(f"the result, of type {type(result).__name__}, cannot be written as JSON: {exc}") from exc


def _simple(value: Any) -> Any:
    """What stands for an object that msgspec does not know."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if not isinstance(value, type):
        for name in ("model_dump", "to_dict", "tolist"):
            if callable(method := getattr(value, name, None)):
                return method()
    for kind, plain in _PLAIN:
        if isinstance(value, kind):
            return plain(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _is_part(one: object) -> bool:
    if not isinstance(one, Mapping) or not isinstance(kind := one.get("type"), str):
        return False
    return kind in _PARTS and isinstance(one.get(kind), _PARTS[kind])


def _cut_part(part: Mapping[str, Any], max_chars: int) -> dict[str, Any]:
    return {**part, "text": cut(writable(part["text"]), max_chars)} if part["type"] == "text" else dict(part)
