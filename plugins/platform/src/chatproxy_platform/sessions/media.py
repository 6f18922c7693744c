"""Large media of messages: kept beside them by their SHA-256, and put back when a session is resumed.

Rule: pure; what comes back is byte for byte what was taken out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from chatproxy_platform.sessions.turns import KeptMedia

MARK = "chatproxy_media"
_DATA_KEYS = frozenset({"data", "file_data", "result", "b64_json"})
_HEAD_CHARS = 200


class _TooLarge(Exception):
    """A part is larger than what is kept."""

    def __init__(self, size_bytes: int) -> None:
        super().__init__(size_bytes)
        self.size_bytes = size_bytes


class Detacher:
    """Takes large media out of values.

    Args:
        max_inline_bytes: what is no larger stays where it is.
        max_media_bytes: in the place of what is larger stands a text that says so.

    Attributes:
        found: the media, by digest.
    """

    def __init__(self, *, max_inline_bytes: int, max_media_bytes: int) -> None:
        self._max_inline = max_inline_bytes
        self._max_media = max_media_bytes
        self.found: dict[str, KeptMedia] = {}

    def detach(self, value: Any) -> Any:
        """The value with references in the place of its large media; the value itself stays as it is."""
        try:
            return self._walk(value, None)
        except _TooLarge as too_large:
            return _said_missing(too_large.size_bytes, "text")

    def _walk(self, value: Any, key: str | None) -> Any:
        if isinstance(value, str):
            return self._taken(value, key) if len(value) > self._max_inline else value
        if isinstance(value, dict):
            return {name: self._walk(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [self._part(inner, key) for inner in value]
        return value

    def _part(self, part: Any, key: str | None) -> Any:
        try:
            return self._walk(part, key)
        except _TooLarge as too_large:
            kind = part.get("type") if isinstance(part, dict) else None
            is_item = isinstance(kind, str) and kind.startswith("input_")
            return _said_missing(too_large.size_bytes, "input_text" if is_item else "text")

    def _taken(self, text: str, key: str | None) -> Any:
        """A reference to a text that is media: a data URI, or base64 in a field that holds such."""
        head, body = "", text
        if text.startswith("data:"):
            comma = text.find(";base64,", 0, _HEAD_CHARS)
            if comma < 0:
                return text
            head, body = text[: comma + 8], text[comma + 8 :]
        elif key not in _DATA_KEYS:
            return text
        size_bytes = len(body) * 3 // 4
        if size_bytes <= self._max_inline:
            return text
        if size_bytes > self._max_media:
            raise _TooLarge(size_bytes)
        data, is_base64 = _decoded(body)
        digest = sha256(data).hexdigest()
        media_type = head[5:-8].partition(";")[0][:100] or "application/octet-stream"
        if digest not in self.found or head:
            self.found[digest] = KeptMedia(digest=digest, media_type=media_type.replace("\0", ""), data=data)
        form = "base64" if is_base64 else "text"
        return {MARK: {"sha256": digest, "size_bytes": len(data), "form": form, "head": head}}


def digests_in(value: Any) -> set[str]:
    """What a stored value refers to."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        inner = waiting.pop()
        if isinstance(inner, list):
            waiting += inner
        elif isinstance(inner, dict):
            mark = inner.get(MARK)
            if isinstance(mark, dict) and isinstance(mark.get("sha256"), str):
                found.add(mark["sha256"])
            else:
                waiting += inner.values()
    return found


def attach(value: Any, media: Mapping[str, bytes]) -> Any:
    """A stored value with its media put back; a reference to what is not there stays."""
    if isinstance(value, list):
        return [attach(inner, media) for inner in value]
    if not isinstance(value, dict):
        return value
    mark = value.get(MARK)
    if not isinstance(mark, dict) or mark.get("sha256") not in media:
        return {name: attach(inner, media) for name, inner in value.items()}
    data = media[mark["sha256"]]
    body = base64.b64encode(data) if mark.get("form") == "base64" else data
    return f"{mark.get('head', '')}{body.decode()}"


def _decoded(body: str) -> tuple[bytes, bool]:
    """The bytes of base64 text; the text's own where it is written in another way than we would write it."""
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return body.encode("utf-8", "surrogatepass"), False
    return (data, True) if base64.b64encode(data).decode() == body else (body.encode(), False)


def _said_missing(size_bytes: int, kind: str) -> dict[str, Any]:
    return {"type": kind, "text": f"[A part of {size_bytes} bytes was too large to be kept.]"}
