"""Both drivers behind one face, for tests that do not care which: an asynchronous one is run to its end for each call.

At its end each must have left nothing: no connection at the server, no request in the pool, no task.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
from chatproxy_sdk._core.awaiting import AsyncConnection
from chatproxy_sdk._core.blocking import Connection
from chatproxy_sdk._core.chunks import Chunk
from chatproxy_sdk._core.faults import Fault
from chatproxy_sdk._core.terms import Answer, Call, Terms
from chatproxy_sdk.exceptions import ChatServerError, api_exception, server_error

CHAT = Call(method="POST", path="/chat/completions", body={"model": "demo", "messages": []})
STREAM = Call(method="POST", path="/chat/completions", body={"model": "demo", "messages": [], "stream": True})


@dataclass
class Outcome:
    """What came of an exchange: an answer or chunks, and the error after them."""

    answer: Answer | None = None
    chunks: list[Chunk] = field(default_factory=list)
    error: Exception | None = None

    @property
    def text(self) -> str:
        return "".join(chunk.text for chunk in self.chunks)


class Driver:
    """What both have.

    Attributes:
        faults: what went wrong, an exchange after the other.
        waits: seconds of each pause before another attempt, None where there was none.
        on_chunk: called when a chunk was taken.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.waits: list[float | None] = []
        self.on_chunk: Callable[[], object] | None = None

    def error_of(self, fault: Fault) -> Exception:
        self.faults.append(fault)
        assert api_exception(fault).message == fault.message
        return server_error(fault)

    def sending(self, call: Call, content: bytes | None, attempt: int) -> None:
        """Nothing."""

    def answered(self, head: Any, body: bytes | None, elapsed_s: float) -> None:
        """Nothing."""

    def failed(self, fault: Fault, wait_s: float | None) -> None:
        self.waits.append(wait_s)

    def took(self, outcome: Outcome, chunk: Chunk) -> None:
        outcome.chunks.append(chunk)
        if self.on_chunk is not None:
            self.on_chunk()

    def run(self, call: Call) -> Outcome:
        """Fetch, or stream where the call says so."""
        return self.stream() if call is STREAM else self.fetch(call)

    def fetch(self, call: Call = CHAT) -> Outcome:
        raise NotImplementedError

    def stream(self) -> Outcome:
        raise NotImplementedError


class BlockingDriver(Driver):
    def __init__(self, terms: Terms, **options: Any) -> None:
        super().__init__()
        self.connection = Connection(terms, self.error_of, observer=self, **options)

    def fetch(self, call: Call = CHAT) -> Outcome:
        outcome = Outcome()
        try:
            outcome.answer = self.connection.fetch(call)
        except (ChatServerError, RuntimeError) as exc:
            outcome.error = exc
        return outcome

    def stream(self) -> Outcome:
        outcome = Outcome()
        try:
            for chunk in self.connection.stream(STREAM):
                self.took(outcome, chunk)
        except (ChatServerError, RuntimeError) as exc:
            outcome.error = exc
        return outcome

    def close_connection(self) -> None:
        self.connection.close()

    def close(self) -> None:
        pool = pool_of(self.connection)
        self.connection.close()
        assert not pool._requests


class AwaitingDriver(Driver):
    def __init__(self, terms: Terms, **options: Any) -> None:
        super().__init__()
        self.connection = AsyncConnection(terms, self.error_of, observer=self, **options)
        self._runner = asyncio.Runner()

    def fetch(self, call: Call = CHAT) -> Outcome:
        return self._runner.run(self._fetch(call))

    def stream(self) -> Outcome:
        return self._runner.run(self._stream())

    async def _fetch(self, call: Call) -> Outcome:
        outcome = Outcome()
        try:
            outcome.answer = await self.connection.fetch(call)
        except (ChatServerError, RuntimeError) as exc:
            outcome.error = exc
        return outcome

    async def _stream(self) -> Outcome:
        outcome = Outcome()
        try:
            async for chunk in await self.connection.stream(STREAM):
                self.took(outcome, chunk)
        except (ChatServerError, RuntimeError) as exc:
            outcome.error = exc
        return outcome

    def close_connection(self) -> None:
        self._runner.run(self._close())

    def close(self) -> None:
        pool = pool_of(self.connection)
        self.close_connection()
        self._runner.close()
        assert not pool._requests

    async def _close(self) -> None:
        await self.connection.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}


DRIVERS: dict[str, Callable[..., BlockingDriver | AwaitingDriver]] = {"sync": BlockingDriver, "async": AwaitingDriver}


def pool_of(connection: Connection | AsyncConnection) -> Any:
    """httpcore's pool; read by tests only."""
    http = connection._owned
    assert http is not None
    transport = http._transport
    assert isinstance(transport, httpx.HTTPTransport | httpx.AsyncHTTPTransport)
    return transport._pool
