"""A chat client's content parts as the blocks of a Messages turn.

Source: Anthropic API reference, blocks ``text``, ``image`` and ``document``.
"""

from __future__ import annotations

import binascii

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_MESSAGES, Json, Losses
from chatproxy.translation.chat.conversation import Part, file_of, image_of, record_rest
from chatproxy.translation.media import Inline

_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_PDF = "application/pdf"
# What base64 of "%PDF-" begins with.
_PDF_MAGIC = "JVBERi"


def text_blocks(text: str) -> list[Json]:
    """A text as blocks; none for white space, which the API refuses."""
    return [{"type": "text", "text": text}] if text.strip() else []


def marked(blocks: list[Json], holder: Json) -> list[Json]:
    """The blocks, the last of them with the cache mark that some chat clients set on messages and parts."""
    if holder.get("cache_control") is not None and blocks:
        return [*blocks[:-1], {**blocks[-1], "cache_control": holder["cache_control"]}]
    return blocks


def blocks_of(parts: list[Part], losses: Losses) -> list[Json]:
    """The blocks for a message's parts."""
    blocks: list[Json] = []
    for part in parts:
        record_rest(part, "cache_control", losses, NOT_ON_MESSAGES)
        blocks += marked(_blocks_of(part, losses), part.fields)
    return blocks


def _blocks_of(part: Part, losses: Losses) -> list[Json]:
    if part.kind == "text":
        return text_blocks(checks.want_text(part.fields, "text", part.at))
    if part.kind == "image_url":
        return [_image(part, losses)]
    if part.kind == "file":
        return [_document(part)]
    found = "audio" if part.kind == "input_audio" else "video"
    raise checks.unsupported_content(f"{part.at}.type", f"the handler's API takes no {found}")


def _image(part: Part, losses: Losses) -> Json:
    image = image_of(part)
    if image.detail not in ("", "auto"):
        losses.add(f"{part.at}.image_url.detail", "dropped", NOT_ON_MESSAGES)
    if image.inline is None:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    media_type = "image/jpeg" if image.inline.media_type == "image/jpg" else image.inline.media_type
    if media_type not in _IMAGES:
        why = f"the handler's API takes jpeg, png, gif and webp, not {media_type[:40]}"
        raise checks.unsupported_content(f"{part.at}.image_url.url", why)
    return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": image.inline.data}}


def _document(part: Part) -> Json:
    held, inline = file_of(part)
    if inline is None:
        raise checks.unsupported_content(f"{part.at}.file.file_id", "the handler keeps its own files; send 'file_data'")
    made: Json = {"type": "document", "source": _source(inline, held, f"{part.at}.file.file_data")}
    if "filename" in held:
        made["title"] = held["filename"]
    return made


def _source(inline: Inline, held: Json, at: str) -> Json:
    kind = inline.media_type or _guess(inline.data, held.get("filename", "").lower())
    if kind == _PDF:
        return {"type": "base64", "media_type": kind, "data": inline.data}
    if kind != "text/plain":
        raise checks.unsupported_content(
            at, f"the handler's API takes PDF and plain text, not {kind[:40] or 'this file'}"
        )
    try:
        text = binascii.a2b_base64(inline.data).decode()
    except UnicodeDecodeError as exc:
        raise checks.wrong_value(at, "the text is not UTF-8") from exc
    return {"type": "text", "media_type": kind, "data": text}


def _guess(data: str, filename: str) -> str:
    """The media type of bare base64, by its first bytes or its name; empty where neither tells."""
    if data.startswith(_PDF_MAGIC):
        return _PDF
    return "text/plain" if filename.endswith((".txt", ".md")) else ""
