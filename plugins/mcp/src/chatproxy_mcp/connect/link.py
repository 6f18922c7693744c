"""Link: one session with a server, and the task that owns it.

Rule: what a session holds (task groups, a process, sockets) is entered and left in one task; callers only wait for it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context
from typing import Any, TypeVar, cast

import anyio
import mcp_types
import msgspec
from mcp import Client, MCPError
from mcp.client import ClientSession
from mcp.client._transport import Transport
from mcp.client.session import IncomingMessage
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost
from pydantic import TypeAdapter, ValidationError

from chatproxy_mcp.connect.errors import (
    UNFIT,
    CallRefusedError,
    CallTimeoutError,
    ConnectionLostError,
    InputRefusedError,
    ServerDownError,
    ServerError,
    clean,
)
from chatproxy_mcp.connect.listing import Listing
from chatproxy_mcp.connect.meaning import NotSentError, broken, down, meaning_of
from chatproxy_mcp.connect.peer import Peer, peer_of
from chatproxy_mcp.connect.watch import CALL, Call, Watch

CLOSE_S = 8.0
HANG_UP_S = 2.0
LISTEN_AGAIN_S = (1.0, 60.0)
MAX_PAGES = 128
MAX_LISTED = 10_000
MAX_TURNS = 10
TURN_S = 0.05
TURN_LONGEST_S = 1.0

log = logging.getLogger("chatproxy_mcp")

ResultT = TypeVar("ResultT")
MakeTransport = Callable[[Watch], Transport]
_Called = mcp_types.CallToolResult | mcp_types.InputRequiredResult
_CALLED: TypeAdapter[_Called] = TypeAdapter(_Called)


class Patience(msgspec.Struct, frozen=True):
    """How long somebody waits.

    Attributes:
        deadline: by the loop's clock.
        timeout_s: what it was made of, to tell.
    """

    deadline: float
    timeout_s: float


class Link:
    """One session.

    Attributes:
        peer: None until it is open.
        claims: who waits for it, and the calls that run.
        is_proven: the server answered a request over it.
        was_closed: it ended because its owner had no more use for it.
        last_used: by the loop's clock.
    """

    def __init__(
        self,
        make: MakeTransport,
        *,
        mode: str,
        client_info: mcp_types.Implementation,
        connect_timeout_s: float,
        on_expiry: Callable[[Link], None],
        on_end: Callable[[Link], None],
        on_change: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch = Watch(self._expired)
        self._make = make
        self._mode = mode
        self._info = client_info
        self._connect_timeout_s = connect_timeout_s
        self._on_expiry = on_expiry
        self._on_end = on_end
        self._on_change = on_change
        self._stop = asyncio.Event()
        self._scope = anyio.CancelScope()
        self._opened: asyncio.Future[None] = self._loop.create_future()
        self._client: Client | None = None
        self.peer: Peer | None = None
        self.claims = 0
        self.is_proven = False
        self.was_closed = False
        self.last_used = self._loop.time()

    @property
    def is_usable(self) -> bool:
        """Whether a call may be given to it, at once or when it is open."""
        return not (self._watch.is_expired or self._stop.is_set())

    @property
    def fault(self) -> ServerError | None:
        """Why it ended or could not be opened."""
        return self._watch.fault

    def start(self) -> asyncio.Task[None]:
        """Begin to open it; the task is its owner's to keep."""
        # Not in the context of the request that happened to be first.
        return self._loop.create_task(self._run(), context=Context())

    def close(self, *, now: bool = False) -> None:
        """Take no more calls, and end once nobody needs it, or at once."""
        self.was_closed = True
        self._watch.is_expired = True
        if now and self.peer is None:
            self._scope.cancel()
        if now or not self.claims:
            self._stop.set()

    def release(self) -> None:
        """Give back a claim."""
        self.claims -= 1
        self.last_used = self._loop.time()
        if not self.claims and self._watch.is_expired:
            self._stop.set()

    async def opened(self) -> Peer:
        """Wait until the session stands.

        Raises:
            ServerError: it could not be opened.
        """
        if self.peer is None:
            await asyncio.shield(self._opened)
        if self.peer is None:
            fault = self._watch.fault or ServerDownError("the session was closed")
            raise fault.with_traceback(None)  # many wait for the one session
        return self.peer

    async def call_tool(
        self, name: str, arguments: dict[str, Any], meta: Mapping[str, Any], patience: Patience
    ) -> mcp_types.CallToolResult:
        """Call a tool.

        Raises:
            NotSentError: the call did not reach the server.
            ServerError: any other failure.
        """
        state: str | None = None
        has_listed = False
        for turn in range(MAX_TURNS):
            params = mcp_types.CallToolRequestParams(
                name=name, arguments=arguments, request_state=state, _meta=cast("Any", dict(meta) or None)
            )
            try:
                # Not `Client.call_tool`: it lists the tools of every new session, and checks structured content itself.
                asking = self._session().send_request(mcp_types.CallToolRequest(params=params), _CALLED)
                result = await self._run_call(asking, patience)
            except CallRefusedError as exc:
                if exc.code != mcp_types.HEADER_MISMATCH or has_listed:
                    raise
                # The tool's arguments are mirrored in headers by its schema, which this session has not seen.
                has_listed = True
                await self.list_tools(MAX_LISTED, patience)
                continue
            if isinstance(result, mcp_types.CallToolResult):
                return result
            if result.input_requests:
                raise InputRefusedError
            state = result.request_state
            await asyncio.sleep(min(TURN_S * 2**turn, TURN_LONGEST_S))
        raise InputRefusedError

    async def list_tools(self, limit: int, patience: Patience) -> Listing:
        """List the tools, until there are more than the limit.

        Raises:
            NotSentError: the first request did not reach the server.
            ServerError: any other failure.
        """
        tools: list[mcp_types.Tool] = []
        cursor: str | None = None
        ttl_s: float | None = None
        for _ in range(MAX_PAGES):
            session = self._session()
            asking = session.list_tools(params=mcp_types.PaginatedRequestParams(cursor=cursor))
            page = await self._run_call(asking, patience)
            if cursor is None and "ttl_ms" in page.model_fields_set:
                ttl_s = page.ttl_ms / 1000
            tools += page.tools
            if len(tools) > limit:
                return Listing(tools=tools[: limit + 1], ttl_s=ttl_s, is_partial=True)
            if page.next_cursor is None:
                return Listing(tools=tools, ttl_s=ttl_s)
            cursor = page.next_cursor
        return Listing(tools=tools, ttl_s=ttl_s, is_partial=True)

    # One request.

    async def _run_call(self, asking: Coroutine[Any, Any, ResultT], patience: Patience) -> ResultT:
        """Run a request of the SDK, say what its failure means, and leave nothing of it behind."""
        watch = self._watch
        with anyio.CancelScope(deadline=patience.deadline) as scope:
            call = Call(scope)
            token = CALL.set(call)
            watch.calls.add(call)
            try:
                result = await asking
            except MCPError as exc:
                error = meaning_of(call, watch, exc)
            except ValidationError:
                error = ServerError(UNFIT)
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                error = watch.fault or ConnectionLostError("the session ended")
            else:
                if call.was_asked and getattr(result, "is_error", False):
                    raise InputRefusedError
                self.is_proven = True
                return result
            finally:
                watch.calls.discard(call)
                CALL.reset(token)
                call.is_over = True
                if call.hang_ups:
                    self._loop.call_later(HANG_UP_S, call.hang_up)
            if not call.is_sent and isinstance(error, ConnectionLostError | ServerDownError):
                raise NotSentError(error)
            raise error
        raise call.fault or CallTimeoutError(f"no answer came within {patience.timeout_s:g} s")

    def _session(self) -> ClientSession:
        if self._client is None:
            raise NotSentError(self._watch.fault or ConnectionLostError("the session ended"))
        return self._client.session

    # The owner's task.

    async def _run(self) -> None:
        watch = self._watch
        with self._scope as scope:
            scope.deadline = anyio.current_time() + self._connect_timeout_s
            call = Call(scope)
            try:
                await self._hold(scope, call)
            except Exception as exc:  # noqa: BLE001 - the SDK's task groups raise what their tasks raised
                # At the end they raise what they could not deliver any more.
                if not self._stop.is_set():
                    watch.failed(broken(exc, call))
            finally:
                self._client = None
                if self.peer is None:
                    watch.fault = down(watch.fault or call.fault, self._connect_timeout_s)
                watch.failed(ConnectionLostError("the session was closed"))
                self._on_end(self)
                if not self._opened.done():
                    self._opened.set_result(None)

    async def _hold(self, scope: anyio.CancelScope, call: Call) -> None:
        """Open the session, keep it until it is not needed, close it."""
        token = CALL.set(call)
        self._watch.calls.add(call)
        client = Client(
            self._make(self._watch),
            mode=self._mode,
            cache=None,
            client_info=self._info,
            message_handler=self._on_message,
        )
        async with client:
            self._watch.calls.discard(call)
            CALL.reset(token)
            scope.deadline = math.inf
            self._client = client
            self.peer = peer_of(client)
            self._watch.is_standing = True
            self.last_used = self._loop.time()
            self._opened.set_result(None)
            try:
                await self._serve(client)
            finally:
                scope.deadline = anyio.current_time() + CLOSE_S

    async def _serve(self, client: Client) -> None:
        if self.peer is None or not (self.peer.is_modern and self.peer.lists_change):
            await self._stop.wait()
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, client)
            await self._stop.wait()
            tasks.cancel_scope.cancel()

    async def _listen(self, client: Client) -> None:
        """Keep a subscription open; the notifications themselves come by `_on_message`."""
        wait_s = LISTEN_AGAIN_S[0]
        while True:
            began = self._loop.time()
            try:
                async with client.listen(tools_list_changed=True) as subscription:
                    async for _ in subscription:
                        pass
            except SubscriptionLost:
                pass
            except (MCPError, TimeoutError, ListenNotSupportedError) as exc:
                log.debug("a subscription was refused: %s", clean(str(exc)))
                return
            wait_s = (
                LISTEN_AGAIN_S[0]
                if self._loop.time() - began > LISTEN_AGAIN_S[1]
                else min(wait_s * 2, LISTEN_AGAIN_S[1])
            )
            await asyncio.sleep(wait_s)
            self._on_change()

    async def _on_message(self, message: IncomingMessage) -> None:
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._on_change()

    def _expired(self) -> None:
        """Let the owner forget this session; a session that broke ends now, another when its calls are done."""
        if self._watch.fault is not None or not self.claims:
            self._stop.set()
        self._on_expiry(self)
