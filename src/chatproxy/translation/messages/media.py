"""Images, documents and search results of a Messages request, as parts of a chat message.

Source: Anthropic API reference, ``ImageBlockParam``, ``DocumentBlockParam``, ``SearchResultBlockParam``; OpenAI API
reference, "Create chat completion", content parts.
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.media import MOST_IMAGE_BYTES, check_base64, is_on_web

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
    losses.add_rest(block, _TEXT_KEYS, at, NOT_ON_CHAT)
    return checks.want_text(block, "text", at)


def parts_of(kind: str, block: Json, at: str, losses: Losses) -> list[Json]:
    """The content parts for a block that a user, or a tool, may give: one of `USER_KINDS`."""
    if kind == "text":
        return [text_part(block_text(block, at, losses))]
    if kind == "image":
        return [_image(block, at, losses)]
    if kind == "document":
        return _document(block, at, losses)
    return [text_part(_search_result(block, at, losses))]


USER_KINDS = ("text", "image", "document", "search_result")


def _image(block: Json, at: str, losses: Losses) -> Json:
    losses.add_rest(block, _IMAGE_KEYS, at, NOT_ON_CHAT)
    kind, source, at = _source(block, ("base64", "url"), at)
    if kind == "base64":
        media_type = checks.want_word(source, "media_type", _IMAGE_TYPES, at)
        data = checks.want_text(source, "data", at)
        check_base64(data, f"{at}.data", most_bytes=MOST_IMAGE_BYTES)
        url = f"data:{media_type};base64,{data}"
    else:
        url = checks.want_text(source, "url", at)
        if not is_on_web(url):
            raise checks.wrong_value(f"{at}.url", f"expected an http(s) address, found {url[:40]!r}")
    return {"type": "image_url", "image_url": {"url": url}}


def _document(block: Json, at: str, losses: Losses) -> list[Json]:
    """A document as a ``file`` part (PDF) or as texts; title and context come first."""
    losses.add_rest(block, _DOCUMENT_KEYS, at, NOT_ON_CHAT)
    _record_citations(block, at, losses)
    title, context = checks.optional_text(block, "title", at), checks.optional_text(block, "context", at)
    kind, source, source_at = _source(block, ("base64", "text", "content"), at)
    if kind == "base64":
        media_type = checks.want_word(source, "media_type", ("application/pdf",), source_at)
        data = checks.want_text(source, "data", source_at)
        check_base64(data, f"{source_at}.data")
        file = {"filename": title or "document.pdf", "file_data": f"data:{media_type};base64,{data}"}
        return [*_texts(context), {"type": "file", "file": file}]
    losses.add(at, "changed", "chat takes such a document as text")
    if kind == "text":
        data = checks.want_text(source, "data", source_at)
        return _texts("\n\n".join(text for text in (title, context, data) if text))
    return [*_texts(title), *_texts(context), *_inner_parts(source.get("content"), f"{source_at}.content", losses)]


def _search_result(block: Json, at: str, losses: Losses) -> str:
    """A search result as one text: title, source, then what was found."""
    losses.add_rest(block, _SEARCH_KEYS, at, NOT_ON_CHAT)
    _record_citations(block, at, losses)
    losses.add(at, "changed", "chat takes a search result as text")
    texts = [checks.want_text(block, "title", at), checks.want_text(block, "source", at)]
    for inner, where in checks.want_objects(block.get("content"), f"{at}.content"):
        checks.want_word(inner, "type", ("text",), where)
        texts.append(block_text(inner, where, losses))
    return "\n".join(texts)


def _source(block: Json, kinds: tuple[str, ...], at: str) -> tuple[str, Json, str]:
    """A block's source with its type and path."""
    at = f"{at}.source"
    source = checks.want_object(block.get("source"), at)
    if source.get("type") in ("file", "url") and source["type"] not in kinds:
        found = "file id" if source["type"] == "file" else "document URL"
        raise checks.unsupported_content(f"{at}.type", f"send the bytes as base64 instead of a {found}")
    return checks.want_word(source, "type", kinds, at), source, at


def _inner_parts(value: Any, at: str, losses: Losses) -> list[Json]:
    content = checks.want_content(value, at)
    if isinstance(content, str):
        return _texts(content)
    parts: list[Json] = []
    for block, where in checks.want_objects(content, at):
        parts += parts_of(checks.want_word(block, "type", ("text", "image"), where), block, where, losses)
    return parts


def _texts(text: str) -> list[Json]:
    return [text_part(text)] if text else []


def _record_citations(block: Json, at: str, losses: Losses) -> None:
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        losses.add(f"{at}.citations", "dropped", "a chat model does not cite")
