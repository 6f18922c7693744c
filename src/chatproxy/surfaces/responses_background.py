"""BackgroundRuns: responses that nobody waits for, each made in a task of the gateway's own.

Rule: their number is bounded, every task ends with the application, and what a response has come to is in the store.

A run is an exchange like any other: the same `run`, with a client that sends its body, reads what it is sent and leaves
when the run is to stop. A process that dies takes its runs with it; their responses stay ``in_progress`` until their
time in the store is over.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Literal

import msgspec

from chatproxy.errors import ApiError, Overloaded
from chatproxy.surfaces.asgi import run
from chatproxy.surfaces.base import Gateway
from chatproxy.surfaces.edge import Message, Scope
from chatproxy.surfaces.responses import ResponsesTurn
from chatproxy.surfaces.stored import Record, StoredResponses
from chatproxy.types.context import RequestContext
from chatproxy.types.layouts import LAYOUTS

Reason = Literal["cancelled", "server_shutdown"]

MOST_RUNS = 256
STOP_LIMIT_S = 1.0
CLOSE_LIMIT_S = 5.0

logger = logging.getLogger("chatproxy.surfaces")

_GIVEN: dict[str, Any] = {
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "model": "",
    "parallel_tool_calls": True,
    "reasoning": None,
    "safety_identifier": None,
    "service_tier": "auto",
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "truncation": "disabled",
    "user": None,
}
"""What a response repeats of its request, and what it shows where the request does not say."""


class _Fault(msgspec.Struct):
    code: Any = None
    message: Any = None


class _Envelope(msgspec.Struct):
    error: _Fault = msgspec.field(default_factory=_Fault)


_encode = msgspec.json.Encoder().encode
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_envelope = msgspec.json.Decoder(_Envelope).decode


class Run:
    """One response in the making, and the client that its exchange sees.

    Attributes:
        reason: why it was told to stop.
        task: makes the response; None until it begins.
    """

    def __init__(self, record: Record, body: bytes) -> None:
        self.record = record
        self.reason: Reason | None = None
        self.task: asyncio.Task[None] | None = None
        self._body: bytes | None = body
        self._stopped = asyncio.Event()
        self._status = 0
        self._error = b""

    def stop(self, reason: Reason) -> None:
        """Leave, as a client does; the first reason counts."""
        self.reason = self.reason or reason
        self._stopped.set()

    async def receive(self) -> Message:
        """ASGI: the body, and then nothing until the run is to stop."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._stopped.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """ASGI: only an error is read; a response is in the store by then."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        elif self._status >= 400:
            self._error += message.get("body", b"")

    def outcome(self) -> dict[str, Any]:
        """What is to be said of a response that still looks as if it ran."""
        if self.reason == "cancelled":
            return {"status": "cancelled"}
        fault = _Fault(code="server_error", message="The response could not be made.")
        if self.reason == "server_shutdown":
            fault = _Fault(code="server_shutdown", message="The server was shut down.")
        elif self._error:
            fault = _envelope(self._error).error
        return {"status": "failed", "error": {"code": fault.code or "server_error", "message": fault.message or ""}}


class BackgroundRuns:
    """The runs of one application, at most `MOST_RUNS`; a `Queue`."""

    def __init__(self, gateway: Gateway, stored: StoredResponses) -> None:
        self._gateway = gateway
        self._stored = stored
        self._runs: dict[tuple[str, str], Run] = {}
        self._is_closed = False

    async def accept(self, ctx: RequestContext, record: Record, body: bytes) -> Record:
        """Store a response as queued; `start` begins it.

        Raises:
            Overloaded: as many as allowed are running (503 with ``retry-after``).
            ApiError: the store failed (503, code ``session_store_failed``).
        """
        if self._is_closed or len(self._runs) >= MOST_RUNS:
            raise Overloaded(f"Over {MOST_RUNS} responses are being made in the background; try again soon.")
        queued = msgspec.structs.replace(record, response=_queued(record, body), background=True)
        self._runs[(queued.owner, queued.id)] = Run(queued, body)
        try:
            await self._stored.add(queued)
        except BaseException:
            del self._runs[(queued.owner, queued.id)]
            raise
        return queued

    def start(self, record: Record, scope: Scope) -> None:
        """Begin to make an accepted response.

        Args:
            scope: of the request that asked for it; its headers are the run's.
        """
        made = self._runs[(record.owner, record.id)]
        if self._is_closed:
            made.stop("server_shutdown")
        scope = {**scope, "extensions": {}}
        made.task = asyncio.get_running_loop().create_task(self._make(made, scope), name=f"background {record.id}")

    async def stop(self, owner: str, response_id: str) -> None:
        """Stop making a response, here; wait until its upstream was left."""
        made = self._runs.get((owner, response_id))
        if made is not None:
            made.stop("cancelled")
            if made.task is not None:
                await asyncio.wait((made.task,), timeout=STOP_LIMIT_S)

    async def aclose(self) -> None:
        """End every run; the application's lifespan calls it while the store still works."""
        self._is_closed = True
        for made in self._runs.values():
            made.stop("server_shutdown")
        tasks = [made.task for made in self._runs.values() if made.task is not None]
        for limit_s in (CLOSE_LIMIT_S, STOP_LIMIT_S):
            if tasks:
                await asyncio.wait(tasks, timeout=limit_s)
            tasks = [task for task in tasks if not task.done()]
            for task in tasks:
                task.cancel()

    async def _make(self, made: Run, scope: Scope) -> None:
        record = made.record
        try:
            if made.reason is None:
                turn = ResponsesTurn(self._stored, queued=record)
                await run(self._gateway, LAYOUTS["responses"], scope, made.receive, made.send, turn=turn)
        except asyncio.CancelledError:
            made.stop("server_shutdown")
            raise
        except Exception:
            logger.exception("a response in the background failed", extra={"response_id": record.id})
        finally:
            try:
                await self._stored.change(record.owner, record.id, made.outcome())
            except ApiError:
                logger.warning("how a response in the background ended could not be stored")
            finally:
                del self._runs[(record.owner, record.id)]


def _queued(record: Record, body: bytes) -> msgspec.Raw:
    """The response object of a request that has not begun to be answered."""
    asked = _fields(body)
    given = {key: asked[key] if bytes(asked.get(key, b"null")) != b"null" else value for key, value in _GIVEN.items()}
    shown: dict[str, Any] = {
        "id": record.id,
        "object": "response",
        "created_at": record.created_at,
        "status": "queued",
        "background": True,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "output": [],
        "previous_response_id": record.previous_response_id,
        "store": True,
        "usage": None,
        **given,
    }
    return msgspec.Raw(_encode(shown))
