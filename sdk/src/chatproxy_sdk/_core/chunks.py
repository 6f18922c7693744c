"""The chunks of a streamed chat completion, and the completion they add up to.

Rule: no I/O and no await here.
Source: OpenAI API reference, "Chat completion chunk object".
"""

from __future__ import annotations

from typing import Any

import msgspec

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


class Delta(msgspec.Struct, gc=False):
    """What a chunk adds to a message."""

    role: str | None = None
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallPart] | None = None


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
        return any(delta.content or delta.tool_calls or delta.refusal or delta.reasoning_content for delta in deltas)


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
        self._finished = False

    def feed(self, data: bytes) -> tuple[list[Chunk], FaultError | None]:
        """The chunks that end in these bytes, and what is wrong with the event after them.

        An event may be an error, be unreadable or too long; nothing is to be fed after it.
        """
        chunks: list[Chunk] = []
        try:
            for event in self._events.feed(data):
                if event == DONE:
                    self.is_done = True
                    break
                chunks.append(self._chunk(event))
        except FaultError as exc:
            return chunks, exc
        return chunks, None

    def check_end(self) -> None:
        """To be called when the bytes end.

        A server that leaves out ``[DONE]`` is believed if it gave a reason for finishing.

        Raises:
            FaultError: the stream was cut.
        """
        if not self.is_done and not self._finished:
            message = "the stream ended before the answer was whole"
            raise FaultError(Fault(kind=Kind.CONNECTION, message=message, request_id=self._request_id))

    def _chunk(self, event: bytes) -> Chunk:
        try:
            chunk = _decode(event)
        except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeDecodeError) as exc:
            raise FaultError(self._unreadable(event, exc)) from exc
        if chunk.error is not None:
            raise FaultError(event_fault(chunk.error, self._request_id))
        for choice in chunk.choices or ():
            if choice.finish_reason:
                self._finished = True
        return chunk

    def _unreadable(self, event: bytes, exc: Exception) -> Fault:
        return Fault(
            kind=Kind.ANSWER,
            message=f"an event of the stream cannot be read: {exc}",
            request_id=self._request_id,
            body=event[:2_000].decode(errors="replace"),
        )
