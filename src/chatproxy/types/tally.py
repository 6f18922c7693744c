"""Tally: what one stream has said so far; each surface reads its own events into it.

Rule: every event of every stream passes here, so a tally looks by a typed peek and decodes nothing it does not need.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar, Protocol

import msgspec

from chatproxy.errors import UpstreamError
from chatproxy.types.usage import Usage

_decode = msgspec.json.Decoder().decode
_HALF = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")
_ESCAPE = re.compile(rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)", re.DOTALL)


class Tally(Protocol):
    """Counts of one stream.

    Attributes:
        usage: the last token counts the stream carried.
        finish_reasons: why generation stopped, in chat's words, one for each choice.
        characters: of the text seen, for an estimate.
        is_over: the event that ends a stream of this surface has come; nothing after it counts.
        may_end: the connection may close now: the answer is whole.
        done_is_end: ``[DONE]`` ends a stream by itself; where it does not, it is ignored.
    """

    done_is_end: ClassVar[bool]

    usage: Usage | None
    finish_reasons: list[str]
    characters: int
    is_over: bool

    @property
    def may_end(self) -> bool:
        """Whether the answer is whole."""

    def add(self, data: bytes) -> bool:
        """Look at one event's data; whether there is more to it than token counts.

        Raises:
            UpstreamError: the event is the upstream's error, or no JSON object (code ``upstream_invalid_json``).
        """


def stream_error(error: Any) -> UpstreamError:
    """The error that an upstream sent as an event of its stream, whatever its shape."""
    message, code = "The upstream failed in mid-stream.", "upstream_error"
    if isinstance(error, dict):
        message = error["message"] if isinstance(error.get("message"), str) else message
        code = next((error[key] for key in ("code", "type") if isinstance(error.get(key), str)), code)
    elif isinstance(error, str):
        message = error
    return UpstreamError(message[:1000], code=code[:100])


def _decoded(data: bytes) -> Any:
    """JSON, also where an emoji was cut between two events: half of it is read as U+FFFD."""
    try:
        return _decode(data)
    except msgspec.DecodeError:
        mended = _ESCAPE.sub(_without_halves, data)
        if mended == data:
            raise
        return _decode(mended)


def _without_halves(escape: re.Match[bytes]) -> bytes:
    return rb"\ufffd" if _HALF.fullmatch(escape[0]) else escape[0]


def decode_event(data: bytes) -> dict[str, Any]:
    """Decode what an event carries.

    Raises:
        UpstreamError: not a JSON object (502, code ``upstream_invalid_json``).
    """
    try:
        value = _decoded(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError) as exc:
        raise UpstreamError("The upstream sent an event that is not valid JSON.", code="upstream_invalid_json") from exc
    if not isinstance(value, dict):
        raise UpstreamError("The upstream sent an event that is no JSON object.", code="upstream_invalid_json")
    return value
