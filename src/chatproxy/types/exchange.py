"""Exchange: the record of one request and its reply, filled by the engine, read by telemetry."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chatproxy.types.attempt import Attempt
from chatproxy.types.usage import Usage

Outcome = Literal["in_progress", "completed", "client_disconnected", "rejected", "failed"]


class HookCall(msgspec.Struct):
    """One call of a plugin's hook.

    Attributes:
        outcome: ``ok`` (it returned), ``rejected``, ``error``, ``timeout``, ``skipped``, or
            ``cancelled`` with its exchange.
        duration_s: seconds between call and answer.
        started_s: from the exchange's start.
    """

    plugin: str
    hook: str
    outcome: str
    duration_s: float
    started_s: float = 0.0


class Mutation(msgspec.Struct, frozen=True):
    """What one call of a hook changed in a request or a reply: names of top-level fields, never values.

    Attributes:
        at_s: from the exchange's start.
    """

    plugin: str
    hook: str
    at_s: float
    added: list[str]
    changed: list[str]
    removed: list[str]


class Loss(msgspec.Struct, frozen=True):
    """One thing that a translation between two surfaces could not carry as it was said.

    Attributes:
        field: the client's own field, for example ``input[2].content[1]``.
        reason: one short clause.
    """

    field: str
    action: Literal["dropped", "changed", "added"]
    reason: str


class ToolCallRecord(msgspec.Struct):
    """One tool call that the gateway ran.

    Attributes:
        call_id: the model's id of the call.
        started_s: from the exchange's start.
        error_type: where ``ok`` is False: ``tool_error`` (the result says so), the code of what a hook refused it with,
            or the name of what was raised; None where it was cancelled with its exchange.
        details: what the runner put on record in `ToolCall.details`.
        span_id: the parent that the tool's server was told; empty where nobody traces.
    """

    name: str
    server: str | None
    duration_s: float
    ok: bool
    arguments_bytes: int
    result_bytes: int
    call_id: str = ""
    started_s: float = 0.0
    error_type: str | None = None
    details: dict[str, Any] = msgspec.field(default_factory=dict)
    span_id: str = ""


class Exchange(msgspec.Struct, kw_only=True):
    """What happened in one exchange. Times are seconds; ``*_at`` are Unix time, ``*_s`` durations from the start.

    Attributes:
        model: the id the client named (after ``default_model``).
        upstream_model: the id the handler sent on, where it differs or is known.
        status: HTTP status of the answer; 499 where the client left before it began.
        outcome: how it ended.
        first_byte_s: from the start to the first byte of the reply's body.
        usage: None where neither the upstream nor an estimate gave one.
        translated_to: the surface the handler was spoken to in, where it does not speak the client's.
        translation_losses: what that surface could not carry.
        clock_s: `time.perf_counter` at the start, which ``*_s`` values of its parts count from.
        parent_id: the request id of the exchange inside of which this one ran; empty for a client's own.
        route: the path's template, for example ``/v1/files/{file_id}``; empty where it is the path.
        hook_calls: calls that returned something, rejected, failed or were skipped, in order; all calls where
            ``is_detailed``.
        mutations: what hooks changed in the request and in a buffered reply, where it ``keeps_mutations``.
        attempts: handlers that were asked, in order.
        notes: what plugins want on record, by plugin name; JSON values only, never secrets.
    """

    request_id: str
    parent_id: str = ""
    surface: str = "chat"
    method: str = "POST"
    path: str = ""
    route: str = ""
    scheme: str = "http"
    client: str = ""
    started_at: float = 0.0
    clock_s: float = 0.0
    model: str = ""
    upstream_model: str | None = None
    handler: str | None = None
    upstream: str | None = None
    upstream_request_id: str | None = None
    principal: str | None = None
    stream: bool = False
    status: int = 0
    outcome: Outcome = "in_progress"
    error_code: str | None = None
    error_message: str | None = None
    first_byte_s: float | None = None
    duration_s: float = 0.0
    request_bytes: int = 0
    response_bytes: int = 0
    events: int = 0
    usage: Usage | None = None
    finish_reasons: list[str] = msgspec.field(default_factory=list)
    translated_to: str | None = None
    translation_losses: list[Loss] = msgspec.field(default_factory=list)
    hook_calls: list[HookCall] = msgspec.field(default_factory=list)
    tool_calls: list[ToolCallRecord] = msgspec.field(default_factory=list)
    attempts: list[Attempt] = msgspec.field(default_factory=list)
    is_detailed: bool = False
    keeps_mutations: bool = False
    mutations: list[Mutation] = msgspec.field(default_factory=list)
    traceparent: str | None = None
    client_request_id: str | None = None
    notes: dict[str, Any] = msgspec.field(default_factory=dict)
