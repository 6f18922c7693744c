"""Images, documents and search results of a Messages request, as parts of a chat message.

Rule: nothing is fetched and nothing re-encoded; base64 is checked and passed on as it came.
Source: Anthropic API reference, ``ImageBlockParam``, ``DocumentBlockParam``, ``SearchResultBlockParam``; OpenAI API
reference, "Create chat completion", content parts.
"""

from __future__ import annotations

import binascii
from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.messages.checks import (
    missing,
    optional_text,
    record_rest,
    unsupported,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)

MOST_IMAGE_BYTES = 10_000_000

_IMAGE_TYPES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_TEXT_KEYS = frozenset({"type", "text"})
_IMAGE_KEYS = frozenset({"type", "source"})
_DOCUMENT_KEYS = frozenset({"type", "source", "title", "context", "citations"})
_SEARCH_KEYS = frozenset({"type", "source", "title", "content", "citations"})


def text_part(text: str) -> Json:
    """A text as a content part."""
    return {"type": "text", "text": text}


def block_text(block: Json, at: str, losses: Losses) -> str:
    """The text of a text block."""
    record_rest(block, _TEXT_KEYS, at, losses)
    return want_text(block, "text", at)


def image_part(block: Json, at: str, losses: Losses) -> Json:
    """An image block as an ``image_url`` part."""
    record_rest(block, _IMAGE_KEYS, at, losses)
    at = f"{at}.source"
    source = _source(block, at)
    kind = source.get("type")
    if kind == "base64":
        media_type = _one_of(source, "media_type", _IMAGE_TYPES, at)
        data = _base64(source, at, most_bytes=MOST_IMAGE_BYTES)
        return {"type": "image_url", "image_url": {"url": f"data:{media_type};base64,{data}"}}
    if kind == "url":
        url = want_text(source, "url", at)
        if not url.startswith(("https://", "http://")):
            raise wrong_value(f"{at}.url", f"must be an http or https address, found {url[:40]!r}.")
        return {"type": "image_url", "image_url": {"url": url}}
    raise _bad_source(kind, ("base64", "url"), at)


def document_parts(block: Json, at: str, losses: Losses) -> list[Json]:
    """A document block as a ``file`` part (PDF) or as texts; title and context come first."""
    record_rest(block, _DOCUMENT_KEYS, at, losses)
    _record_citations(block, at, losses)
    title, context = optional_text(block, "title", at), optional_text(block, "context", at)
    source_at = f"{at}.source"
    source = _source(block, source_at)
    kind = source.get("type")
    if kind == "base64":
        media_type = _one_of(source, "media_type", ("application/pdf",), source_at)
        data = _base64(source, source_at)
        file = {"filename": title or "document.pdf", "file_data": f"data:{media_type};base64,{data}"}
        return [*_texts(context), {"type": "file", "file": file}]
    if kind == "text":
        losses.add(at, "changed", "chat takes a text document as text")
        data = want_text(source, "data", source_at)
        return _texts("\n\n".join(text for text in (title, context, data) if text))
    if kind == "content":
        losses.add(at, "changed", "chat takes a document of blocks as its blocks")
        inner = source.get("content")
        return [*_texts(title), *_texts(context), *_inner_parts(inner, f"{source_at}.content", losses)]
    raise _bad_source(kind, ("base64", "text", "content"), source_at)


def search_result_text(block: Json, at: str, losses: Losses) -> str:
    """A search result as one text: title, source, then what was found."""
    record_rest(block, _SEARCH_KEYS, at, losses)
    _record_citations(block, at, losses)
    losses.add(at, "changed", "chat takes a search result as text")
    texts = [want_text(block, "title", at), want_text(block, "source", at)]
    found = want_list(block.get("content"), f"{at}.content")
    for i, entry in enumerate(found):
        where = f"{at}.content[{i}]"
        inner = want_object(entry, where)
        _one_of(inner, "type", ("text",), where)
        texts.append(block_text(inner, where, losses))
    return "\n".join(texts)


def _source(block: Json, at: str) -> Json:
    if block.get("source") is None:
        raise missing(at)
    return want_object(block["source"], at)


def _inner_parts(content: Any, at: str, losses: Losses) -> list[Json]:
    if isinstance(content, str):
        return _texts(content)
    if not isinstance(content, list):
        raise wrong_type(at, "a string or an array of blocks", content)
    parts: list[Json] = []
    for i, entry in enumerate(content):
        where = f"{at}[{i}]"
        block = want_object(entry, where)
        if _one_of(block, "type", ("text", "image"), where) == "image":
            parts.append(image_part(block, where, losses))
        else:
            parts.append(text_part(block_text(block, where, losses)))
    return parts


def _texts(text: str) -> list[Json]:
    return [text_part(text)] if text else []


def _record_citations(block: Json, at: str, losses: Losses) -> None:
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        losses.add(f"{at}.citations", "dropped", "a chat model does not cite")


def _one_of(holder: Json, key: str, allowed: tuple[str, ...], at: str) -> str:
    value = want_text(holder, key, at)
    if value not in allowed:
        raise wrong_value(f"{at}.{key}", f"must be one of {', '.join(allowed)}, found {value[:40]!r}.")
    return value


def _bad_source(kind: Any, allowed: tuple[str, ...], at: str) -> InvalidRequest:
    field = f"{at}.type"
    if kind in ("file", "url"):
        reason = f"send the bytes as base64 instead of a {'file id' if kind == 'file' else 'document URL'}"
        return unsupported(field, reason, code="unsupported_content")
    if not isinstance(kind, str):
        return missing(field) if kind is None else wrong_type(field, "a string", kind)
    return wrong_value(field, f"must be one of {', '.join(allowed)}, found {kind[:40]!r}.")


def _base64(source: Json, at: str, *, most_bytes: int | None = None) -> str:
    """The data under ``data``, checked; its size is known before it is decoded."""
    data, field = want_text(source, "data", at), f"{at}.data"
    size = len(data) * 3 // 4 - data.count("=", -2)
    if most_bytes is not None and size > most_bytes:
        raise wrong_value(field, f"is {size} bytes decoded, the most is {most_bytes}.")
    try:
        decoded = binascii.a2b_base64(data, strict_mode=True)
    except ValueError as exc:
        raise wrong_value(field, f"is not base64: {str(exc)[:80]}.") from exc
    if not decoded:
        raise wrong_value(field, "is empty, wanted base64.")
    return data
