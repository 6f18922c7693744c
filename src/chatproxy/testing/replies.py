"""What a scripted upstream answers: replies, streams, and the ways in which they fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from chatproxy.handlers.base import choice, chunk, completion, delta, message, usage_object
from chatproxy.sse import DONE, encode_frame

_encode = msgspec.json.encode


class Fault(StrEnum):
    """How a scripted upstream fails."""

    REFUSE = "refuse"
    """No connection."""
    STALL_BEFORE = "stall_before"
    """Connected, and then nothing: the first byte never comes."""
    STALL = "stall"
    """Nothing more after the last part, and no end."""
    RESET = "reset"
    """The connection breaks after the last part."""
    TRUNCATE = "truncate"
    """An early end of the body, as if it were complete."""


class Scripted(msgspec.Struct, kw_only=True, frozen=True):
    """One answer of a scripted upstream.

    Attributes:
        parts: the body, cut as it goes over the wire.
        fault: happens after the last part; `Fault.REFUSE` and `Fault.STALL_BEFORE` instead of any.
    """

    parts: tuple[bytes, ...] = ()
    status: int = 200
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    fault: Fault | None = None


def reply(text: str = "Hello.", *, model: str = "scripted", usage: tuple[int, int] | None = (9, 12)) -> Scripted:
    """A buffered answer; ``usage`` is (prompt, completion) in tokens."""
    counts = None if usage is None else usage_object(*usage)
    return raw_reply(_encode(completion([choice(message(text))], model=model, usage=counts)))


def tool_calls_reply(*calls: tuple[str, str], model: str = "scripted") -> Scripted:
    """A buffered answer that calls tools; each call is (name, arguments as JSON text)."""
    made = [
        {"id": f"call_{i}", "type": "function", "function": {"name": name, "arguments": arguments}}
        for i, (name, arguments) in enumerate(calls)
    ]
    said = choice(message(None, tool_calls=made), finish_reason="tool_calls")
    return raw_reply(_encode(completion([said], model=model, usage=usage_object(9, 12))))


def stream_reply(
    texts: Sequence[str | Mapping[str, Any]] = ("Hel", "lo."),
    *,
    model: str = "scripted",
    usage: tuple[int, int] | None = (9, 12),
    finish_reason: str | None = "stop",
    done: bool = True,
    fault: Fault | None = None,
) -> Scripted:
    """A streamed answer, an event for each text; a mapping is sent as the event itself.

    Args:
        usage: (prompt, completion) in tokens, sent as the last event; None sends none.
        finish_reason: None leaves the stream unfinished.
    """
    shared: dict[str, Any] = {"model": model, "completion_id": "chatcmpl-scripted", "created": 1_700_000_000}
    events = [chunk([delta({"role": "assistant", "content": ""})], **shared)]
    events += [chunk(text, **shared) if isinstance(text, str) else dict(text) for text in texts]
    if finish_reason is not None:
        events.append(chunk([delta({}, finish_reason=finish_reason)], **shared))
    if usage is not None and finish_reason is not None:
        events.append(chunk(usage=usage_object(*usage), **shared))
    parts = [encode_frame(_encode(event)) for event in events]
    if done and finish_reason is not None:
        parts.append(DONE)
    return raw_reply(*parts, content_type="text/event-stream", fault=fault)


def error_reply(
    status: int,
    message: str = "scripted failure",
    *,
    code: str | None = "scripted",
    headers: Mapping[str, str] | None = None,
) -> Scripted:
    """An error in OpenAI's envelope."""
    body = {"error": {"message": message, "type": "scripted", "param": None, "code": code}}
    return raw_reply(_encode(body), status=status, headers=headers)


def raw_reply(
    *parts: bytes,
    status: int = 200,
    content_type: str = "application/json",
    headers: Mapping[str, str] | None = None,
    fault: Fault | None = None,
) -> Scripted:
    """Any bytes, cut as given."""
    return Scripted(parts=parts, status=status, headers={"content-type": content_type, **(headers or {})}, fault=fault)
