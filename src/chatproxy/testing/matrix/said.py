"""What a model says and a client hears, in no surface's own form."""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from chatproxy.sse import FrameSplitter, frame_data, frame_event
from chatproxy.testing.replies import Scripted, raw_reply

Json = dict[str, Any]
_encode = msgspec.json.encode


class Said(msgspec.Struct, kw_only=True, frozen=True):
    """One turn of a model.

    Attributes:
        calls: tool calls, each (name, arguments as JSON text).
        usage: (prompt, completion) in tokens.
    """

    content: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    usage: tuple[int, int] = (9, 12)

    def pieces(self, text: str) -> list[str]:
        """A text as a stream brings it: word by word, each with the blank behind it."""
        return [piece for piece in re.split(r"(?<= )", text) if piece]


class Heard(msgspec.Struct, kw_only=True):
    """What a client has heard.

    Attributes:
        status: HTTP status.
        error: code and message of the error that was answered, or that ended the stream.
        is_complete: the answer ended as its surface's answers do.
        whole: on a stream whose events say texts again as a whole: content, reasoning and arguments by those.
        finish: the surface's own word for why the answer ended.
    """

    status: int = 200
    content: str = ""
    reasoning: str = ""
    calls: list[tuple[str, str]] = msgspec.field(default_factory=list)
    usage: tuple[int, int] | None = None
    finish: str | None = None
    error: tuple[str, str] | None = None
    is_complete: bool = False
    whole: Heard | None = None


class Dialect(Protocol):
    """One surface's own form of questions and answers."""

    surface: str
    path: str
    has_calls: bool
    has_reasoning: bool

    def question(self, text: str, *, earlier: Said | None, result: str | None) -> Json:
        """A request body: the text, after an earlier turn of the model and the result of its first tool call."""

    def answer(self, said: Said) -> Json:
        """A buffered reply."""

    def events(self, said: Said) -> list[Json | str]:
        """A stream's events; ``[DONE]`` where the surface ends its streams so."""

    def hear(self, body: Json) -> Heard:
        """Read a buffered reply."""

    def hear_events(self, events: list[Json | str]) -> Heard:
        """Read a stream."""

    def tool_names(self, body: Json) -> list[str]:
        """The names of the tools that a request offers."""


def scripted(dialect: Dialect, said: Said, *, is_streamed: bool) -> Scripted:
    """The answer of an upstream that speaks this dialect."""
    if not is_streamed:
        return raw_reply(_encode(dialect.answer(said)))
    return raw_reply(*[_frame(event) for event in dialect.events(said)], content_type="text/event-stream")


def events_in(body: bytes) -> list[Json | str]:
    """A stream's events; one whose name differs from its ``type`` is not what any surface sends.

    Raises:
        AssertionError: such an event.
    """
    splitter = FrameSplitter()
    frames = splitter.feed(body)
    last = splitter.flush()
    found: list[Json | str] = []
    for frame in [*frames, last] if last is not None else frames:
        data, name = frame_data(frame), frame_event(frame)
        if data is None:
            continue
        event = "[DONE]" if data == b"[DONE]" else msgspec.json.decode(data)
        if isinstance(event, dict) and name != event.get("type", "message"):
            raise AssertionError(f"an event of type {event.get('type')!r} is named {name!r}")
        found.append(event)
    return found


def error_in(body: Json) -> tuple[str, str] | None:
    """Code (or type) and message of an error, in any surface's envelope."""
    error = body.get("error")
    if not isinstance(error, dict):
        return None
    return str(error.get("code") or error.get("type")), str(error.get("message"))


def _frame(event: Json | str) -> bytes:
    if isinstance(event, str):
        return b"data: " + event.encode() + b"\n\n"
    name = b"event: " + event["type"].encode() + b"\n" if "type" in event else b""
    return name + b"data: " + _encode(event) + b"\n\n"
