"""Content of Responses items as content of chat messages.

Rule: a text alone stays a plain string, which every chat server takes; keys that OpenAI does not know go along.
Source: OpenAI API reference, "Create a model response" (``input``) and "Create chat completion" (``messages``).
"""

from __future__ import annotations

import binascii
from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.shapes import (
    missing,
    unsupported_content,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)

_MAX_IMAGE_BYTES = 10_000_000
_NO_FILES = "chat completions cannot fetch an uploaded file; send the data itself."


def input_content(value: Any, param: str, losses: Losses) -> str | list[Json]:
    """What a user said: texts, images, files and audio.

    Args:
        value: the item's ``content`` or ``output``.
        param: its path.

    Raises:
        InvalidRequest: a wrong shape, broken base64, or a file id (400).
    """
    if isinstance(value, str):
        return value
    if value is None:
        raise missing(param)
    if not isinstance(value, list):
        raise wrong_type(param, "a string or an array", value)
    return plain([_input_part(part, f"{param}[{i}]", losses) for i, part in enumerate(value)])


def instruction_content(value: Any, param: str, losses: Losses) -> str | list[Json]:
    """What a system or developer message says: texts only."""
    content = input_content(value, param, losses)
    if not isinstance(content, str):
        for i, part in enumerate(content):
            if part["type"] != "text":
                raise unsupported_content(f"{param}[{i}]", "system and developer messages hold text only.")
    return content


def output_parts(value: Any, param: str, losses: Losses) -> list[Json]:
    """What a model said earlier: texts and refusals, as parts."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if value is None:
        raise missing(param)
    return [_output_part(part, f"{param}[{i}]", losses) for i, part in enumerate(want_list(value, param))]


def plain(parts: list[Json]) -> str | list[Json]:
    """A single text without further keys as a string; no part at all as an empty one."""
    if not parts:
        return ""
    first = parts[0]
    return first["text"] if len(parts) == 1 and first["type"] == "text" and len(first) == 2 else parts


def others(value: Json, known: frozenset[str]) -> Json:
    """The keys that have no translation, to be sent along."""
    return {key: item for key, item in value.items() if key not in known and item is not None}


def check_base64(data: str, param: str, *, max_bytes: int | None = None) -> None:
    """Refuse what is no base64, or is more than ``max_bytes`` decoded."""
    size = len(data) // 4 * 3 - data[-2:].count("=")
    if max_bytes is not None and size > max_bytes:
        raise wrong_value(param, f"expected at most {max_bytes} bytes, found {size}.")
    try:
        decoded = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as exc:
        raise wrong_value(param, f"expected base64: {exc}.") from exc
    if not decoded:
        raise wrong_value(param, "expected base64, found no data.")


def _check_data_uri(uri: str, param: str, *, max_bytes: int | None = None) -> None:
    head, comma, data = uri.partition(",")
    if not comma or not head.lower().endswith(";base64"):
        raise wrong_value(param, "expected a data: URI of the form 'data:<type>;base64,<data>'.")
    check_base64(data, param, max_bytes=max_bytes)


def _is_data_uri(value: str) -> bool:
    return value[:5].lower() == "data:"


_TEXT_KEYS = frozenset({"type", "text"})
_IMAGE_KEYS = frozenset({"type", "image_url", "detail", "file_id"})
_FILE_KEYS = frozenset({"type", "file_data", "filename", "file_id", "file_url", "detail"})
_AUDIO_KEYS = frozenset({"type", "input_audio"})
_OUTPUT_KEYS = frozenset({"type", "text", "refusal", "annotations", "logprobs"})
_INPUT_TYPES = "'input_text', 'input_image', 'input_file' or 'input_audio'"


def _input_part(value: Any, param: str, losses: Losses) -> Json:
    part = want_object(value, param)
    match part.get("type"):
        case "input_text":
            made: Json = {"type": "text", "text": want_text(part, "text", param)}
            return made if len(part) == 2 else made | others(part, _TEXT_KEYS)
        case "input_image":
            return _image(part, param)
        case "input_file":
            return _file(part, param, losses)
        case "input_audio":
            return _audio(part, param)
        case kind:
            raise _wrong_part(kind, param, _INPUT_TYPES)


def _wrong_part(kind: Any, param: str, wanted: str) -> InvalidRequest:
    if kind is None:
        return missing(f"{param}.type")
    if isinstance(kind, str):
        return wrong_value(f"{param}.type", f"expected {wanted}, found '{kind[:40]}'.")
    return wrong_type(f"{param}.type", "a string", kind)


def _image(part: Json, param: str) -> Json:
    if part.get("file_id") is not None:
        raise unsupported_content(f"{param}.file_id", _NO_FILES)
    url = want_text(part, "image_url", param)
    if _is_data_uri(url):
        _check_data_uri(url, f"{param}.image_url", max_bytes=_MAX_IMAGE_BYTES)
    image = {"url": url}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image, **others(part, _IMAGE_KEYS)}


def _file(part: Json, param: str, losses: Losses) -> Json:
    for key in ("file_id", "file_url"):
        if part.get(key) is not None:
            raise unsupported_content(f"{param}.{key}", _NO_FILES)
    data = want_text(part, "file_data", param)
    if _is_data_uri(data):
        _check_data_uri(data, f"{param}.file_data")
    else:
        check_base64(data, f"{param}.file_data")
    file = {"file_data": data}
    if part.get("filename") is not None:
        file["filename"] = part["filename"]
    if part.get("detail") is not None:
        losses.add(f"{param}.detail", "dropped", "files on chat completions have no detail")
    return {"type": "file", "file": file, **others(part, _FILE_KEYS)}


def _audio(part: Json, param: str) -> Json:
    at = f"{param}.input_audio"
    if part.get("input_audio") is None:
        raise missing(at)
    audio = want_object(part["input_audio"], at)
    check_base64(want_text(audio, "data", at), f"{at}.data")
    want_text(audio, "format", at)
    return {"type": "input_audio", "input_audio": audio, **others(part, _AUDIO_KEYS)}


def _output_part(value: Any, param: str, losses: Losses) -> Json:
    part = want_object(value, param)
    kind = part.get("type")
    if kind == "output_text":
        made: Json = {"type": "text", "text": want_text(part, "text", param)}
    elif kind == "refusal":
        made = {"type": "refusal", "refusal": want_text(part, "refusal", param)}
    else:
        raise _wrong_part(kind, param, "'output_text' or 'refusal'")
    if len(part) > 2:
        for key in ("annotations", "logprobs"):
            if part.get(key):
                losses.add(f"{param}.{key}", "dropped", "chat completions take none with an earlier answer")
        made |= others(part, _OUTPUT_KEYS)
    return made
