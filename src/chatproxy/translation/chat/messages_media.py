"""A chat client's content parts as the blocks of a Messages turn.

Source: Anthropic API reference, blocks ``text``, ``image`` and ``document``.
"""

from __future__ import annotations

import binascii

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    Part,
    missing,
    unsupported_content,
    want_object,
    want_text,
    wrong_value,
)
from chatproxy.translation.chat.media import Inline, file_data_of, image_of

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"
# What base64 of "%PDF-" begins with.
_PDF_MAGIC = "JVBERi"


def block_of(part: Part, losses: Losses) -> Json | None:
    """The block for a part; None for an empty text.

    Raises:
        InvalidRequest: a broken part, or one that Messages does not know (400).
    """
    if part.kind == "text":
        text = want_text(part.fields, "text", part.at)
        return {"type": "text", "text": text} if text.strip() else None
    if part.kind == "image_url":
        return _image(part, losses)
    if part.kind == "file":
        return _document(part)
    found = "audio" if part.kind == "input_audio" else "video"
    raise unsupported_content(f"{part.at}.type", f"the handler's API takes no {found}")


def _image(part: Part, losses: Losses) -> Json:
    image = image_of(part)
    if image.detail not in (None, "auto"):
        losses.add(f"{part.at}.image_url.detail", "dropped", "the handler's API has no such choice")
    if image.inline is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    media_type = "image/jpeg" if image.inline.media_type == "image/jpg" else image.inline.media_type
    if media_type not in _IMAGES:
        raise unsupported_content(
            f"{part.at}.image_url.url", f"the handler's API takes jpeg, png, gif and webp, not {media_type[:40]}"
        )
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.inline.data}}


def _document(part: Part) -> Json:
    at = f"{part.at}.file"
    held = want_object(part.fields.get("file"), at)
    if held.get("file_id") is not None:
        raise unsupported_content(f"{at}.file_id", "the handler keeps its own files; send 'file_data'")
    inline = file_data_of(held, at)
    if inline is None:
        raise missing(f"{at}.file_data")
    made: Json = {"type": "document", "source": _source(inline, held, f"{at}.file_data")}
    if held.get("filename") is not None:
        made["title"] = want_text(held, "filename", at)
    return made


def _source(inline: Inline, held: Json, at: str) -> Json:
    kind = inline.media_type or _guess(inline.data, str(held.get("filename") or "").lower())
    if kind == _PDF:
        return {"type": "base64", "media_type": kind, "data": inline.data}
    if kind != "text/plain":
        raise unsupported_content(at, f"the handler's API takes PDF and plain text, not {kind[:40] or 'this file'}")
    try:
        text = binascii.a2b_base64(inline.data).decode()
    except UnicodeDecodeError as exc:
        raise wrong_value(at, "the text is not UTF-8") from exc
    return {"type": "text", "media_type": kind, "data": text}


def _guess(data: str, filename: str) -> str:
    """The media type of bare base64, by its first bytes or its name; empty where neither tells."""
    if data.startswith(_PDF_MAGIC):
        return _PDF
    return "text/plain" if filename.endswith((".txt", ".md")) else ""
