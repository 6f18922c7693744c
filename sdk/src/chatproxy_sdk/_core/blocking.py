"""Exchanges with ``httpx.Client``: does what a flow says, one step after the other."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import get_ident
from typing import Any, TypeVar, cast

import httpx

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
    stream,
)
from chatproxy_sdk._core.fuse import Fuse, own_stream, shut
from chatproxy_sdk._core.terms import Answer, Call, Terms
from chatproxy_sdk._core.wire import FAILURES, client_options, request_options, wire_fault

T = TypeVar("T")
ErrorOf = Callable[[Fault], Exception]


class Body:
    """An answer that is being read.

    Its connection holds it, not who reads: httpcore's generators, were they found by the garbage collector, would take
    the pool's lock, which the thread that is collecting may hold.
    """

    __slots__ = ("parts", "response")

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.parts = iter(cast("httpx.SyncByteStream", response.stream))


class Connection:
    """A client's exchanges with its server; may be used by several threads.

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
        http_client: httpx.Client | None = None,
        verify: bool | ssl.SSLContext = True,
        observer: Observer | None = None,
    ) -> None:
        self.terms = terms
        self.error_of = error_of
        self._observer = observer or Quiet()
        self._owned = httpx.Client(**client_options(terms, verify=verify)) if http_client is None else None
        self._http = http_client or self._owned
        self._bodies: set[Body] = set()
        self._abandoned: deque[Body] = deque()

    def fetch(self, call: Call, observer: Observer | None = None) -> Answer:
        """The whole answer to a request; raises what ``error_of`` makes of a fault."""
        answer: Answer = _Exchange(self, fetch(call, self.terms, observer or self._observer)).run_to_end()
        return answer

    def stream(self, call: Call, observer: Observer | None = None) -> ChunkStream:
        """The chunks of a streamed answer, from the moment it has begun; raises what ``error_of`` makes of a fault."""
        return ChunkStream(_Exchange(self, stream(call, self.terms, observer or self._observer)))

    def close(self) -> None:
        """Close every connection."""
        self._close_abandoned()
        if self._owned is not None:
            self._owned.close()

    def send(self, step: Send) -> Body:
        """An answer whose head has come."""
        if self._http is None or self._http.is_closed:
            raise RuntimeError("this client is closed")
        self._close_abandoned()
        request = self._http.build_request(**request_options(step, self.terms))
        body = Body(self._http.send(request, stream=True, follow_redirects=False))
        self._bodies.add(body)
        return body

    def drop(self, body: Body) -> None:
        """Close an answer, whatever is left of it."""
        self._bodies.discard(body)
        body.response.close()

    def abandon(self, body: Body) -> None:
        """Cut an answer that nobody reads any more; for the garbage collector. The pool hears of it later."""
        self._abandoned.append(body)
        if (stream := own_stream(body.response)) is not None:
            stream.close()

    def _close_abandoned(self) -> None:
        while self._abandoned:
            self.drop(self._abandoned.popleft())


class _Exchange:
    """One run of a flow."""

    def __init__(self, connection: Connection, flow: Flow[Any]) -> None:
        self._connection = connection
        self._flow = flow
        self._body: Body | None = None
        self._is_closed = False
        self._reader: int | None = None

    def run_to_end(self) -> Any:
        """What the flow returns."""
        try:
            while True:
                self.next_result()
        except StopIteration as exc:
            return exc.value

    def next_result(self) -> Any:
        """What the flow has to show next: the head of a stream, or a chunk.

        Raises:
            StopIteration: the flow is over, or was closed meanwhile.
        """
        self._reader = get_ident()
        try:
            return self._advance()
        except FaultError as exc:
            self._end()
            if self._is_closed:
                raise StopIteration from None
            raise self._connection.error_of(exc.fault) from exc.__cause__
        except BaseException:
            self._end()
            raise
        finally:
            self._reader = None

    def close(self) -> None:
        """Close the answer, whatever is left of it; another thread that reads it finds its end."""
        self._is_closed = True
        if self._reader in {None, get_ident()}:
            self._end()
        elif (body := self._body) is not None and (stream := own_stream(body.response)) is not None:
            shut(stream)

    def _end(self) -> None:
        self._flow.close()
        self._drop()

    def __del__(self) -> None:
        if self._body is not None:
            self._connection.abandon(self._body)

    def _advance(self) -> Any:
        step = self._flow.send(None)
        while True:
            if isinstance(step, Give):
                return step.chunks
            if isinstance(step, Opened):
                return step.head
            if self._is_closed:
                raise StopIteration
            try:
                result = self._do(step)
            except FAILURES as exc:
                step = self._flow.throw(wire_fault(exc, self._connection.terms))
            else:
                step = self._flow.send(result)

    def _do(self, step: Step) -> Any:
        if isinstance(step, Read):
            return next(self._body.parts, None) if self._body is not None else None
        if isinstance(step, Send):
            self._body = self._connection.send(step)
            return Head(self._body.response.status_code, self._body.response.headers)
        if isinstance(step, Wait):
            return time.sleep(step.seconds)
        if isinstance(step, Drain):
            return self._drain(step.within_s)
        return self._drop()

    def _drain(self, within_s: float) -> None:
        if self._body is not None and (stream := own_stream(self._body.response)) is not None:
            with suppress(*FAILURES), Fuse(stream, within_s):
                deque(self._body.parts, maxlen=0)

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            self._connection.drop(body)


class ChunkStream:
    """The chunks of a streamed answer.

    Attributes:
        head: status and headers of the answer.
    """

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange
        self._ready: Iterator[Chunk] = iter(())
        self.head: Head = exchange.next_result()

    def __iter__(self) -> Iterator[Chunk]:
        return self

    def __next__(self) -> Chunk:
        for chunk in self._ready:
            return chunk
        self._ready = iter(self._exchange.next_result())
        return next(self._ready)

    def close(self) -> None:
        """Stop reading; the server sees the connection close."""
        self._ready = iter(())
        self._exchange.close()
