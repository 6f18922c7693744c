"""The database does not take audit rows: the policy is kept, nothing is lost silently, what waits is written later."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Literal

import msgspec
import pytest
from chatproxy_platform.audit.debts import KIND, Debts
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig, DatabaseConfig
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.spool import Spool
from sqlalchemy import make_url

from .faults import FaultProxy, fault_proxy

Policy = Literal["refuse", "degrade"]
CONFIG = DatabaseConfig(deadline_s=2.0, failures_to_open=1000, cooling_s=0.001)
LOGGER = "chatproxy.platform.audit"


@pytest.fixture
async def proxy(postgres_url: str) -> AsyncIterator[FaultProxy]:
    url = make_url(postgres_url)
    async with fault_proxy(url.host or "", url.port or 5432) as opened:
        yield opened


@pytest.fixture
async def fragile(postgres_url: str, proxy: FaultProxy) -> AsyncIterator[Database]:
    """A database that goes away when the proxy refuses."""
    behind = make_url(postgres_url).set(host="127.0.0.1", port=proxy.port)
    opened = Database(behind.render_as_string(hide_password=False), CONFIG)
    await opened.create()
    yield opened
    await opened.aclose()


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = Spool(tmp_path / "spool", 1 << 20)
    await opened.open()
    yield opened
    await opened.aclose()


@asynccontextmanager
async def opened(database: Database, policy: Policy, spool: Spool | None) -> AsyncIterator[AuditLog]:
    log = AuditLog(database, AuditConfig(on_failure=policy), spool)
    await log.open()
    try:
        yield log
    finally:
        await log.aclose()


async def stored(database: Database) -> list[str]:
    """The resource ids of all rows, whose chain is whole."""
    log = AuditLog(database, AuditConfig())
    assert await log.verify() is None
    return [row.resource_id or "" for row in await log.tail(1000)]


def event(name: str) -> AuditEvent:
    return AuditEvent("key.created", "key", name)


class Listener(logging.Handler):
    """Tells when something is logged."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.said = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self.said.set()


@pytest.fixture
def paid() -> Iterator[asyncio.Event]:
    """Set when rows that had to wait are written."""
    listener = Listener("that had to wait are written now")
    logging.getLogger(LOGGER).addHandler(listener)
    yield listener.said
    logging.getLogger(LOGGER).removeHandler(listener)


async def test_act_is_refused_where_the_policy_says_so(fragile: Database, proxy: FaultProxy, spool: Spool) -> None:
    async with opened(fragile, "refuse", spool) as log:
        await log.record(event("before"))
        await proxy.refuse()
        with pytest.raises(StorageUnavailable) as refused:
            await log.record(event("refused"))
        assert refused.value.status == 503
        report = log.report()
        assert (report["state"], report["refused"], report["waiting_in_spool"]) == ("failing", 1, 0)
        await proxy.listen()
        await log.record(event("after"))
        assert log.report()["state"] == "ok"
    assert await stored(fragile) == ["before", "after"]


async def test_degraded_row_waits_on_disk_and_is_written_by_itself(
    fragile: Database, proxy: FaultProxy, spool: Spool, paid: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(fragile, "degrade", spool) as log:
        await log.record(event("before"))
        await proxy.refuse()
        await log.record(event("degraded"))
        report = log.report()
        assert (report["state"], report["waiting_in_spool"], report["lost"]) == ("failing", 1, 0)
        assert "the audit log cannot be written, policy degrade" in caplog.text
        await proxy.listen()
        await paid.wait()
        assert await stored(fragile) == ["before", "degraded"]
        report = log.report()
        assert (report["state"], report["waiting_in_spool"], report["written"]) == ("ok", 0, 2)


@pytest.mark.parametrize("policy", ["refuse", "degrade"])
async def test_noted_row_is_never_refused(
    fragile: Database, proxy: FaultProxy, spool: Spool, policy: Policy, paid: asyncio.Event
) -> None:
    async with opened(fragile, policy, spool) as log:
        await proxy.refuse()
        log.note(event("noted"))
        with pytest.raises(StorageUnavailable) if policy == "refuse" else nullcontext():
            await log.record(event("recorded"))
        await proxy.listen()
        await paid.wait()
    assert await stored(fragile) == ["noted"] + ["recorded"] * (policy == "degrade")


async def test_row_that_the_spool_has_no_room_for_is_kept_in_memory_and_logged(
    fragile: Database, proxy: FaultProxy, tmp_path: Path, paid: asyncio.Event, caplog: pytest.LogCaptureFixture
) -> None:
    spool = Spool(tmp_path / "spool", 1)
    async with opened(fragile, "degrade", spool) as log:
        await proxy.refuse()
        await log.record(event("kept"))
        assert log.report()["waiting_in_memory"] == 1
        assert "audit row kept in memory only" in caplog.text
        assert '"resource_id":"kept"' in caplog.text
        await proxy.listen()
        await paid.wait()
        assert log.report()["waiting_in_memory"] == 0
    await spool.aclose()
    assert await stored(fragile) == ["kept"]


async def test_row_without_any_room_is_counted_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    debts = Debts(None, max_kept=1)
    await debts.add([event("kept"), event("lost")])
    assert (debts.kept_in_memory, debts.lost) == (1, 1)
    assert "audit row lost" in caplog.text
    assert '"resource_id":"lost"' in caplog.text


async def test_row_whose_commit_was_stored_without_an_answer_is_stored_once(database: Database, spool: Spool) -> None:
    twice, fresh = event("twice"), event("fresh")
    async with opened(database, "degrade", spool) as log:
        await log.record(twice)
    await spool.put_all(KIND, [msgspec.to_builtins(each) for each in (twice, fresh, fresh)])
    async with opened(database, "degrade", spool):
        pass
    assert await stored(database) == ["twice", "fresh"]
    assert spool.waiting.get(KIND, 0) == 0


async def test_rows_outlive_a_process_that_ends_while_the_database_is_down(
    fragile: Database, proxy: FaultProxy, tmp_path: Path
) -> None:
    earlier = Spool(tmp_path / "spool", 1 << 20)
    async with opened(fragile, "refuse", earlier) as log:
        await proxy.refuse()
        log.note(event("noted"))
    await earlier.aclose()
    await proxy.listen()
    later = Spool(tmp_path / "spool", 1 << 20)
    await later.open()
    async with opened(fragile, "refuse", later) as log:
        assert log.report()["waiting_in_spool"] == 1
    await later.aclose()
    assert await stored(fragile) == ["noted"]


async def test_unreadable_row_of_the_spool_is_counted_and_holds_nothing_up(database: Database, spool: Spool) -> None:
    await spool.put_all(KIND, [{"action": 1}, msgspec.to_builtins(event("good"))])
    async with opened(database, "refuse", spool) as log:
        await log.record(event("new"))
    assert log.report()["damaged"] == 1
    assert sorted(await stored(database)) == ["good", "new"]


async def test_closed_log_refuses_and_keeps_what_is_noted(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(database, "refuse", None) as log:
        pass
    with pytest.raises(StorageUnavailable):
        await log.record(event("late"))
    log.note(event("noted late"))
    assert '"resource_id":"noted late"' in caplog.text
    assert log.report()["waiting_in_memory"] == 1


async def test_silent_database_holds_nobody_longer_than_its_deadline(
    fragile: Database, proxy: FaultProxy, spool: Spool
) -> None:
    async with opened(fragile, "refuse", spool) as log:
        await log.record(event("before"))
        proxy.is_flowing.clear()
        waiting = [asyncio.create_task(log.record(event(str(number)))) for number in range(20)]
        results = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(result) for result in results} == {StorageUnavailable}
        proxy.is_flowing.set()
