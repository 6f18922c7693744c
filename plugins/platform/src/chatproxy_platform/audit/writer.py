"""Writes rows that come one by one in groups: one transaction, and one sync of the disk, for all that wait."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from sqlalchemy.exc import SQLAlchemyError

from chatproxy import ApiError
from chatproxy_platform.audit.debts import MAX_GROUP, Debts
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.store import append
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.failures import describe

logger = logging.getLogger("chatproxy.platform.audit")

MAX_WAITING = 10_000
RETRY_S = 2.0
FAILURES = (ApiError, SQLAlchemyError)
Policy = Literal["refuse", "degrade"]


class _Waiting(NamedTuple):
    """Events that go into one transaction; ``stored`` is None where nobody waits for it."""

    events: tuple[AuditEvent, ...]
    stored: asyncio.Future[None] | None


class AuditWriter:
    """The one task of a process that writes rows which have no transaction of their own."""

    def __init__(self, database: Database, policy: Policy, debts: Debts) -> None:
        self._database = database
        self._policy = policy
        self._debts = debts
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._writing: Sequence[_Waiting] = []
        self._is_failing = False
        self._written = 0
        self._refused = 0

    @property
    def _is_open(self) -> bool:
        return self._task is not None and not self._task.done()

    def report(self) -> dict[str, Any]:
        """For ``/readyz``: whether rows are written now, and how many wait where."""
        return {
            "state": "failing" if self._is_failing else "ok",
            "on_failure": self._policy,
            "written": self._written,
            "refused": self._refused,
            "queued": len(self._queue),
            "waiting_in_spool": self._debts.spooled,
            "waiting_in_memory": self._debts.kept_in_memory,
            "lost": self._debts.lost,
            "damaged": self._debts.damaged,
        }

    def open(self) -> None:
        """Begin to write."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="chatproxy-audit")
        self._task.add_done_callback(self._ended)
        self._wake.set()

    async def aclose(self, limit_s: float) -> None:
        """Write what waits, within a limit; what is left then goes to the spool, else into the log."""
        task, self._task = self._task, None
        if task is None:
            return
        self._wake.set()
        try:
            await asyncio.wait([task], timeout=limit_s)
        finally:
            task.cancel()
        await asyncio.wait([task], timeout=limit_s)
        await self._not_written([*self._writing, *self._queue])
        await self._debts.respool()

    async def store(self, events: tuple[AuditEvent, ...]) -> None:
        """Have rows written, and wait for it.

        Raises:
            StorageUnavailable: they could not be written, and the policy is to refuse then (503).
        """
        if not self._is_open:
            raise StorageUnavailable("The audit log is not open.")
        config = self._database.config
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(events, stored)
        if len(self._queue) >= MAX_WAITING:
            await self._not_written([waiting])
        else:
            self._queue.append(waiting)
            self._wake.set()
        try:
            async with asyncio.timeout(2 * (config.deadline_s + config.busy_timeout_s)):
                await stored
        except TimeoutError as exc:
            raise StorageUnavailable from exc

    def note(self, event: AuditEvent) -> None:
        """Have a row written soon; nobody waits for it."""
        if not self._is_open or len(self._queue) >= MAX_WAITING:
            self._debts.keep([event])
        else:
            self._queue.append(_Waiting((event,), None))
            self._wake.set()

    # -- the task -----------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._woken()
            has_failed = False
            while self._queue:
                await self._write(self._group())
                has_failed = self._is_failing
            if not has_failed:
                await self._pay()
            if self._task is None:
                return

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A defect ended the task: nobody shall wait for it."""
        if task.cancelled() or task.exception() is None:
            return
        logger.critical("the audit log's writer failed", exc_info=task.exception())
        self._is_failing = True
        for waiting in (*self._writing, *self._queue):
            _resolve(waiting, StorageUnavailable())

    async def _woken(self) -> None:
        has_debts = bool(self._debts.kept_in_memory or self._debts.spooled)
        with suppress(TimeoutError):
            async with asyncio.timeout(RETRY_S if has_debts else None):
                await self._wake.wait()
        self._wake.clear()

    def _group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._queue and (not group or size + len(self._queue[0].events) <= MAX_GROUP):
            group.append(self._queue.popleft())
            size += len(group[-1].events)
        return group

    async def _write(self, group: Sequence[_Waiting]) -> None:
        events = [event for waiting in group for event in waiting.events]
        self._writing = group
        try:
            async with self._database.write(durable=True) as session:
                await append(session, events)
        except FAILURES as exc:
            self._tell_failing(exc)
            await self._not_written(group)
        else:
            self._written += len(events)
            self._tell_working()
            for waiting in group:
                _resolve(waiting)
        self._writing = []

    async def _not_written(self, group: Sequence[_Waiting]) -> None:
        """Do what the policy says; what nobody waits for, nobody can be refused."""
        owed: list[_Waiting] = []
        for waiting in group:
            if self._policy == "refuse" and waiting.stored is not None:
                self._refused += len(waiting.events)
                _resolve(waiting, StorageUnavailable("The audit log cannot be written; nothing was done."))
            else:
                owed.append(waiting)
        if owed:
            await self._debts.add([event for waiting in owed for event in waiting.events])
        for waiting in owed:
            _resolve(waiting)

    async def _pay(self) -> None:
        try:
            paid = await self._debts.pay(self._database)
        except FAILURES as exc:
            self._tell_failing(exc)
        else:
            self._written += paid
            if paid:
                self._tell_working()
                logger.warning("%d audit rows that had to wait are written now", paid)

    def _tell_failing(self, exc: Exception) -> None:
        if not self._is_failing:
            logger.error("the audit log cannot be written, policy %s: %s", self._policy, describe(exc.__cause__ or exc))
        self._is_failing = True

    def _tell_working(self) -> None:
        if self._is_failing:
            logger.warning("the audit log is written again")
        self._is_failing = False


def _resolve(waiting: _Waiting, error: StorageUnavailable | None = None) -> None:
    if waiting.stored is None or waiting.stored.done():
        return
    if error is None:
        waiting.stored.set_result(None)
    else:
        waiting.stored.set_exception(StorageUnavailable(error.message))  # to each its own, for it is raised there
