"""Files in messages: data URIs and base64 to names and bytes, for ``POST /upload``.

Nothing is fetched from elsewhere: an address stays a text, for the agent to open or not.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from chatproxy.errors import InvalidRequest

_DATA_URI = re.compile(r"data:([^,;]*)((?:;[^,;]*)*),(.*)", re.DOTALL)
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_ENDINGS = {
    "image/png": "png", "image/jpeg": "jpg", "image/gif": "gif", "image/webp": "webp", "image/svg+xml": "svg",
    "application/pdf": "pdf", "text/plain": "txt", "text/markdown": "md", "text/csv": "csv", "application/json": "json",
}  # fmt: skip


class File(msgspec.Struct, frozen=True):
    """A file to upload.

    Attributes:
        name: safe as a file's name, and in a message.
    """

    name: str
    data: bytes = msgspec.field(default=b"")


def file_of(part: Mapping[str, Any], *, max_bytes: int, param: str) -> File | str | None:
    """The file of a content part, or the address it gives instead; None where the part is of another kind.

    Raises:
        InvalidRequest: it cannot be read (400), or is too large (413).
    """
    kind = part.get("type")
    value = part.get(kind) if isinstance(kind, str) else None
    if kind == "image_url":
        url = value.get("url") if isinstance(value, Mapping) else value
        return _of_url(url, "image", max_bytes, param)
    if kind == "file" and isinstance(value, Mapping):
        name = value.get("filename")
        return _of_url(value.get("file_data"), name if isinstance(name, str) else "file", max_bytes, param)
    if kind == "input_audio" and isinstance(value, Mapping):
        ending = value.get("format") if isinstance(value.get("format"), str) else "bin"
        return _file(f"audio.{ending}", _decoded(value.get("data"), max_bytes, param), "")
    return None


def _of_url(url: object, name: str, max_bytes: int, param: str) -> File | str:
    if not isinstance(url, str) or not url:
        raise InvalidRequest(f"{param}: an agent takes files as data URIs, not by an id.", param=param)
    found = _DATA_URI.fullmatch(url)
    if found is None and url.startswith(("http://", "https://")):
        return url
    if found is None:
        return _file(name, _decoded(url, max_bytes, param), "")
    kind, options, data = found.groups()
    if "base64" in options.lower().split(";"):
        return _file(name, _decoded(data, max_bytes, param), kind)
    return _file(name, _fitting(unquote_to_bytes(data), max_bytes, param), kind)


def _decoded(data: object, max_bytes: int, param: str) -> bytes:
    if not isinstance(data, str):
        raise InvalidRequest(f"{param}: wanted base64, found {type(data).__name__}.", param=param)
    if len(data) > max_bytes * 4 // 3 + 1024:
        raise _too_large(max_bytes, param)
    try:
        return _fitting(b64decode("".join(data.split()), validate=True), max_bytes, param)
    except (binascii.Error, ValueError):
        raise InvalidRequest(f"{param}: the file is no valid base64.", param=param) from None


def _fitting(data: bytes, max_bytes: int, param: str) -> bytes:
    if len(data) > max_bytes:
        raise _too_large(max_bytes, param)
    return data


def _too_large(max_bytes: int, param: str) -> InvalidRequest:
    message = f"{param}: the file is larger than {max_bytes} bytes."
    return InvalidRequest(message, status=413, code="file_too_large", param=param)


def _file(name: str, data: bytes, kind: str) -> File:
    name = _ODD.sub("-", name.replace("\\", "/").rpartition("/")[2]).strip(".-")[-80:] or "file"
    ending = _ENDINGS.get(kind.lower().strip())
    if "." not in name and ending is not None:
        name = f"{name}.{ending}"
    return File(name, data)
