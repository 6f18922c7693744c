"""Fitting: the pieces of a result in order, within a number of bytes.

Rule: what is left out is marked. Media come first come first served; text gets what they leave.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

Part = dict[str, Any]

# Room for the mark of text that is cut off.
_MARK_BYTES = 80


class Media:
    """A part that is no text.

    Attributes:
        size_bytes: of its base64.
        note: what stands in its place where there is no room.
    """

    __slots__ = ("note", "part", "size_bytes")

    def __init__(self, part: Part, size_bytes: int, note: str) -> None:
        self.part = part
        self.size_bytes = size_bytes
        self.note = note


Piece = str | Media


def fitted(pieces: list[Piece], limit: int) -> str | list[Part]:
    """The content of a message: one text, its pieces joined by line breaks, or parts where there are media.

    Args:
        limit: in bytes; the mark counts.
    """
    segments = _joined(_with_notes(pieces, limit))
    media_bytes = sum(_size(segment) for segment in segments if isinstance(segment, Media))
    text_bytes = sum(map(_size, segments)) - media_bytes
    if text_bytes + media_bytes > limit:
        segments = _cut(segments, limit - media_bytes - _MARK_BYTES, text_bytes)
    if len(segments) == 1 and isinstance(segments[0], str):
        return "" if _is_blank(segments[0]) else segments[0]
    return [
        segment.part if isinstance(segment, Media) else {"type": "text", "text": segment}
        for segment in segments
        # An empty text is an error of the request for some models.
        if isinstance(segment, Media) or not _is_blank(segment)
    ]


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _with_notes(pieces: list[Piece], limit: int) -> list[Piece]:
    """The pieces, with notes for the media that find no room behind what is before them."""
    used = _MARK_BYTES
    kept: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Media) and used + piece.size_bytes > limit:
            kept.append(piece.note)
        else:
            kept.append(piece)
        used += _size(kept[-1]) + 1
    return kept


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The pieces with texts that stand together as one."""
    joined: list[Piece] = []
    for is_text, group in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if is_text:
            joined.append("\n".join(piece for piece in group if isinstance(piece, str)))
        else:
            joined.extend(group)
    return joined


def _cut(segments: list[Piece], room: int, text_bytes: int) -> list[Piece]:
    """The segments with ``room`` bytes of text, cut between two characters, and a mark there."""
    kept: list[Piece] = []
    left, is_cut = room, False
    for segment in segments:
        if isinstance(segment, Media):
            kept.append(segment)
        elif not is_cut:
            encoded = segment.encode()
            text = encoded[:left].decode("utf-8", "ignore")
            left -= _size(text)
            is_cut = len(encoded) > len(text.encode())
            kept.append(f"{text}\n[truncated: {room - left} of {text_bytes} bytes]" if is_cut else text)
    return kept


def _size(piece: Piece) -> int:
    if isinstance(piece, Media):
        return piece.size_bytes
    return len(piece) if piece.isascii() else len(piece.encode())
