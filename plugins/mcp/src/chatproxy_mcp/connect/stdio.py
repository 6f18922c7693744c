"""stdio: a server as a process of the gateway, one JSON-RPC message per line.

Rule: nothing it writes is kept without bound, and nothing it started outlives it. The SDK's `stdio_client` reads lines
of any length; here a line that is too long ends the session. Questions and notifications that come faster than
`pace` allows are read more slowly, so the pipe fills and the process waits. Values of its `env` are in no log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import anyio
import mcp_types
from anyio.abc import ByteReceiveStream, Process
from mcp.client._transport import TransportStreams
from mcp.shared.message import SessionMessage

from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.errors import ConnectionLostError, MessageTooLargeError, ServerDownError, clean
from chatproxy_mcp.connect.pace import message_pace
from chatproxy_mcp.connect.process import GONE, MAX_LOG_LINE, READ_BYTES, Words, has_exited, start, stop
from chatproxy_mcp.connect.watch import CALL, Item, ReadableStream, Watch, WatchedStream
from chatproxy_mcp.connect.weight import check_weight

STUCK_S = 10.0


class _Output(ReadableStream):
    """What the process says: the SDK's read stream, without a task of its own; the process owns the pipe.

    Attributes:
        awaited: answers that are still to come; others are paced as all that nobody asked for.
    """

    def __init__(self, stdout: ByteReceiveStream, limit: int, watch: Watch, log: logging.Logger) -> None:
        self._stdout = stdout
        self._limit = limit
        self._watch = watch
        self._log = log
        self._buffer = bytearray()
        self._searched = 0
        self._pace = message_pace()
        self.awaited = 0
        self._put_in: list[SessionMessage] = []
        self._reading: anyio.CancelScope | None = None

    def put_in(self, message: SessionMessage) -> None:
        """Give a message in the process's place."""
        self._put_in.append(message)
        if self._reading is not None:
            self._reading.cancel()

    async def receive(self) -> Item:
        """Wait for a message; lines that are none are passed over."""
        while True:
            if self._put_in:
                return self._put_in.pop()
            line = await self._line()
            if line is None:
                continue
            self._check(line)
            try:
                message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                if line.strip() and self._log.isEnabledFor(logging.DEBUG):
                    said = clean(line[:MAX_LOG_LINE].decode(errors="replace"))
                    self._log.debug("a line that is no message: %s", said)
                await self._pace.spend()
                continue
            if self.awaited and isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError):
                self.awaited -= 1
            else:
                await self._pace.spend()
            return SessionMessage(message)

    def _check(self, line: bytes) -> None:
        try:
            check_weight(line)
        except MessageTooLargeError as exc:
            self._watch.failed(exc)
            raise anyio.EndOfStream from None

    async def _line(self) -> bytes | None:
        """Take the next line; None: something was put in."""
        buffer = self._buffer
        while (end := buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(buffer)
            if len(buffer) > self._limit:
                self._watch.failed(
                    MessageTooLargeError(
                        f"the server's message is larger than {self._limit} bytes, the session was ended"
                    )
                )
                buffer.clear()
                raise anyio.EndOfStream
            with anyio.CancelScope() as self._reading:
                try:
                    buffer += await self._stdout.receive(READ_BYTES)
                except GONE:
                    self._watch.failed(ConnectionLostError("the server's process ended"))
                    raise anyio.EndOfStream from None
            self._reading = None
            if self._put_in:
                return None
        line = bytes(memoryview(buffer)[:end])
        del buffer[: end + 1]
        self._searched = 0
        return line


class _Input:
    """What the process is told: the SDK's write stream, without a task of its own."""

    def __init__(self, process: Process, output: _Output, watch: Watch, patience_s: float) -> None:
        self._stdin = process.stdin
        self._output = output
        self._watch = watch
        self._patience_s = patience_s
        self._lock = anyio.Lock()
        self._stuck_since: float | None = None
        self._probe: asyncio.TimerHandle | None = None

    async def send(self, item: SessionMessage) -> None:
        """Write a message; one that nobody waits for is not waited for either."""
        message = item.message
        data = message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n"
        if not isinstance(message, mcp_types.JSONRPCRequest):
            with anyio.move_on_after(0.05):
                await self._write(data)
            return
        if message.method == "server/discover":
            self._await_probe(message.id)
        if self._stuck_since is not None and anyio.current_time() - self._stuck_since > STUCK_S:
            self._watch.failed(ConnectionLostError("the server's process does not read its input"))
            raise anyio.BrokenResourceError
        # One writer at a time waits for a full pipe, so what is held for it is bounded.
        async with self._lock:
            if (call := CALL.get()) is not None:
                call.is_sent = True
            self._output.awaited += 1
            self._stuck_since = self._stuck_since or anyio.current_time()
            try:
                await self._write(data)
            except anyio.BrokenResourceError:
                # What was not written to its end was not read as a line.
                if call is not None:
                    call.is_sent = False
                raise
            self._stuck_since = None

    async def _write(self, data: bytes) -> None:
        if self._stdin is None:
            raise anyio.ClosedResourceError
        try:
            await self._stdin.send(data)
        except OSError:
            raise anyio.BrokenResourceError from None

    def _await_probe(self, request_id: mcp_types.RequestId) -> None:
        """Answer `server/discover` for a server that is silent about methods it does not know."""
        error = mcp_types.ErrorData(code=mcp_types.METHOD_NOT_FOUND, message="no answer")
        reply = mcp_types.JSONRPCError(jsonrpc="2.0", id=request_id, error=error)
        loop = asyncio.get_running_loop()
        self._probe = loop.call_later(self._patience_s / 2, self._output.put_in, SessionMessage(reply))

    async def aclose(self) -> None:
        """Send no more."""
        if self._probe is not None:
            self._probe.cancel()
        if self._stdin is not None:
            with suppress(*GONE):
                await self._stdin.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc_val: BaseException | None, exc_tb: TracebackType | None
    ) -> None:
        await self.aclose()


@asynccontextmanager
async def open_stdio(name: str, server: Server, watch: Watch) -> AsyncIterator[TransportStreams]:
    """Start the server's command and give the streams of its session, as the SDK's `Client` takes them.

    Raises:
        ServerDownError: the command cannot be started.
    """
    log = logging.getLogger(f"chatproxy_mcp.{name}")
    process = await start(server)
    if process.stdout is None or process.stderr is None:
        raise ServerDownError("its command cannot be started: no pipes")
    output = _Output(process.stdout, server.max_message_bytes, watch, log)
    reading = WatchedStream(output, watch)
    writing = _Input(process, output, watch, server.connect_timeout_s)
    words = Words(process.stderr, tuple(server.env.values()), log)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(words.drain)
        try:
            yield reading, writing
        finally:
            with anyio.CancelScope(shield=True):
                await writing.aclose()
                is_alone = await has_exited(process, 0.0)
                await stop(process, process.stdout)
                if is_alone and process.returncode:
                    last = f"; its last words: {words.last}" if words.last else ""
                    log.warning("the process ended with code %s%s", process.returncode, last)
            tasks.cancel_scope.cancel()
