"""Results: what a tool answered, as the content of a ``tool`` message.

Rule: no I/O and no await. What comes out are texts that JSON can carry and media that models take, whatever the server
sent; the rest is named in a note, so that the model knows that there was something.
Source: MCP 2025-11-25, "Tool Result"; OpenAI API reference, content parts ``text``, ``image_url``, ``input_audio``.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from chatproxy.types import ToolResult
from chatproxy_mcp.calling.fitting import Media, Part, Piece, fitted
from chatproxy_mcp.calling.structured import added_text
from chatproxy_mcp.calling.texts import cleaned, short

if TYPE_CHECKING:
    from mcp_types import AudioContent, BlobResourceContents, CallToolResult, ResourceLink

EMPTY = "(no output)"
# The images that OpenAI's and Anthropic's models take, and how their files begin; any other is an error of the request.
_IMAGES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8", "image/webp": b"RIFF"}
_AUDIO = {
    "audio/wav": "wav", "audio/x-wav": "wav", "audio/wave": "wav", "audio/vnd.wave": "wav",
    "audio/mpeg": "mp3", "audio/mp3": "mp3",
}  # fmt: skip


def as_result(answer: CallToolResult, limit: int, *, takes_audio: bool) -> ToolResult:
    """Map a server's answer: one text where there is only text, else content parts.

    Args:
        limit: bytes of all text in UTF-8 and all media in base64, 1024 or more. Text over it is cut off with a mark,
            media are replaced by a note.
        takes_audio: whether the surface has content parts for sound.
    """
    pieces = [_piece(block, limit, takes_audio=takes_audio) for block in answer.content]
    if answer.structured_content is not None:
        texts = [block.text for block in answer.content if block.type == "text"]
        pieces.extend(added_text(answer.structured_content, texts, limit))
    return ToolResult(content=fitted(pieces, limit) or EMPTY, is_error=answer.is_error)


def as_text(content: str | list[Part]) -> str:
    """A tool message's content as plain text; parts that are none are named."""
    return content if isinstance(content, str) else "\n".join(_told(part) for part in content)


def _told(part: Part) -> str:
    text, image = part.get("text"), part.get("image_url")
    if isinstance(text, str):
        return text
    url = image.get("url") if isinstance(image, dict) else None
    if isinstance(url, str) and url.startswith("data:"):
        return f"[image: {short(url[5:].partition(';')[0])}]"
    return f"[{short(str(part.get('type', 'content')))}]"


def _piece(block: Any, limit: int, *, takes_audio: bool) -> Piece:
    match block.type:
        case "text":
            return cleaned(block.text)
        case "image":
            return _image(block.data, _essence(block.mime_type), "image", limit)
        case "audio":
            return _audio(block, limit, takes_audio=takes_audio)
        case "resource_link":
            return _link(block)
        case "resource":
            resource = block.resource
            text = getattr(resource, "text", None)
            uri = short(resource.uri)
            return _blob(resource, uri, limit) if text is None else f"[resource: {uri}]\n{cleaned(text)}"
        case other:
            return f"[content of an unknown type: {short(str(other))}]"


def _image(data: str, said: str, name: str, limit: int) -> Piece:
    note = f"[{name} left out: {said}, {_bytes_of(data)} bytes, "
    if len(data) > limit:
        return f"{note}over the size limit]"
    data, file = _decoded(data)
    if not file:
        return f"{note}not valid base64]"
    # A model refuses an image whose file is of another type than it is said to be.
    kind = next((known for known, beginning in _IMAGES.items() if file.startswith(beginning)), said)
    if kind not in _IMAGES:
        return f"{note}no type that models take]"
    part = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    return Media(part, len(data), f"{note}over the size limit]")


def _audio(block: AudioContent, limit: int, *, takes_audio: bool) -> Piece:
    said = _essence(block.mime_type)
    note = f"[audio left out: {said}, {_bytes_of(block.data)} bytes, "
    form = _AUDIO.get(said) if takes_audio else None
    if form is None:
        return f"{note}no type that models take]"
    if len(block.data) > limit:
        return f"{note}over the size limit]"
    data, file = _decoded(block.data)
    if not file:
        return f"{note}not valid base64]"
    part = {"type": "input_audio", "input_audio": {"data": data, "format": form}}
    return Media(part, len(data), f"{note}over the size limit]")


def _link(block: ResourceLink) -> str:
    kind = f" ({_essence(block.mime_type)})" if block.mime_type else ""
    return f"[resource: {short(block.name)} <{short(block.uri)}>{kind}]"


def _blob(resource: BlobResourceContents, uri: str, limit: int) -> Piece:
    said = _essence(resource.mime_type or "application/octet-stream")
    if said.startswith("image/"):
        return _image(resource.blob, said, f"resource {uri}", limit)
    return f"[resource: {uri}, {said}, {_bytes_of(resource.blob)} bytes, not shown]"


def _essence(mime_type: str) -> str:
    """A media type without its parameters, in small letters."""
    return short(mime_type.partition(";")[0].strip().lower())


def _bytes_of(data: str) -> int:
    """How many bytes base64 stands for, near enough for a note."""
    return len(data) * 3 // 4 - data[-2:].count("=")


def _decoded(data: str) -> tuple[str, bytes]:
    """Base64 without white space, and the file that it stands for; no bytes where it is not valid."""
    data = "".join(data.split())
    try:
        return data, binascii.a2b_base64(data, strict_mode=True)
    except ValueError:
        return data, b""
