"""STREAM: one plugin's transform over the events of a stream, with a deadline and a policy for each event."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

from chatproxy.errors import PLUGIN_FAILURES, ApiError
from chatproxy.plugins.impl import Impl
from chatproxy.plugins.timed import Clock, DeadlinePassedError, finish
from chatproxy.types.exchange import Exchange
from chatproxy.types.stream import StreamEvent, StreamTransform


class _Source:
    """What a transform reads from: pauses its clock while it waits, and keeps what it took since its last yield."""

    __slots__ = ("_clock", "_events", "taken")

    def __init__(self, events: Any, clock: Clock) -> None:
        self._events = events
        self._clock = clock
        self.taken: list[StreamEvent] = []

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        self._clock.pause()
        try:
            event: StreamEvent = await self._events.__anext__()
        finally:
            self._clock.resume()
        self.taken.append(event)
        return event


class Layer:
    """An async iterator over what a transform makes of ``source``.

    Where the transform fails and the plugin's policy is not ``closed``, it is taken out: the events it had read since
    its last yield pass unchanged, then those of the source; text it held from before is lost (counted and logged).
    """

    __slots__ = ("_clock", "_exchange", "_generator", "_impl", "_rest", "_source", "source")

    def __init__(self, impl: Impl, transform: StreamTransform, source: Any, exchange: Exchange) -> None:
        self.source = source
        self._impl = impl
        self._exchange = exchange
        self._clock = Clock(impl.policy.deadline_s)
        self._source = _Source(source, self._clock)
        self._generator: Any = transform(self._source)
        self._rest: list[StreamEvent] | None = None  # not None: the transform was taken out

    def __aiter__(self) -> AsyncIterator[StreamEvent]:
        return self

    async def __anext__(self) -> StreamEvent:
        if self._rest is not None:
            return await self._next_without()
        started_at = time.perf_counter()
        self._clock.reset()
        try:
            steps = self._generator.__anext__()
            try:
                waiting_for = steps.send(None)
            except StopIteration as stop:
                event = stop.value
            else:
                event = await finish(steps, waiting_for, self._clock)
            if not isinstance(event, StreamEvent):
                raise TypeError(f"transform_stream must yield stream events, found {type(event).__name__}")
        except (ApiError, StopAsyncIteration):
            raise
        except DeadlinePassedError as passed:
            self._impl.state.abandoned += passed.abandoned
            self._impl.failed(self._exchange, "timeout", started_at, passed)
        except PLUGIN_FAILURES as exc:
            self._impl.failed(self._exchange, "error", started_at, exc)
        else:
            self._source.taken.clear()
            return event
        self._rest = self._source.taken
        return await self._next_without()

    async def aclose(self) -> None:
        """Close the transform; the source is closed by whoever made it."""
        close = getattr(self._generator, "aclose", None)
        if close is None:
            return
        started_at = time.perf_counter()
        try:
            steps = close()
            try:
                waiting_for = steps.send(None)
            except StopIteration:
                return
            await finish(steps, waiting_for, Clock(self._impl.policy.deadline_s))
        except ApiError:
            return  # it was told so already, by the stream's own end
        except DeadlinePassedError as passed:
            self._impl.state.abandoned += passed.abandoned
            self._closing_failed("timeout", started_at, passed)
        except PLUGIN_FAILURES as exc:
            self._closing_failed("error", started_at, exc)

    def _closing_failed(self, outcome: str, started_at: float, cause: BaseException) -> None:
        """Count and log it; the stream is over, so that there is nobody left to tell."""
        try:
            self._impl.failed(self._exchange, outcome, started_at, cause)
        except ApiError:
            return

    async def _next_without(self) -> StreamEvent:
        if self._rest:
            return self._rest.pop(0)
        event: StreamEvent = await self.source.__anext__()
        return event
