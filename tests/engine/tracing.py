"""What the tests of traces and attempts share: a plugin that takes traces over, and one exchange's record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from chatproxy import RequestContext, hookimpl
from chatproxy.testing import Recorder, ScriptedUpstream, make_app
from chatproxy.types import App, Attempt, Exchange
from tests.hooks.cases import Plugin

CLIENT_TRACE, CLIENT_SPAN, OWN_SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "1" * 16
CLIENT = {"traceparent": f"00-{CLIENT_TRACE}-{CLIENT_SPAN}-01", "tracestate": "vendor=1", "baggage": "user=canary"}
TRACED = pytest.mark.parametrize("is_traced", [False, True], ids=["untraced", "traced"])
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


class Tracing:
    """Keeps the client's trace and gives every exchange a span of its own.

    Attributes:
        begun: the contexts it was called for.
        remote: for each, the client's trace, span and whether they are a client's.
    """

    chatproxy_name = "tracing"

    def __init__(self, *, flags: int = 1, tracestate: str = "", baggage: str = "", is_recording: bool = True) -> None:
        self.begun: list[RequestContext] = []
        self.remote: list[tuple[str, str, bool]] = []
        self._flags = flags
        self._tracestate = tracestate
        self._baggage = baggage
        self._is_recording = is_recording

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.set_tracer(self)
        yield

    def begin(self, ctx: RequestContext) -> None:
        trace = ctx.trace
        self.begun.append(ctx)
        self.remote.append((trace.trace_id, trace.span_id, trace.is_remote))
        ctx.exchange.is_detailed = ctx.exchange.keeps_mutations = True
        trace.adopt(trace.trace_id, OWN_SPAN, self._flags, tracestate=self._tracestate, is_recording=self._is_recording)
        trace.baggage = self._baggage


async def recorded(
    *plugins: object,
    upstream: ScriptedUpstream | None = None,
    is_traced: bool = False,
    stream: bool = False,
    **settings: Any,
) -> Exchange:
    """The record of one chat request."""
    recorder = Recorder()
    given = [*plugins, recorder, *([Tracing()] if is_traced else [])]
    async with make_app(plugins=given, upstream=upstream or ScriptedUpstream(), **settings) as app:
        await app.chat("hi", stream=stream)
        return await recorder.wait()


def counted(attempt: Attempt) -> tuple[int, int] | None:
    return attempt.usage and (attempt.usage.prompt_tokens, attempt.usage.completion_tokens)


def check_times(exchange: Exchange) -> None:
    """Attempts lie within their exchange, in order, and none is open."""
    earlier_s = 0.0
    for attempt in exchange.attempts:
        assert attempt.duration_s is not None
        assert earlier_s <= attempt.started_s
        assert attempt.started_s + attempt.duration_s <= exchange.duration_s + 0.001
        assert attempt.clock_s == pytest.approx(exchange.clock_s + attempt.started_s)
        if attempt.first_chunk_s is not None:
            assert 0 < attempt.first_chunk_s <= attempt.duration_s
        earlier_s = attempt.started_s


def handler_of(execute: Any, **attributes: Any) -> Any:
    """A plugin whose handler answers everything."""
    made = type("Own", (), {"name": "own", "execute": staticmethod(execute), **attributes})()

    async def select_handler() -> Any:
        return made

    return Plugin("own", select_handler=select_handler)
