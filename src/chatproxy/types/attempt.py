"""Attempt: the record of one time that a handler was asked for an answer.

The engine begins and ends it, a handler fills in what only it knows, and whoever reads a stream says what that said.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from chatproxy.types.body import JsonBody
from chatproxy.types.tally import Tally
from chatproxy.types.usage import Usage


class Attempt(msgspec.Struct, kw_only=True):
    """Once for most exchanges, again for rounds of tools and for retries.

    Attributes:
        surface: the API that the handler was spoken to in.
        model: the id that was sent.
        url: where it went, without query and credentials; None where nothing left the process.
        address: host of the upstream, ``port`` its port.
        status: HTTP status of the upstream's answer; None where none came.
        error_type: a short code where it failed; None where it did not, or was stopped.
        is_stream: the answer came as a stream.
        started_s: from the exchange's start; ``clock_s`` is the same moment on `time.perf_counter`.
        duration_s: None while it runs.
        first_chunk_s: of a stream, from the attempt's start.
        response_id: the upstream's id of the answer; this and the next three are found where somebody traces.
        response_model: the model it names; ``service_tier`` and ``system_fingerprint`` are OpenAI's.
        head: what `read_head` has yet to look into: a whole answer, or the first event of a stream.
        span_id: the parent that the upstream was told, in ``traceparent``; empty where nobody traces.
    """

    handler: str
    surface: str = ""
    model: str | None = None
    upstream: str | None = None
    method: str = "POST"
    url: str | None = None
    address: str | None = None
    port: int | None = None
    status: int | None = None
    error_type: str | None = None
    is_stream: bool = False
    started_s: float = 0.0
    clock_s: float = 0.0
    duration_s: float | None = None
    first_chunk_s: float | None = None
    events: int = 0
    usage: Usage | None = None
    finish_reasons: list[str] = msgspec.field(default_factory=list)
    response_id: str | None = None
    response_model: str | None = None
    service_tier: str | None = None
    system_fingerprint: str | None = None
    upstream_request_id: str | None = None
    head: bytes = b""
    span_id: str = ""
    traceparent: str = ""

    def end(self, error_type: str | None = None) -> None:
        """It is over; the first end counts."""
        if self.duration_s is None:
            self.duration_s = time.perf_counter() - self.clock_s
            self.error_type = error_type

    def began(self) -> None:
        """The first of a stream has come; a handler that knows it better sets ``first_chunk_s`` itself."""
        if self.first_chunk_s is None:
            self.first_chunk_s = time.perf_counter() - self.clock_s

    def heard(self, tally: Tally, *, events: int, first: bytes) -> None:
        """Keep what a stream said.

        Args:
            first: its first event's data, which names the answer and the model.
        """
        self.events = events
        self.usage = tally.usage
        self.finish_reasons = tally.finish_reasons
        if self.span_id:
            self.head = first

    def keep(self, body: JsonBody) -> None:
        """Keep a whole answer for `read_head`, where somebody traces; the first that comes counts."""
        if self.span_id and not self.head:
            try:
                self.head = body.encode()
            except (TypeError, ValueError, RecursionError):
                return  # what cannot be sent is reported where it is to be sent

    def read_head(self) -> None:
        """Find the answer's id and model; the engine does it when the last byte is out."""
        data, self.head = self.head, b""
        if not data:
            return
        try:
            head = _head(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return  # an answer of unusual shape has no name that could be shown
        inner = head.response or head.message or head
        self.response_id, self.response_model = _text(inner.id), _text(inner.model)
        self.service_tier, self.system_fingerprint = _text(inner.service_tier), _text(inner.system_fingerprint)


class _Head(msgspec.Struct):
    id: Any = None
    model: Any = None
    service_tier: Any = None
    system_fingerprint: Any = None
    response: _Head | None = None
    message: _Head | None = None


_MAX_NAME = 8_192  # more than is shown, for secrets are taken out before a text is cut short
_head = msgspec.json.Decoder(_Head).decode


def _text(value: Any) -> str | None:
    return value[:_MAX_NAME] if isinstance(value, str) and value else None
