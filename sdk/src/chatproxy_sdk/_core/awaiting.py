"""Exchanges with ``httpx.AsyncClient``: does what a flow says, one step after the other."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, cast

import httpx

from chatproxy_sdk._core.cancelling import steadily
from chatproxy_sdk._core.chunks import Chunk
from chatproxy_sdk._core.faults import Fault, FaultError
from chatproxy_sdk._core.flow import (
    Drain,
    Flow,
    Give,
    Head,
    Observer,
    Opened,
    Quiet,
    Read,
    Send,
    Step,
    Wait,
    fetch,
    late,
    stream,
)
from chatproxy_sdk._core.fuse import own_stream
from chatproxy_sdk._core.terms import Answer, Call, Terms
from chatproxy_sdk._core.wire import FAILURES, client_options, request_options, wire_fault

ErrorOf = Callable[[Fault], Exception]
# httpx holds connecting and each read to the time-out, and says which was late; this ends a head that trickles.
HEAD_TIMEOUTS = 1.5


class AsyncConnection:
    """A client's exchanges with its server, on one event loop.

    Args:
        error_of: makes the exception that is raised of a fault.
        http_client: used in place of one of our own, and not closed.
        observer: of the exchanges that are not given one of their own.
    """

    def __init__(
        self,
        terms: Terms,
        error_of: ErrorOf,
        *,
        http_client: httpx.AsyncClient | None = None,
        verify: bool | ssl.SSLContext = True,
        observer: Observer | None = None,
    ) -> None:
        self.terms = terms
        self.error_of = error_of
        self._observer = observer or Quiet()
        self._owned = httpx.AsyncClient(**client_options(terms, verify=verify)) if http_client is None else None
        self._http = http_client or self._owned
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def fetch(self, call: Call, observer: Observer | None = None) -> Answer:
        """The whole answer to a request; raises what ``error_of`` makes of a fault."""
        answer: Answer = await _Exchange(self, fetch(call, self.terms, observer or self._observer)).next_result()
        return answer

    async def stream(self, call: Call, observer: Observer | None = None) -> AsyncChunkStream:
        """The chunks of a streamed answer, from the moment it has begun; raises what ``error_of`` makes of a fault."""
        exchange = _Exchange(self, stream(call, self.terms, observer or self._observer))
        return AsyncChunkStream(exchange, await exchange.next_result())

    async def close(self) -> None:
        """Close every connection; answers that are being closed are waited for."""
        while self._closing:
            await asyncio.wait(self._closing)
        if self._owned is not None:
            await steadily(self._owned.aclose())

    async def send(self, step: Send) -> httpx.Response:
        """The head of an answer, its body unread."""
        if self._http is None or self._http.is_closed:
            raise RuntimeError("this client is closed")
        loop = asyncio.get_running_loop()
        if self._loop not in {None, loop}:
            raise RuntimeError("this client belongs to another event loop; make one for each")
        self._loop = loop
        request = self._http.build_request(**request_options(step, self.terms))
        try:
            async with asyncio.timeout(self.terms.timeout_s * HEAD_TIMEOUTS):
                return await steadily(self._http.send(request, stream=True, follow_redirects=False))
        except TimeoutError as exc:
            raise FaultError(late(self.terms, "an answer")) from exc

    def closing(self, response: httpx.Response, body: AsyncIterator[bytes] | None) -> asyncio.Task[None]:
        """A task that closes an answer: nobody cancels it, and ``close`` waits for it."""
        task = asyncio.ensure_future(_close(response, body))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def abandon(self, response: httpx.Response, body: AsyncIterator[bytes] | None) -> None:
        """Close an answer that nobody reads any more, wherever the garbage collector found it."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.closing, response, body)


async def _close(response: httpx.Response, body: AsyncIterator[bytes] | None) -> None:
    """Close an answer, and read the body into the failure that this makes: its generators end here, not at some time.

    The event loop would else close each of httpcore's five in a task that nobody owns.
    """
    await response.aclose()
    is_read = getattr(body, "ag_running", False)  # by another task, which will see the failure
    if body is not None and not is_read and own_stream(response) is not None:
        with suppress(*FAILURES):
            async for _ in body:
                pass


class _Exchange:
    """One run of a flow."""

    def __init__(self, connection: AsyncConnection, flow: Flow[Any]) -> None:
        self._connection = connection
        self._flow = flow
        self._response: httpx.Response | None = None
        self._body: AsyncIterator[bytes] | None = None
        self._is_closed = False

    async def next_result(self) -> Any:
        """What the flow has to show next: the head of a stream, a chunk, or what it returns."""
        try:
            return await self._advance()
        except FaultError as exc:
            if self._is_closed:
                return None
            await self._end()
            raise self._connection.error_of(exc.fault) from exc.__cause__
        except BaseException:
            await self._end()
            raise

    async def close(self) -> None:
        """Close the answer, whatever is left of it; a task that reads it finds its end."""
        self._is_closed = True
        await self._end()

    async def _end(self) -> None:
        self._flow.close()
        await self._drop()

    def __del__(self) -> None:
        if self._response is not None:
            self._connection.abandon(self._response, self._body)

    async def _advance(self) -> Any:
        resume: Callable[[], Step] = partial(self._flow.send, None)
        while True:
            try:
                step = resume()
            except StopIteration as exc:
                return exc.value
            if isinstance(step, Give):
                return step.chunks
            if isinstance(step, Opened):
                return step.head
            resume = await self._outcome(step)

    async def _outcome(self, step: Step) -> Callable[[], Step]:
        """Do the step; how the flow goes on with what came of it."""
        try:
            return partial(self._flow.send, await self._do(step))
        except FAILURES as exc:
            return partial(self._flow.throw, wire_fault(exc, self._connection.terms))
        except FaultError as exc:
            return partial(self._flow.throw, exc)

    async def _do(self, step: Step) -> Any:
        if isinstance(step, Read):
            return await self._read(step.within_s)
        if isinstance(step, Send):
            self._response = await self._connection.send(step)
            self._body = aiter(cast("httpx.AsyncByteStream", self._response.stream))
            return Head(self._response.status_code, self._response.headers)
        if isinstance(step, Wait):
            return await asyncio.sleep(step.seconds)
        if isinstance(step, Drain):
            return await self._drain(step.within_s)
        return await self._drop()

    async def _read(self, within_s: float | None) -> bytes | None:
        if self._body is None:
            return None
        try:
            if within_s is None:
                return await steadily(self._body.__anext__())
            async with asyncio.timeout(within_s):
                return await steadily(self._body.__anext__())
        except StopAsyncIteration:
            return None
        except TimeoutError as exc:
            raise FaultError(late(self._connection.terms, "the whole answer")) from exc

    async def _drain(self, within_s: float) -> None:
        with suppress(*FAILURES, TimeoutError):
            async with asyncio.timeout(within_s):
                while await self._read(None) is not None:
                    pass

    async def _drop(self) -> None:
        """Close the answer in a task of its own: the one that waits for it may be cancelled meanwhile."""
        response, body, self._response, self._body = self._response, self._body, None, None
        if response is not None:
            await asyncio.shield(self._connection.closing(response, body))


class AsyncChunkStream:
    """The chunks of a streamed answer.

    Attributes:
        head: status and headers of the answer.
    """

    def __init__(self, exchange: _Exchange, head: Head) -> None:
        self._exchange = exchange
        self._ready: Iterator[Chunk] = iter(())
        self.head = head

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return self

    async def __anext__(self) -> Chunk:
        for chunk in self._ready:
            return chunk
        chunks: list[Chunk] | None = await self._exchange.next_result()
        if chunks is None:
            raise StopAsyncIteration
        self._ready = iter(chunks)
        return next(self._ready)

    async def close(self) -> None:
        """Stop reading; the server sees the connection close."""
        self._ready = iter(())
        await self._exchange.close()
