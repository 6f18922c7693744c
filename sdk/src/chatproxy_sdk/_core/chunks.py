"""The chunks of a streamed chat completion, and the completion they add up to.

Rule: no I/O and no await here.
Source: OpenAI API reference, "Chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from chatproxy_sdk._core import leniency
from chatproxy_sdk._core.faults import Fault, FaultError, Kind, event_fault
from chatproxy_sdk._core.sse import EventDecoder

DONE = b"[DONE]"


class FunctionPart(msgspec.Struct, gc=False):
    """A piece of a called function: its name comes once, its arguments in parts."""

    name: str | None = None
    arguments: str | None = None


class ToolCallPart(msgspec.Struct, gc=False):
    """A piece of a tool call; pieces with the same index are one call."""

    index: int = 0
    id: str | None = None
    type: str | None = None
    function: FunctionPart | None = None


class Delta(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """What a chunk adds to a message.

    One with other fields is decoded once more, and slower; so that those that are null stay cheap they are named here.

    Attributes:
        unknown: other fields that say something.
    """

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallPart] | None = None
    function_call: None = None
    audio: None = None
    reasoning: None = None
    annotations: None = None
    unknown: dict[str, Any] | None = msgspec.field(default=None, name=leniency.UNKNOWN)


class ChunkChoice(msgspec.Struct, gc=False):
    """What a chunk adds to one choice."""

    index: int = 0
    delta: Delta | None = None
    finish_reason: str | None = None


class Chunk(msgspec.Struct, gc=False):
    """One event of a streamed completion."""

    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    service_tier: str | None = None
    choices: list[ChunkChoice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None

    @property
    def text(self) -> str:
        """What it adds to the text of the first choice."""
        for choice in self.choices or ():
            if choice.index == 0 and choice.delta is not None:
                return choice.delta.content or ""
        return ""

    @property
    def has_content(self) -> bool:
        """Whether it adds anything that a person or a tool would see."""
        deltas = (choice.delta for choice in self.choices or () if choice.delta is not None)
        return any(
            delta.content or delta.tool_calls or delta.refusal or delta.reasoning_content or delta.unknown
            for delta in deltas
        )


_decode = msgspec.json.Decoder(Chunk).decode


class ChunkReader:
    """Turns the bytes of a stream into chunks, and tells a whole stream from one that was cut.

    Attributes:
        is_done: the end came (``[DONE]``); what follows is not read.
    """

    def __init__(self, *, max_event_bytes: int, request_id: str | None) -> None:
        self.is_done = False
        self._events = EventDecoder(max_event_bytes)
        self._request_id = request_id
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._halves: dict[int, str] = {}

    @property
    def is_finished(self) -> bool:
        """Whether every choice that has begun gave a reason for finishing: what is still to come is no text."""
        return bool(self._finished) and self._finished >= self._begun

    def feed(self, data: bytes) -> tuple[list[Chunk], FaultError | None]:
        """The chunks that end in these bytes, and what is wrong with the event after them.

        An event may be an error, be unreadable or too long; nothing is to be fed after it.
        """
        chunks: list[Chunk] = []
        try:
            for event in self._events.feed(data):
                if event[:6] == DONE:
                    self.is_done = True
                    break
                chunks.append(self._chunk(event))
        except FaultError as exc:
            return chunks, exc
        return chunks, None

    def end(self) -> list[Chunk]:
        """To be called when the bytes end: the chunk of a last event that no blank line follows, if it is whole.

        A server that leaves out ``[DONE]`` is believed if it gave a reason for finishing.

        Raises:
            FaultError: the stream was cut, or that event is an error.
        """
        chunks, error = self.feed(b"\n\n")
        if error is not None and error.fault.kind is Kind.STREAM:
            raise error
        if not self.is_done and not self.is_finished:
            message = "the stream ended before the answer was whole"
            raise FaultError(Fault(kind=Kind.CONNECTION, message=message, request_id=self._request_id))
        return chunks

    def _chunk(self, event: bytes) -> Chunk:
        try:
            chunk = _decode(event)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as exc:
            chunk = self._odd_chunk(event, exc)
        if chunk.choices is None or (chunk.choices and chunk.choices[0].delta is None):
            chunk = self._odd_chunk(event, None)
        if chunk.error:
            raise FaultError(event_fault(chunk.error, self._request_id))
        for choice in chunk.choices or ():
            self._begun.add(choice.index)
            if choice.finish_reason:
                self._finished.add(choice.index)
        return chunk

    def _odd_chunk(self, event: bytes, reason: Exception | None) -> Chunk:
        """A chunk that is not written as OpenAI's are."""
        if not event.strip():
            return Chunk()
        try:
            found = leniency.sound_chunk(leniency.decoded(event))
            self._join_halves(found["choices"] or ())
            return msgspec.convert(leniency.writable(found), Chunk)
        except (ValueError, OverflowError, RecursionError) as exc:
            raise FaultError(self._unreadable(event, reason or exc)) from (reason or exc)

    def _join_halves(self, choices: Iterable[dict[str, Any]]) -> None:
        """Put together a character that was cut between two events, as servers in JavaScript may do."""
        for choice in choices:
            delta, index = choice["delta"] or {}, choice["index"]
            if text := delta.get("content"):
                text = self._halves.pop(index, "") + text
                if "\ud800" <= text[-1] <= "\udbff":
                    text, self._halves[index] = text[:-1], text[-1]
                delta["content"] = text

    def _unreadable(self, event: bytes, exc: Exception) -> Fault:
        return Fault(
            kind=Kind.ANSWER,
            message=f"an event of the stream cannot be read: {exc}",
            request_id=self._request_id,
            body=event[:2_000].decode(errors="replace"),
        )


def whole_chunk(body: bytes) -> Chunk | None:
    """The one chunk that a whole completion comes to; None where a body is none."""
    try:
        found = leniency.sound_chunk(leniency.writable(leniency.decoded(body)))
        chunk = msgspec.convert(found, Chunk)
    except (ValueError, OverflowError, RecursionError):
        return None
    return chunk if chunk.choices and all(choice.delta is not None for choice in chunk.choices) else None
