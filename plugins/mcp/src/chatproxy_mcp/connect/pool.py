"""Pool: the sessions with one server, one per tenant.

Rule: a session that somebody waits for or calls over is never closed for another; who finds no room waits. After a
failure nobody connects until the back-off is over: calls fail at once.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import mcp_types

from chatproxy_mcp.config import Server
from chatproxy_mcp.connect.backoff import Backoff
from chatproxy_mcp.connect.errors import CallTimeoutError, ConnectionLostError, ServerDownError, ServerError
from chatproxy_mcp.connect.link import Link, MakeTransport, Patience
from chatproxy_mcp.connect.listing import LinkState, Listing, Status
from chatproxy_mcp.connect.meaning import NotSentError
from chatproxy_mcp.connect.peer import Peer

CHANGE_EVERY_S = 1.0
SHARED = ""

ResultT = TypeVar("ResultT")


class Pool:
    """Owned by `Links`; `tasks` are its sessions' owners, which it may outlive by `CLOSE_S`.

    Attributes:
        tasks: of sessions that are open, opening or closing.
    """

    def __init__(
        self,
        name: str,
        server: Server,
        make: MakeTransport,
        *,
        client_info: mcp_types.Implementation,
        on_change: Callable[[str], None],
    ) -> None:
        self._name = name
        self._server = server
        self._make = make
        self._info = client_info
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._links: dict[str, Link] = {}
        self._room: deque[asyncio.Future[None]] = deque()
        self._backoff = Backoff(self._loop.time)
        self._peer: Peer | None = None
        self._last_error: str | None = None
        self._is_closed = self._is_down = False
        self._calls = self._failures = 0
        self._timers: dict[Link, asyncio.TimerHandle] = {}
        self._change_timer: asyncio.TimerHandle | None = None
        self._is_change_due = False
        self.tasks: set[asyncio.Task[None]] = set()

    @property
    def protocol_version(self) -> str | None:
        """What was agreed on when a session was opened last."""
        return self._peer.protocol_version if self._peer else None

    async def list_tools(self) -> Listing:
        """List the tools over the session that all tenants share.

        Raises:
            ServerError: any of them.
        """
        patience = self._patience(self._server.list_timeout_s)
        limit = self._server.max_tools
        try:
            return await self._do(SHARED, patience, lambda link: link.list_tools(limit, patience))
        except ConnectionLostError:
            # Asking twice changes nothing at the server.
            return await self._do(SHARED, patience, lambda link: link.list_tools(limit, patience))

    async def call(
        self, name: str, arguments: dict[str, Any], *, tenant: str, meta: Mapping[str, Any], timeout_s: float
    ) -> mcp_types.CallToolResult:
        """Call a tool over a tenant's session.

        Raises:
            ServerError: any of them.
        """
        self._calls += 1
        if not self._links and self._peer is not None and self._peer.lists_change:
            self._changed()  # nobody listened meanwhile
        patience = self._patience(timeout_s)
        try:
            return await self._do(tenant, patience, lambda link: link.call_tool(name, arguments, meta, patience))
        except ServerError:
            self._failures += 1
            raise

    def close(self, *, now: bool = False) -> None:
        """Take no more calls; sessions end when theirs are done, or at once."""
        self._is_closed = True
        if self._change_timer is not None:
            self._change_timer.cancel()
        for link in list(self._links.values()):
            self._forget(link)
            link.close(now=now)
        while self._room:
            self._tell_room()

    def state(self) -> LinkState:
        """What is known of the server."""
        opened = [link for link in self._links.values() if link.peer is not None]
        retry_in_s = self._backoff.remaining_s
        status: Status = "ready" if opened else "connecting" if self._links else "down" if self._is_down else "idle"
        return LinkState(
            status=status,
            sessions=len(opened),
            protocol_version=self.protocol_version,
            server_name=self._peer.name if self._peer else None,
            server_version=self._peer.version if self._peer else None,
            last_error=self._last_error,
            retry_in_s=math.ceil(retry_in_s * 1000) / 1000,
            calls=self._calls,
            failures=self._failures,
        )

    # A call's session.

    def _patience(self, timeout_s: float) -> Patience:
        return Patience(self._loop.time() + timeout_s, timeout_s)

    async def _do(self, tenant: str, patience: Patience, work: Callable[[Link], Awaitable[ResultT]]) -> ResultT:
        """Run something over a session; on another one if it did not leave the first."""
        for is_last in (False, True):
            async with self._claim(tenant, patience) as link:
                try:
                    result = await work(link)
                except NotSentError as exc:
                    if link.is_usable:
                        self._note(link, exc.reason)
                    self._drop(link)
                    if is_last:
                        raise exc.reason from None
                else:
                    self._backoff.succeeded()
                    self._is_down = False
                    self._last_error = None
                    return result
        raise AssertionError

    @asynccontextmanager
    async def _claim(self, tenant: str, patience: Patience) -> AsyncIterator[Link]:
        """Hold an open session; it is not closed meanwhile.

        Raises:
            ServerDownError: there is none, and none can be had.
            CallTimeoutError: the time is over before there is one.
        """
        try:
            async with asyncio.timeout_at(patience.deadline):
                link = await self._open_link(tenant)
        except TimeoutError as exc:
            raise CallTimeoutError(f"no session stood within {patience.timeout_s:g} s") from exc
        try:
            yield link
        finally:
            self._release(link)

    async def _open_link(self, tenant: str) -> Link:
        while True:
            link = self._links.get(key := self._key(tenant))
            if link is None:
                link = await self._start(key)
                if link is None:
                    continue
            link.claims += 1
            try:
                peer = await link.opened()
            except BaseException:
                self._release(link)
                raise
            self._peer = peer
            if self._key(tenant) == key and link.is_usable:
                return link
            self._release(link)

    def _key(self, tenant: str) -> str:
        """Which session a tenant's calls go over.

        A server of 2026-07-28 or later over HTTP keeps no session, so there is nothing to keep apart. What it is is
        not known before the first session, which is the shared one.
        """
        if self._server.session == "shared" or self._peer is None:
            return SHARED
        if self._peer.is_modern and self._server.url is not None:
            return SHARED
        return tenant

    async def _start(self, key: str) -> Link | None:
        """Begin to open a session; None: wait is over, look again."""
        if self._is_closed:
            raise ServerDownError("the server is no longer in use")
        if (wait_s := self._backoff.remaining_s) > 0:
            why = f": {self._last_error}" if self._last_error else ""
            raise ServerDownError(f"the server is down{why}", retry_in_s=round(wait_s, 3))
        if len(self._links) >= self._server.max_sessions and not self._make_room():
            await self._wait_for_room()
            return None
        link = Link(
            self._make,
            mode=self._server.protocol,
            client_info=self._info,
            connect_timeout_s=self._server.connect_timeout_s,
            on_expiry=self._forget,
            on_end=self._ended,
            on_change=self._changed,
        )
        self._links[key] = link
        task = link.start()
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return link

    def _release(self, link: Link) -> None:
        link.release()
        if link.claims:
            return
        if link not in self._timers and link in self._links.values():
            self._arm(link, self._server.session_idle_s)
        self._tell_room()

    def _arm(self, link: Link, wait_s: float) -> None:
        self._timers[link] = self._loop.call_later(wait_s, self._look_idle, link)

    def _look_idle(self, link: Link) -> None:
        """Close a session that was not used for long; the timer is not touched by each call."""
        self._timers.pop(link, None)
        left_s = link.last_used + self._server.session_idle_s - self._loop.time()
        if link.claims:
            return
        if left_s > 0.001:
            self._arm(link, left_s)
        else:
            self._drop(link)

    # Room.

    def _make_room(self) -> bool:
        """Close the session that was idle for longest."""
        idle = [link for link in self._links.values() if not link.claims]
        if idle:
            self._drop(min(idle, key=lambda link: link.last_used))
        return bool(idle)

    async def _wait_for_room(self) -> None:
        waiter = self._loop.create_future()
        self._room.append(waiter)
        try:
            async with asyncio.timeout(self._server.connect_timeout_s):
                await waiter
        except TimeoutError:
            raise ServerDownError(f"all {self._server.max_sessions} sessions with the server are busy") from None
        except asyncio.CancelledError:
            if waiter not in self._room:
                self._tell_room()  # the room that was told of is another's
            raise
        finally:
            if waiter in self._room:
                self._room.remove(waiter)

    def _tell_room(self) -> None:
        """Let one who waits look again."""
        while self._room:
            waiter = self._room.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    # The ends of sessions.

    def _drop(self, link: Link) -> None:
        """Give no more calls to a session."""
        self._forget(link)
        link.close()

    def _forget(self, link: Link) -> None:
        if (timer := self._timers.pop(link, None)) is not None:
            timer.cancel()
        for key, known in self._links.items():
            if known is link:
                del self._links[key]
                self._tell_room()
                return

    def _ended(self, link: Link) -> None:
        """Note that a session ended by itself."""
        self._forget(link)
        if link.fault is not None and not link.was_closed:
            self._note(link, link.fault)

    def _note(self, link: Link, fault: ServerError) -> None:
        """Remember what went wrong; a session that never was of use counts as a failure to connect."""
        self._last_error = str(fault)
        if link.is_proven:
            return
        self._is_down = True
        wait_s = self._backoff.failed()
        if isinstance(fault, ServerDownError):
            fault.retry_in_s = round(wait_s, 3)

    # Changes of its list.

    def _changed(self) -> None:
        """Pass on that the tools changed, at most once a second."""
        if self._is_closed:
            return
        if self._change_timer is not None:
            self._is_change_due = True
            return
        self._change_timer = self._loop.call_later(CHANGE_EVERY_S, self._change_again)
        self._on_change(self._name)

    def _change_again(self) -> None:
        self._change_timer = None
        if self._is_change_due:
            self._is_change_due = False
            self._changed()
