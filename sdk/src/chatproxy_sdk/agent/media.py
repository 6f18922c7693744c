"""Images and videos as parts of a message: read, checked by content, and written as ``data:`` URIs.

A path is taken as it is: ``~`` and environment variables are not expanded, since file names may hold them. ``http(s)://``
URLs are passed on as they are, for the server to fetch. Nothing is read on the event loop.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import functools
import operator
import os
import re
import stat
from collections.abc import Iterable
from typing import Any

from chatproxy_sdk.exceptions import MediaProcessingError

StrPath = str | os.PathLike[str]
Paths = StrPath | Iterable[StrPath] | None

CHUNK_BYTES = 1024 * 1024
TYPES: dict[str, tuple[str, ...]] = {
    "image": ("image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp"),
    "video": ("video/mp4", "video/webm", "video/ogg", "video/quicktime", "video/x-msvideo"),
}
_ALIASES = {
    "application/ogg": "video/ogg",
    "image/x-ms-bmp": "image/bmp",
    "video/avi": "video/x-msvideo",
}
# Brands of ISO base media files that are no video; puremagic 1.30 takes some of them for mp4 and misses some that are.
_NO_VIDEO = {b"heic": "image/heic", b"heix": "image/heic", b"mif1": "image/heif", b"avif": "image/avif"}
_NO_VIDEO |= {b"M4A ": "audio/mp4", b"M4B ": "audio/mp4"}
# Where puremagic 1.30 looks at too little ("BM", "RIFF"): what else is there; a bitmap's reserved bytes are zero.
_PROOFS = {"image/bmp": (6, bytes(4)), "image/webp": (8, b"WEBP"), "video/x-msvideo": (8, b"AVI ")}
# Some are missing on some systems.
_FLAGS = functools.reduce(
    operator.or_, (getattr(os, name, 0) for name in ("O_RDONLY", "O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"))
)
_DATA_URL = re.compile(r"data:(?P<type>[\w.+-]+/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,", re.IGNORECASE)


async def media_parts(images: Paths, videos: Paths, *, max_bytes: int) -> list[dict[str, Any]]:
    """The parts of some images and videos, in their order, images first.

    Raises:
        MediaProcessingError: one cannot be sent.
    """
    parts = [await image_part(path, max_bytes=max_bytes) for path in _each(images)]
    return parts + [await video_part(path, max_bytes=max_bytes) for path in _each(videos)]


async def image_part(path: StrPath, *, max_bytes: int, detail: str = "auto") -> dict[str, Any]:
    """An ``image_url`` part: jpeg, png, gif, webp or bmp by content, whatever the file is called.

    Args:
        path: of a file; or an ``http(s)://`` URL; or a base64 ``data:`` URL, whose content is checked like a file's.
        max_bytes: of the file.
        detail: how closely the model looks: ``auto``, ``low`` or ``high``.

    Raises:
        MediaProcessingError: no such file, no regular file, empty, too large, or no image; ``details["path"]``.
    """
    url = await asyncio.to_thread(_url, path, "image", max_bytes)
    return {"type": "image_url", "image_url": {"url": url, "detail": detail}}


async def video_part(path: StrPath, *, max_bytes: int, detail: str = "auto") -> dict[str, Any]:
    """A ``video_url`` part: mp4, webm, ogg, mov or avi by content; else as ``image_part``.

    Raises:
        MediaProcessingError: as ``image_part``.
    """
    url = await asyncio.to_thread(_url, path, "video", max_bytes)
    return {"type": "video_url", "video_url": {"url": url, "detail": detail}}


def _each(paths: object) -> list[Any]:
    if paths is None:
        return []
    if isinstance(paths, (str, os.PathLike)):
        return [paths]
    if isinstance(paths, Iterable) and not isinstance(paths, (bytes, bytearray)):
        return list(paths)
    message = f"wanted a path or a list of paths, found {type(paths).__name__}"
    raise MediaProcessingError(message, {"path": repr(paths)[:200]})


def _url(path: StrPath, kind: str, max_bytes: int) -> str:
    """The URL of a part. It blocks."""
    text = _text(path)
    scheme = text[:8].lower()
    if scheme.startswith(("http://", "https://")):
        return text
    if scheme.startswith("data:"):
        _check_data_url(text, kind, max_bytes)
        return text
    content = _read(text, max_bytes)
    media_type = _checked_type(content, kind, text)
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"


def _text(path: StrPath) -> str:
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        message = f"a path must be a text or a Path, found {type(path).__name__}"
        raise MediaProcessingError(message, {"path": repr(path)[:200]})
    if not text:
        raise MediaProcessingError("a path is empty", {"path": text})
    return text


def _read(path: str, max_bytes: int) -> bytes:
    """A regular file's content.

    It is opened without waiting, so that a FIFO without a writer is refused and not waited for; its size is checked
    on what was opened and while it is read, so that a file that changes meanwhile is not read without end.
    """
    try:
        handle = os.open(path, _FLAGS)
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        hint = "; '~' is not expanded" if path.startswith("~") else ""
        raise _refused(path, f"cannot be opened: {reason}{hint}") from exc
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            kind = "a directory" if stat.S_ISDIR(found.st_mode) else "a pipe, a socket or a device"
            raise _refused(path, f"is {kind}, not a file")
        _check_size(path, found.st_size, max_bytes)
        content = _read_all(handle, path, max_bytes)
    except OSError as exc:
        raise _refused(path, f"cannot be read: {exc.strerror}") from exc
    finally:
        os.close(handle)
    if not content:
        raise _refused(path, "is empty")
    return content


def _read_all(handle: int, path: str, max_bytes: int) -> bytes:
    content = bytearray()
    while block := os.read(handle, CHUNK_BYTES):
        content += block
        _check_size(path, len(content), max_bytes)
    return bytes(content)


def _check_size(path: str, size_bytes: int, max_bytes: int) -> None:
    if size_bytes > max_bytes:
        problem = f"is too large: {size_bytes} bytes or more, at most {max_bytes} are sent (max_media_bytes)"
        raise _refused(path, problem, size_bytes=size_bytes, max_bytes=max_bytes)


def _check_data_url(url: str, kind: str, max_bytes: int) -> None:
    shown = f"{url[:48]}…"
    head = _DATA_URL.match(url)
    if head is None:
        raise _refused(shown, f"is not of the form data:{kind}/…;base64,…")
    if not head["type"].lower().startswith(f"{kind}/"):
        raise _refused(shown, f"is {head['type']}, wanted {kind}/…")
    try:
        content = base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _refused(shown, f"is not base64: {exc}") from exc
    if not content:
        raise _refused(shown, "is empty")
    _check_size(shown, len(content), max_bytes)
    _checked_type(content, kind, shown)


def _checked_type(content: bytes, kind: str, path: str) -> str:
    found = media_type(content)
    if found in TYPES[kind]:
        return found
    names = ", ".join(name.partition("/")[2] for name in TYPES[kind])
    raise _refused(path, f"is {found or 'of a type that is not known'}, by content; wanted {kind}: {names}", type=found)


def media_type(content: bytes) -> str | None:
    """The media type that bytes have by themselves, or None where it is not known."""
    if content[4:8] == b"ftyp":
        return "video/quicktime" if content[8:12] == b"qt  " else _NO_VIDEO.get(content[8:12], "video/mp4")
    # Imported here, so that who sends no media does not wait for it.
    import puremagic  # noqa: PLC0415

    try:
        matches = puremagic.magic_string(content)
    except (puremagic.PureError, ValueError):
        return None
    found = next((match.mime_type for match in matches if match.mime_type), None)
    found = _ALIASES.get(found, found) if found else None
    start, proof = _PROOFS.get(found or "", (0, b""))
    return found if content.startswith(proof, start) else None


def _refused(path: str, problem: str, **details: Any) -> MediaProcessingError:
    return MediaProcessingError(f"{path} {problem}", {"path": path, **details})
