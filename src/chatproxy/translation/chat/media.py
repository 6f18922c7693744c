"""Images and files in a chat client's message: is it base64, is it small enough, what is it.

Rule: nothing is fetched and nothing decoded beyond what the check needs.
Source: RFC 2397 (data URIs); OpenAI API reference, content parts ``image_url``, ``file`` and ``input_audio``.
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from chatproxy.translation.base import Json
from chatproxy.translation.chat.checks import Part, want_object, want_text, wrong_type, wrong_value

MAX_IMAGE_BYTES = 10_000_000


class Inline(NamedTuple):
    """Media within the request: ``data`` is base64, ``media_type`` is in small letters, empty where not said."""

    media_type: str
    data: str


class Image(NamedTuple):
    """An ``image_url`` part; ``inline`` is None for an image on the web."""

    url: str
    inline: Inline | None
    detail: str | None


def image_of(part: Part) -> Image:
    """Read an ``image_url`` part.

    Raises:
        InvalidRequest: neither a web address nor a base64 image, or over 10 MB (400).
    """
    at = f"{part.at}.image_url"
    held = want_object(part.fields.get("image_url"), at)
    url = want_text(held, "url", at)
    detail = held.get("detail")
    if detail is not None and not isinstance(detail, str):
        raise wrong_type(f"{at}.detail", "a string", detail)
    at = f"{at}.url"
    if url[:8].lower().startswith(("http://", "https://")):
        return Image(url, None, detail)
    inline = _data_uri(url, at)
    if inline is None:
        raise wrong_value(at, f"expected an http(s) address or a 'data:' URI, found {url[:20]!r}")
    if not inline.media_type.startswith("image/"):
        raise wrong_value(at, f"expected an image, found media type {inline.media_type[:40]!r}")
    check_base64(inline.data, at, max_bytes=MAX_IMAGE_BYTES)
    return Image(url, inline, detail)


def file_data_of(held: Json, at: str) -> Inline | None:
    """The ``file_data`` of a file, a data URI or bare base64; None where the file has none.

    Raises:
        InvalidRequest: not base64 (400).
    """
    if held.get("file_data") is None:
        return None
    data = want_text(held, "file_data", at)
    inline = _data_uri(data, f"{at}.file_data") or Inline("", data)
    check_base64(inline.data, f"{at}.file_data")
    return inline


def check_base64(data: str, at: str, *, max_bytes: int | None = None) -> None:
    """Refuse what is not base64, or is larger than allowed.

    Raises:
        InvalidRequest: naming ``at`` (400).
    """
    size_bytes = len(data) // 4 * 3 - data[-2:].count("=")
    if max_bytes is not None and size_bytes > max_bytes:
        raise wrong_value(at, f"the image has {size_bytes} bytes, at most {max_bytes} are allowed")
    try:
        empty = not binascii.a2b_base64(data, strict_mode=True)
    except ValueError as exc:
        raise wrong_value(at, "the data is not base64") from exc
    if empty:
        raise wrong_value(at, "the data is empty")


def _data_uri(url: str, at: str) -> Inline | None:
    """The halves of a base64 data URI; None where it is none at all."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.lower().split(";")
    if not comma or "base64" not in (parameter.strip() for parameter in parameters):
        raise wrong_value(at, "expected 'data:<media type>;base64,<data>'")
    return Inline(media_type.strip(), data)
