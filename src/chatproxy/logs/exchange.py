"""ExchangeLog: one line for each exchange, on the hot path.

Rule: `write` costs microseconds and never waits; lines are collected and leave together, at most `FLUSH_AFTER_S` later.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

import msgspec

from chatproxy.logs.lines import Stamp, TextLines, escape_json, one_line
from chatproxy.logs.redaction import secrets_of_process
from chatproxy.logs.setup import FLUSH_LIMIT_S, LogFormat, level_number, lines_for, lost_lines
from chatproxy.logs.sink import FLUSH_BYTES, LineBuffer, Sink, TextStream
from chatproxy.types.exchange import Exchange
from chatproxy.types.usage import Usage

FLUSH_AFTER_S = 0.05
_OVERDUE_S = 1.0
_NO_USAGE = Usage()
_encode = msgspec.json.Encoder().encode


class ExchangeLine(msgspec.Struct, gc=False):
    """What is said about an exchange; every key is in every line. Times are milliseconds, sizes bytes."""

    ts: str
    level: str
    event: str
    request_id: str
    method: str
    path: str
    surface: str
    model: str
    upstream_model: str | None
    handler: str | None
    upstream: str | None
    principal: str | None
    stream: bool
    status: int
    outcome: str
    error_code: str | None
    duration_ms: float
    first_byte_ms: float | None
    request_bytes: int
    response_bytes: int
    events: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int
    reasoning_tokens: int
    usage_source: str | None
    finish_reasons: list[str]
    client_request_id: str | None
    translated_to: str | None
    translation_losses: list[str]
    parent_id: str | None


class ExchangeLog:
    """Writes exchanges to a stream; one for each application, used on its event loop.

    Args:
        log_format: as for `setup_logging`.
        log_level: nothing is written where it is above ``info``.
        stream: None for ``sys.stderr``.
        is_detailed: say also what plugins and tools did, and the trace context.

    Raises:
        ConfigError: no such format or level.
    """

    def __init__(
        self,
        log_format: LogFormat = "auto",
        log_level: str = "info",
        stream: TextStream | None = None,
        *,
        is_detailed: bool = False,
    ) -> None:
        self._is_detailed = is_detailed
        stream = sys.stderr if stream is None else stream
        lines = lines_for(log_format, stream)
        secrets = secrets_of_process()
        self.enabled = level_number(log_level) <= logging.INFO
        self._text = lines if isinstance(lines, TextLines) else None
        self._clean = secrets.clean
        self._clean_short = secrets.clean_short
        self._stamp = Stamp()
        self._buffer = LineBuffer(Sink(stream), self._loss)
        self._blocked = False
        self._timer: asyncio.TimerHandle | None = None
        self._arm_from = 0.0

    def write(self, exchange: Exchange) -> None:
        """Note an exchange that is over; it never waits, and nothing the stream does makes it raise."""
        if not self.enabled:
            return
        buffer = self._buffer
        if not buffer.has_room:
            buffer.dropped += 1
            return
        now = time.time()
        line = self._line(exchange, now)
        if self._text is None:
            encoded = self._detailed(line, exchange) if self._is_detailed else _encode(line)
            buffer.waiting += encoded if encoded.isascii() and b"\x7f" not in encoded else escape_json(encoded)
            buffer.waiting += b"\n"
        else:
            buffer.waiting += self._text.put("info", now, one_line(describe(line) + self._details(exchange)))
        if len(buffer.waiting) >= FLUSH_BYTES and not self._blocked:
            self.flush()
        if now >= self._arm_from:
            self._arm(now)

    def flush(self) -> None:
        """Write now what the stream takes; the rest is tried again later."""
        self._blocked = not self._buffer.flush()

    def close(self) -> None:
        """Write what waits, at most for a second, and give the stream's descriptor back."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._arm_from, self._blocked = None, 0.0, False
        self._buffer.flush_within(FLUSH_LIMIT_S)
        self._buffer.sink.close()

    def _arm(self, now: float) -> None:
        """See to a flush soon; at once where no event loop runs.

        A timer that is overdue belongs to a loop that has ended, or is late; a second one does no harm.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self.flush()
            return
        self._timer = loop.call_later(FLUSH_AFTER_S, self._tick)
        self._arm_from = now + _OVERDUE_S

    def _tick(self) -> None:
        self._timer, self._arm_from = None, 0.0
        self.flush()
        if self._blocked:
            self._arm(time.time())

    def _line(self, exchange: Exchange, now: float) -> ExchangeLine:
        short = self._clean_short
        usage = exchange.usage
        counted = usage or _NO_USAGE
        first, client_id, error = exchange.first_byte_s, exchange.client_request_id, exchange.error_code
        sent_as, principal, losses = exchange.upstream_model, exchange.principal, exchange.translation_losses
        return ExchangeLine(
            self._stamp.of(now),
            "info",
            "exchange",
            exchange.request_id,
            exchange.method,
            short(exchange.path),
            exchange.surface,
            short(exchange.model),
            None if sent_as is None else short(sent_as),
            exchange.handler,
            exchange.upstream,
            None if principal is None else short(principal),
            exchange.stream,
            exchange.status,
            exchange.outcome,
            None if error is None else short(error),
            int(exchange.duration_s * 1e6) / 1e3,
            None if first is None else int(first * 1e6) / 1e3,
            exchange.request_bytes,
            exchange.response_bytes,
            exchange.events,
            counted.prompt_tokens,
            counted.completion_tokens,
            counted.total_tokens,
            counted.cached_tokens,
            counted.reasoning_tokens,
            None if usage is None else usage.source,
            [short(reason) for reason in exchange.finish_reasons] if exchange.finish_reasons else [],
            None if client_id is None else self._clean(client_id[:256]),
            exchange.translated_to,
            [short(f"{loss.action} {loss.field}") for loss in losses] if losses else [],
            exchange.parent_id or None,
        )

    def _detailed(self, line: ExchangeLine, exchange: Exchange) -> bytes:
        """The line with what plugins and tools did; cleaned as a whole, because plugins wrote parts of it."""
        details = {
            "traceparent": exchange.traceparent,
            "hook_calls": exchange.hook_calls,
            "tool_calls": exchange.tool_calls,
            "notes": exchange.notes,
        }
        try:
            encoded = _encode({**msgspec.structs.asdict(line), **details})
        except (TypeError, ValueError):  # a plugin's note that is no JSON must not cost the line
            encoded = _encode({**msgspec.structs.asdict(line), **details, "notes": repr(exchange.notes)})
        return self._clean(encoded.decode()).encode()

    def _details(self, exchange: Exchange) -> str:
        if not self._is_detailed or not exchange.hook_calls:
            return ""
        calls = (f"{c.plugin}.{c.hook} {c.outcome} {c.duration_s * 1e3:.1f} ms" for c in exchange.hook_calls)
        return self._clean(f" [{', '.join(calls)}]")

    def _loss(self, lost: int) -> bytes:
        now, message = time.time(), lost_lines(lost)
        if self._text is not None:
            return self._text.put("warning", now, message)
        ts = self._stamp.of(now)
        return _encode({"ts": ts, "level": "warning", "event": "lines_lost", "lost": lost, "message": message}) + b"\n"


def describe(line: ExchangeLine) -> str:
    """An exchange for people; parts that say nothing are left out."""
    model = line.model if line.upstream_model in {None, line.model} else f"{line.model} > {line.upstream_model}"
    parts = [
        f"{line.method} {line.path} {line.status}",
        model,
        f"by {line.upstream or line.handler}" if line.upstream or line.handler else "",
        f"as {line.translated_to}" if line.translated_to else "",
        f"for {line.principal}" if line.principal else "",
        f"{line.events} events" if line.stream else "",
        f"{line.prompt_tokens}+{line.completion_tokens} tokens" if line.usage_source else "",
        f"({line.usage_source})" if line.usage_source not in {None, "provider"} else "",
        f"{line.duration_ms:.0f} ms",
        f"(first byte {line.first_byte_ms:.0f} ms)" if line.stream and line.first_byte_ms is not None else "",
        line.outcome if line.outcome != "completed" else "",
        line.error_code or "",
        line.request_id,
    ]
    return " ".join(part for part in parts if part)
