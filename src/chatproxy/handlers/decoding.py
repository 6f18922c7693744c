"""Undo a content coding nobody asked for, in bounded memory.

The gateway asks upstreams for ``identity``; some answer gzip all the same.
"""

from __future__ import annotations

import zlib
from typing import Protocol

from chatproxy.errors import UpstreamError

_PIECE_BYTES = 1 << 16
_WBITS = {"gzip": 31, "x-gzip": 31, "deflate": 15}


class Decoder(Protocol):
    """Turns the bytes on the wire into the body."""

    def decode(self, data: bytes) -> bytes:
        """The next bytes of the body."""

    def finish(self) -> None:
        """Raises `UpstreamError` where the coded body is cut short."""


class Identity:
    """No content coding."""

    def decode(self, data: bytes) -> bytes:
        """The same bytes."""
        return data

    def finish(self) -> None:
        """Nothing can be missing."""


class Inflate:
    """gzip and deflate, refusing to grow over a limit.

    Args:
        max_bytes: of the decoded body.
    """

    def __init__(self, coding: str, max_bytes: int) -> None:
        self._inflate = zlib.decompressobj(_WBITS[coding])
        self._left = max_bytes

    def decode(self, data: bytes) -> bytes:
        """The decoded bytes.

        Raises:
            UpstreamError: not this coding, or over the limit (502).
        """
        pieces = []
        try:
            while data:
                piece = self._inflate.decompress(data, _PIECE_BYTES)
                self._left -= len(piece)
                if self._left < 0:
                    raise too_large()
                pieces.append(piece)
                data = self._inflate.unconsumed_tail
        except zlib.error as exc:
            raise UpstreamError("The upstream's compressed body is broken.", code="upstream_invalid_encoding") from exc
        return b"".join(pieces)

    def finish(self) -> None:
        """Check the end of the coded body."""
        if not self._inflate.eof:
            raise UpstreamError("The upstream's compressed body was cut short.", code="upstream_invalid_encoding")


def decoder_for(coding: str, max_bytes: int) -> Decoder:
    """The decoder for a ``content-encoding``; raises `UpstreamError` for one that is not supported (502)."""
    coding = coding.strip().lower()
    if coding in {"", "identity"}:
        return Identity()
    if coding in _WBITS:
        return Inflate(coding, max_bytes)
    raise UpstreamError(f"The upstream sent content coding {coding[:40]!r}.", code="upstream_invalid_encoding")


def too_large() -> UpstreamError:
    """The upstream's body is over ``max_response_bytes`` (502)."""
    return UpstreamError("The upstream's body is larger than allowed.", code="upstream_too_large")
