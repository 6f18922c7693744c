"""Content of Responses items as content of chat messages.

Rule: a text alone stays a plain string, which every chat server takes; keys that OpenAI does not know go along.
Source: OpenAI API reference, "Create a model response" (``input``) and "Create chat completion" (``messages``).
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.media import audio_of, file_of, image_of

_NO_FILES = "chat completions cannot fetch an uploaded file; send the data itself"
_TEXT_KEYS = frozenset({"type", "text"})
_IMAGE_KEYS = frozenset({"type", "image_url", "detail", "file_id"})
_FILE_KEYS = frozenset({"type", "file_data", "filename", "file_id", "file_url", "detail"})
_AUDIO_KEYS = frozenset({"type", "input_audio"})
_OUTPUT_KEYS = frozenset({"type", "text", "refusal", "annotations", "logprobs"})
_INPUT_TYPES = ("input_text", "input_image", "input_file", "input_audio")


def input_content(value: Any, at: str, losses: Losses) -> str | list[Json]:
    """What a user said: texts, images, files and audio.

    Args:
        value: the item's ``content`` or ``output``.
        at: its path.
    """
    content = checks.want_content(value, at)
    if isinstance(content, str):
        return content
    return plain([_input_part(part, where, losses) for part, where in checks.want_objects(content, at)])


def instruction_content(value: Any, at: str, losses: Losses) -> str | list[Json]:
    """What a system or developer message says: texts only."""
    content = input_content(value, at, losses)
    if not isinstance(content, str):
        for i, part in enumerate(content):
            if part["type"] != "text":
                raise checks.unsupported_content(f"{at}[{i}]", "system and developer messages hold text only")
    return content


def output_parts(value: Any, at: str, losses: Losses) -> list[Json]:
    """What a model said earlier: texts and refusals, as parts."""
    content = checks.want_content(value, at)
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [_output_part(part, where, losses) for part, where in checks.want_objects(content, at)]


def plain(parts: list[Json]) -> str | list[Json]:
    """A single text without further keys as a string; no part at all as an empty one."""
    if not parts:
        return ""
    first = parts[0]
    return first["text"] if len(parts) == 1 and first["type"] == "text" and len(first) == 2 else parts


def others(value: Json, known: frozenset[str]) -> Json:
    """The keys that have no translation, to be sent along."""
    return {key: item for key, item in value.items() if key not in known and item is not None}


def _input_part(part: Json, at: str, losses: Losses) -> Json:
    kind = checks.want_word(part, "type", _INPUT_TYPES, at)
    if kind == "input_text":
        return {"type": "text", "text": checks.want_text(part, "text", at), **others(part, _TEXT_KEYS)}
    if kind == "input_image":
        return _image(part, at)
    if kind == "input_file":
        return _file(part, at, losses)
    return {"type": "input_audio", "input_audio": audio_of(part, at), **others(part, _AUDIO_KEYS)}


def _image(part: Json, at: str) -> Json:
    if part.get("file_id") is not None:
        raise checks.unsupported_content(f"{at}.file_id", _NO_FILES)
    url = checks.want_text(part, "image_url", at)
    image_of(url, f"{at}.image_url")
    image = {"url": url}
    if part.get("detail") is not None:
        image["detail"] = part["detail"]
    return {"type": "image_url", "image_url": image, **others(part, _IMAGE_KEYS)}


def _file(part: Json, at: str, losses: Losses) -> Json:
    for key in ("file_id", "file_url"):
        if part.get(key) is not None:
            raise checks.unsupported_content(f"{at}.{key}", _NO_FILES)
    data = checks.want_text(part, "file_data", at)
    file_of(data, f"{at}.file_data")
    file = {"file_data": data}
    if part.get("filename") is not None:
        file["filename"] = part["filename"]
    if part.get("detail") is not None:
        losses.add(f"{at}.detail", "dropped", f"the detail of a file: {NOT_ON_CHAT}")
    return {"type": "file", "file": file, **others(part, _FILE_KEYS)}


def _output_part(part: Json, at: str, losses: Losses) -> Json:
    if checks.want_word(part, "type", ("output_text", "refusal"), at) == "refusal":
        made: Json = {"type": "refusal", "refusal": checks.want_text(part, "refusal", at)}
    else:
        made = {"type": "text", "text": checks.want_text(part, "text", at)}
    for key in ("annotations", "logprobs"):
        if part.get(key):
            losses.add(f"{at}.{key}", "dropped", f"{key} of an earlier answer: {NOT_ON_CHAT}")
    return made | others(part, _OUTPUT_KEYS)
