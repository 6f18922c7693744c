"""The JSON of agentapi, read leniently: unknown fields and events may come, what we use must be right.

Source: coder/agentapi v0.11.6, ``openapi.json``.
"""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from chatproxy_agents.sse import SseEvent

T = TypeVar("T")
Status = Literal["running", "stable"]
Role = Literal["agent", "user"]


class Message(msgspec.Struct, frozen=True):
    """An entry of ``GET /messages``."""

    id: int
    role: Role
    content: str


class Messages(msgspec.Struct, frozen=True):
    """The answer to ``GET /messages``."""

    messages: list[Message]


class MessageUpdate(msgspec.Struct, frozen=True):
    """The event ``message_update``: a message as it is now, whole."""

    id: int
    role: Role
    message: str


class StatusReport(msgspec.Struct, frozen=True):
    """The answer to ``GET /status``, and the event ``status_change``."""

    status: Status
    agent_type: str = ""


class Sent(msgspec.Struct, frozen=True):
    """The answer to ``POST /message``."""

    ok: bool


class Uploaded(msgspec.Struct, frozen=True, rename={"path": "filePath"}):
    """The answer to ``POST /upload``."""

    ok: bool
    path: str


class Problem(msgspec.Struct, frozen=True):
    """An error answer (RFC 9457), as far as it is read."""

    title: str = ""
    detail: str = ""
    errors: list[ProblemDetail] | None = None

    def __str__(self) -> str:
        parts = [self.detail or self.title, *(part.message for part in self.errors or ())]
        return ": ".join(part for part in parts if part)


class ProblemDetail(msgspec.Struct, frozen=True):
    """One of its causes."""

    message: str = ""


def decode(data: bytes | str, kind: type[T]) -> T:
    """Read JSON.

    Raises:
        ValueError: no JSON, or not of this form; the message says where.
    """
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ValueError(str(exc)) from exc


def problem_of(data: bytes) -> str:
    """What an error answer says; empty where it cannot be read."""
    try:
        return str(decode(data, Problem))
    except ValueError:
        return ""


def event_of(event: SseEvent) -> MessageUpdate | StatusReport | None:
    """What an event says; None for those of other kinds.

    Raises:
        ValueError: its data is wrong.
    """
    if event.name == "message_update":
        return decode(event.data, MessageUpdate)
    if event.name == "status_change":
        return decode(event.data, StatusReport)
    return None
