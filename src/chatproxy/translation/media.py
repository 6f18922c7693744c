"""Images, files and sound within a request: is it base64, is it small enough, what is it.

Rule: nothing is fetched and nothing encoded anew; base64 goes on as it came.
Source: RFC 2397 (data URIs); OpenAI API reference, "Create chat completion" and "Create a model response".
"""

from __future__ import annotations

import binascii
from typing import NamedTuple

from chatproxy.translation import checks
from chatproxy.translation.base import Json

MOST_IMAGE_BYTES = 10_000_000


class Inline(NamedTuple):
    """Media within the request: ``data`` is base64, ``media_type`` is in small letters, empty where not said."""

    media_type: str
    data: str


def is_on_web(url: str) -> bool:
    """Whether it is an http or https address."""
    return url[:8].lower().startswith(("http://", "https://"))


def image_of(url: str, at: str) -> Inline | None:
    """The image that a URL holds, of 10 MB at the most; None for one on the web."""
    if is_on_web(url):
        return None
    inline = _data_uri(url, at)
    if inline is None:
        raise checks.wrong_value(at, f"expected an http(s) address or a 'data:' URI, found {url[:20]!r}")
    if not inline.media_type.startswith("image/"):
        raise checks.wrong_value(at, f"expected an image, found media type {inline.media_type[:40]!r}")
    check_base64(inline.data, at, most_bytes=MOST_IMAGE_BYTES)
    return inline


def file_of(data: str, at: str) -> Inline:
    """A file that is given as a data URI or as bare base64."""
    inline = _data_uri(data, at) or Inline("", data)
    check_base64(inline.data, at)
    return inline


def audio_of(part: Json, at: str) -> Json:
    """The sound in a part ``input_audio``, which chat and Responses have alike."""
    at = f"{at}.input_audio"
    audio = checks.want_object(part.get("input_audio"), at)
    check_base64(checks.want_text(audio, "data", at), f"{at}.data")
    checks.want_text(audio, "format", at)
    return audio


def check_base64(data: str, at: str, *, most_bytes: int | None = None) -> None:
    """Refuse what is no base64, or is more than ``most_bytes`` decoded."""
    size_bytes = len(data) // 4 * 3 - data[-2:].count("=")
    if most_bytes is not None and size_bytes > most_bytes:
        raise checks.wrong_value(at, f"expected at most {most_bytes} bytes, found {size_bytes}")
    try:
        decoded = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as exc:
        raise checks.wrong_value(at, f"expected base64: {str(exc)[:80]}") from exc
    if not decoded:
        raise checks.wrong_value(at, "expected base64, found no data")


def _data_uri(url: str, at: str) -> Inline | None:
    """The halves of a base64 data URI; None where it is none at all."""
    if url[:5].lower() != "data:":
        return None
    head, comma, data = url[5:].partition(",")
    media_type, *parameters = head.lower().split(";")
    if not comma or "base64" not in (parameter.strip() for parameter in parameters):
        raise checks.wrong_value(at, "expected 'data:<media type>;base64,<data>'")
    return Inline(media_type.strip(), data)
