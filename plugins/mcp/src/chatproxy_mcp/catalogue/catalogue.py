"""Catalogue: the tools of all servers as they may be offered, in memory and kept fresh in the background.

Rule: no request waits for a server save the first that needs it, and that one only `Config.list_wait_s`; a server that
is down costs its tools and nothing else. Every task belongs to the catalogue and ends with it.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from math import inf
from types import TracebackType
from typing import Any, Self

from chatproxy_mcp.catalogue.judging import Verdict, judge
from chatproxy_mcp.catalogue.listing import Candidate, Listed, Lister, Reading, read
from chatproxy_mcp.catalogue.pins import Pins
from chatproxy_mcp.config import Config, Server
from chatproxy_mcp.connect.errors import ServerError
from chatproxy_mcp.tool import Tool

MIN_TTL_S = 5.0
MAX_TTL_S = 3600.0
MIN_GAP_S = 1.0
"""Between two questions to a server that keeps saying that its tools have changed."""
READING_SHARE = 20
"""So many times as long as it took to read an answer, the server is not asked again."""
RETRY_S = 2.0
MAX_RETRY_S = 30.0
KEPT_S = 60.0
"""For so long tools stay on offer while their server does not answer."""
PINS_POLL_S = 0.5

_ALARMS = frozenset({"changed", "hidden_text", "look_alike"})
_log = logging.getLogger("chatproxy_mcp")


class _Entry:
    """What is known of one server."""

    def __init__(self, name: str, server: Server, *, is_guest: bool) -> None:
        self.name = name
        self.server = server
        self.is_guest = is_guest
        self.tools: tuple[Tool, ...] | None = None
        self.reading: Reading | None = None
        self.verdict = Verdict()
        self.due = -inf
        self.started = -inf
        self.failing_since: float | None = None
        self.failures = 0
        self.is_dirty = False
        self.cost_s = 0.0
        self.task: asyncio.Task[None] | None = None
        self.error: str | None = None
        self.listed_at: datetime | None = None
        self.ttl_s: float | None = None
        self.is_partial = False
        self.alarms: frozenset[tuple[str, str, str]] = frozenset()

    @property
    def known(self) -> dict[str, Candidate]:
        """What the last answer had, by the tools' own names."""
        return {} if self.reading is None else {found.tool.name: found for found in self.reading.candidates}


class Catalogue:
    """The tools of all servers; used as an async context manager, which owns the tasks."""

    def __init__(
        self,
        config: Config,
        links: Lister,
        pins: Pins,
        *,
        clock: Callable[[], float] = time.monotonic,
        pins_poll_s: float = PINS_POLL_S,
    ) -> None:
        self._config = config
        self._links = links
        self._pins = pins
        self._clock = clock
        self._pins_poll_s = pins_poll_s
        self._entries = {name: _Entry(name, server, is_guest=False) for name, server in config.servers.items()}
        self._tasks: set[asyncio.Task[None]] = set()
        self._publishing = asyncio.Lock()
        self._published = asyncio.Event()
        self._is_closed = False

    async def __aenter__(self) -> Self:
        if self._pins.path is not None and self._config.servers:  # the tools of clients' own servers are never pinned
            self._spawn(self._watch_pins())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._is_closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- what requests ask --------------------------------------------------------------------------------------------

    def peek(self, server: str) -> tuple[Tool, ...] | None:
        """The tools of a server as they are in memory; None: wait for them by `tools_of`.

        A refresh that is due begins in the background. A server that nobody knows, or that a request has waited for
        already, has no tools.
        """
        entry = self._entries.get(server)
        if entry is None:
            return ()
        if entry.tools is None:
            if entry.task is not None and self._left_s(entry) <= 0:
                entry.tools = ()
        elif self._clock() >= entry.due and not self._is_closed:
            self._start(entry)
        return entry.tools

    async def tools_of(self, server: str) -> tuple[Tool, ...]:
        """The tools of a server; the first time this waits for them, at most ``list_wait_s`` and ``list_timeout_s``."""
        entry = self._entries.get(server)
        if entry is None:
            return ()
        if entry.tools is None and not self._is_closed:
            task = self._start(entry)
            await asyncio.wait({task}, timeout=max(self._left_s(entry), 0.0))
            if entry.tools is None:
                entry.tools = ()
        return self.peek(server) or ()

    def _left_s(self, entry: _Entry) -> float:
        """How long requests still wait for the first answer of a server; many that come one by one wait once."""
        limit = min(entry.server.list_timeout_s, self._config.list_wait_s)
        return entry.started + limit - self._clock()

    def changed(self, server: str) -> None:
        """A server says that its tools have changed: ask it again, once, in the background."""
        entry = self._entries.get(server)
        if entry is None:
            return
        if entry.task is not None:
            entry.is_dirty = True
            return
        entry.due = min(entry.due, entry.started + max(MIN_GAP_S, READING_SHARE * entry.cost_s))
        if entry.tools is not None and self._clock() >= entry.due and not self._is_closed:
            self._start(entry)

    # -- servers that a request brings --------------------------------------------------------------------------------

    def add(self, name: str, server: Server) -> None:
        """Know one more server, which is not the operator's: scanned, never pinned."""
        self._entries.setdefault(name, _Entry(name, server, is_guest=True))

    def remove(self, name: str) -> None:
        """Forget a server that was added."""
        entry = self._entries.get(name)
        if entry is not None and entry.is_guest:
            del self._entries[name]
            if entry.task is not None:
                entry.task.cancel()

    # -- what operators ask -------------------------------------------------------------------------------------------

    async def refresh(self, server: str) -> None:
        """Ask a server now; `report` says what came of it.

        Raises:
            LookupError: there is no such server.
        """
        entry = self._entries.get(server)
        if entry is None:
            raise LookupError(f"no server is called {server!r}; known are {', '.join(sorted(self._entries)) or 'none'}")
        await asyncio.shield(self._start(entry))

    async def reread_pins(self) -> None:
        """Read the file of pins again if it is another, and judge by it."""
        async with self._publishing:
            is_other = await asyncio.to_thread(self._pins.refresh)
        if is_other:
            if self._pins.fault:
                _log.error("no tool is offered: %s", self._pins.fault)
            await self._publish()

    async def settled(self) -> None:
        """Wait until no server is being asked."""
        while tasks := [entry.task for entry in self._entries.values() if entry.task is not None]:
            await asyncio.wait(tasks)

    async def next_change(self) -> None:
        """Wait until some server's tools are judged anew."""
        await self._published.wait()

    def seen(self, server: str) -> Mapping[str, Tool]:
        """All tools of the last listing that can be shown, withheld ones too, by their own names."""
        entry = self._entries.get(server)
        return {} if entry is None else {name: found.tool for name, found in entry.known.items()}

    def report(self) -> dict[str, Any]:
        """What is offered and what is not, and why; JSON values."""
        return {
            "pinning": self._config.pinning,
            "pins_fault": self._pins.fault or self._pins.unsaved,
            "servers": {name: self._report(entry) for name, entry in sorted(self._entries.items())},
        }

    def _report(self, entry: _Entry) -> dict[str, Any]:
        offered = [
            {
                "name": tool.name,
                "offered": tool.offered,
                "digest": tool.digest,
                "flags": list(tool.flags),
                "pinned": (pin := self._pins.get(entry.name, tool.name)) is not None and not entry.is_guest,
                "approved": pin is not None and pin.is_approved and not entry.is_guest,
                "needs_approval": tool.needs_approval,
            }
            for tool in entry.tools or ()
        ]
        withheld = [
            {"name": one.name, "reason": one.reason, "detail": one.detail, "digest": one.digest}
            for one in entry.verdict.withheld
        ]
        return {
            "tools": offered,
            "withheld": withheld,
            "listed_at": entry.listed_at and entry.listed_at.isoformat(timespec="seconds"),
            "ttl_s": entry.ttl_s,
            "is_partial": entry.is_partial,
            "error": entry.error,
        }

    # -- tasks --------------------------------------------------------------------------------------------------------

    def _start(self, entry: _Entry) -> asyncio.Task[None]:
        """Ask a server in a task, one at a time; a task outlives the request that began it, and has none of it."""
        if entry.task is None:
            entry.due, entry.started, entry.is_dirty = inf, self._clock(), False
            entry.task = self._spawn(self._ask(entry))
        return entry.task

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, context=contextvars.Context())
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the catalogue of tools failed: %s", error, exc_info=error)

    async def _watch_pins(self) -> None:
        while True:
            await asyncio.sleep(self._pins_poll_s)
            await self.reread_pins()

    async def _ask(self, entry: _Entry) -> None:
        listing: Listed | None = None
        try:
            async with asyncio.timeout(entry.server.connect_timeout_s + entry.server.list_timeout_s):
                listing = await self._links.list_tools(entry.name)
            began = self._clock()
            reading = await asyncio.to_thread(
                read,
                entry.name,
                entry.server,
                listing.tools,
                entry.known,
                max_description=self._config.max_description,
            )
            entry.cost_s = self._clock() - began
            entry.reading, entry.error = reading, None
            entry.listed_at, entry.is_partial = datetime.now(UTC), listing.is_partial
            entry.failures, entry.failing_since = 0, None
            await self._publish()
        except ServerError as exc:
            await self._failed(entry, str(exc))
        except TimeoutError:
            await self._failed(entry, "it did not list its tools in time")
        finally:
            entry.task = None
            self._plan(entry, listing)

    def _plan(self, entry: _Entry, listing: Listed | None) -> None:
        """When to ask again."""
        now = self._clock()
        if listing is None:
            entry.due = now + min(MAX_RETRY_S, RETRY_S * 2.0 ** min(entry.failures - 1, 10))
            return
        # the SDK of mcp 2.3 says 0, "stale at once", for every server that says nothing
        entry.ttl_s = min(max(listing.ttl_s or entry.server.ttl_s, MIN_TTL_S), MAX_TTL_S)
        entry.due = max(
            entry.started + MIN_GAP_S if entry.is_dirty else now + entry.ttl_s, now + READING_SHARE * entry.cost_s
        )

    async def _failed(self, entry: _Entry, error: str) -> None:
        """Keep what is known for a while: most servers come back."""
        now = self._clock()
        entry.error, entry.failures = error, entry.failures + 1
        entry.failing_since = now if entry.failing_since is None else entry.failing_since
        if entry.reading is None or now - entry.failing_since >= KEPT_S:
            entry.reading = None
            await self._publish()

    async def _publish(self) -> None:
        """Judge everything that is known, pin what is new, and offer the rest."""
        async with self._publishing:
            readings = {name: entry.reading for name, entry in self._entries.items() if entry.reading is not None}
            guests = {name for name, entry in self._entries.items() if entry.is_guest}
            verdicts = await asyncio.to_thread(self._judge, readings, guests)
            for name, entry in self._entries.items():
                self._show(entry, verdicts.get(name))
        self._published.set()
        self._published = asyncio.Event()

    def _judge(self, readings: Mapping[str, Reading], guests: set[str]) -> dict[str, Verdict]:
        verdicts = judge(self._config, readings, self._pins, guests)
        if fresh := [tool for verdict in verdicts.values() for tool in verdict.fresh]:
            if not self._pins.pin(fresh):
                _log.warning("new tools are pinned until this process ends only: %s", self._pins.unsaved)
            verdicts = judge(self._config, readings, self._pins, guests)
        return verdicts

    def _show(self, entry: _Entry, verdict: Verdict | None) -> None:
        """Put a verdict on offer; what is as before stays the same object, so that offers made of it hold."""
        if verdict is None:
            if entry.error is not None and entry.reading is None:
                entry.tools, entry.verdict = (), Verdict()
            return
        before = {tool.offered: tool for tool in entry.tools or ()}
        tools = tuple(old if (old := before.get(tool.offered)) == tool else tool for tool in verdict.tools)
        entry.verdict = verdict
        if entry.tools is None or len(tools) != len(entry.tools) or any(map(_differ, tools, entry.tools)):
            entry.tools = tools
        self._warn(entry)

    def _warn(self, entry: _Entry) -> None:
        """Say once of each tool that it became another, or hides something."""
        alarms = frozenset(
            (one.name, one.reason, one.detail) for one in entry.verdict.withheld if one.reason in _ALARMS
        )
        for name, reason, detail in sorted(alarms - entry.alarms):
            _log.warning("tool %s of server %s is withheld: %s: %s", ascii(name)[:80], entry.name, reason, detail)
        entry.alarms = alarms


def _differ(one: Tool, other: Tool) -> bool:
    return one is not other
