"""Media in messages: what kind and how large, or where it lies; never the bytes.

Rule: links lose what may be a signature: user, query and fragment.
Source: OpenTelemetry GenAI conventions, message schemas: the parts ``blob``, ``uri`` and ``file``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

Part = dict[str, Any]

_DATA_URL = "data:"
_USERINFO = re.compile(r"^([a-z][a-z0-9+.-]*://)[^/@]*@", re.IGNORECASE)
_AUDIO = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_MODALITIES: Mapping[str, str] = {
    "image": "image", "image_url": "image", "input_image": "image", "computer_screenshot": "image",
    "input_audio": "audio", "audio": "audio", "audio_url": "audio",
    "video": "video", "video_url": "video", "input_video": "video",
    "file": "document", "input_file": "document", "document": "document", "container_upload": "document",
}  # fmt: skip


def media_parts(part: Mapping[str, Any]) -> list[Part]:
    """What a part of a message says of an image, a sound, a video or a file; none where it is none of these.

    Args:
        part: of any surface; a surface's own nesting (``image_url``, ``source``, ``file``) is looked through.
    """
    kind = part.get("type")
    modality = _MODALITIES.get(kind) if isinstance(kind, str) else None
    if modality is None:
        return []
    holder: Mapping[str, Any] = part
    for key in (kind, "source"):
        inner = part.get(key) if isinstance(key, str) else None
        if isinstance(inner, Mapping):
            holder = inner
    return _found(holder, modality) or [{"type": "blob", "modality": modality, "content": ""}]


def _found(holder: Mapping[str, Any], modality: str) -> list[Part]:
    mime_type = _mime_type(holder)
    for key in ("image_url", "audio_url", "video_url", "file_url", "url", "uri"):
        if isinstance(holder.get(key), str):
            return [_linked(holder[key], modality, mime_type)]
    if isinstance(holder.get("file_id"), str):
        return [_part("file", modality, mime_type, file_id=holder["file_id"])]
    for key in ("data", "file_data"):
        data = holder.get(key)
        if isinstance(data, str):
            return [
                _linked(data, modality, mime_type) if data.startswith(_DATA_URL) else _blob(data, modality, mime_type)
            ]
    return []


def _linked(url: str, modality: str, mime_type: str | None) -> Part:
    if not url.startswith(_DATA_URL):
        return _part("uri", modality, mime_type, uri=address(url))
    head, _, data = url[len(_DATA_URL) :].partition(",")
    return _blob(data, modality, head.partition(";")[0] or mime_type, is_base64="base64" in head)


def address(url: str) -> str:
    """A link without user, query and fragment; ``?***`` where there was one of the last two."""
    url = _USERINFO.sub(r"\1***@", url)
    end = min((at for at in (url.find("?"), url.find("#")) if at >= 0), default=-1)
    return url if end < 0 else f"{url[:end]}?***"


def _blob(data: str, modality: str, mime_type: str | None, *, is_base64: bool = True) -> Part:
    size = len(data) * 3 // 4 - data[-2:].count("=") if is_base64 else len(data)
    return _part("blob", modality, mime_type, content="", size_bytes=size)


def _part(kind: str, modality: str, mime_type: str | None, **others: Any) -> Part:
    mime = {} if mime_type is None else {"mime_type": mime_type}
    return {"type": kind, "modality": modality, **mime, **others}


def _mime_type(holder: Mapping[str, Any]) -> str | None:
    for key in ("media_type", "mime_type"):
        if isinstance(holder.get(key), str):
            return str(holder[key])
    form = holder.get("format")
    return _AUDIO.get(form) if isinstance(form, str) else None
