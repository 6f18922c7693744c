"""The audit log on both databases: rows are written, read page by page, and stay as they are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress

import pytest
from chatproxy_platform.audit.events import AuditEvent, Entry
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.audit.reading import BATCH
from chatproxy_platform.config import AuditConfig
from chatproxy_platform.storage.database import Database


@pytest.fixture
async def log(database: Database) -> AsyncIterator[AuditLog]:
    opened = AuditLog(database, AuditConfig())
    await opened.open()
    yield opened
    await opened.aclose()


async def rows_of(log: AuditLog) -> list[Entry]:
    """All rows, the oldest first."""
    return [row async for batch in log.reader.batches() for row in batch]


async def test_rows_come_out_as_they_were_put_in(log: AuditLog) -> None:
    event = AuditEvent("key.created", "key", "k1", "ann", "acme", {"name": "ü", "role": "user"})
    await log.record(event)
    entries, count = await log.page()
    assert count == 1
    shown = entries[0].shown()
    assert shown.pop("timestamp").endswith("Z")
    assert shown == {
        "id": event.id,
        "user_id": "ann",
        "org_id": "acme",
        "action": "key.created",
        "resource": "key",
        "resource_id": "k1",
        "metadata": {"name": "ü", "role": "user"},
    }


async def test_nobody_and_no_organization_are_null(log: AuditLog) -> None:
    await log.record(AuditEvent("authentication.refused", "key"))
    shown = (await log.tail(1))[0].shown()
    assert [shown[name] for name in ("user_id", "org_id", "resource_id", "metadata")] == [None, None, None, {}]


async def test_text_that_databases_refuse_is_stored_without_it(log: AuditLog) -> None:
    await log.record(AuditEvent("a\0b", "r\ud800", "x" * 1000, "u" * 1000, "o" * 1000, {"\0": "\0\udfff"}))
    row = (await log.tail(1))[0]
    assert (row.action, row.resource) == ("a\ufffdb", "r?")
    assert [len(text or "") for text in (row.resource_id, row.user_id, row.org_id)] == [400, 200, 64]
    assert await log.verify() is None


async def test_act_and_its_row_are_stored_together_or_not_at_all(database: Database, log: AuditLog) -> None:
    with suppress(ZeroDivisionError):
        async with database.write(durable=True) as session:
            await log.append(session, AuditEvent("key.created", "key"))
            raise ZeroDivisionError
    assert await log.page() == ([], 0)
    async with database.write(durable=True) as session:
        await log.append(session, AuditEvent("key.created", "key"), AuditEvent("key.disabled", "key"))
    assert [row.action for row in await log.tail(5)] == ["key.created", "key.disabled"]
    assert await log.verify() is None


async def test_record_takes_all_its_events_or_none_of_another(log: AuditLog) -> None:
    await log.record()
    await log.record(AuditEvent("a", "r"), AuditEvent("b", "r"))
    assert [(row.seq, row.action) for row in await rows_of(log)] == [(1, "a"), (2, "b")]


async def test_rows_recorded_at_once_are_all_stored_in_one_chain(log: AuditLog) -> None:
    events = [AuditEvent("key.created", "key", str(number)) for number in range(1200)]
    await asyncio.gather(*(log.record(event) for event in events))
    assert {row.id for row in await rows_of(log)} == {event.id for event in events}
    verdict = await log.check()
    assert (verdict.rows, verdict.fault) == (1200, None)
    assert log.report()["written"] == 1200


async def test_waiter_that_gives_up_does_not_take_its_row_back(log: AuditLog) -> None:
    waiter = asyncio.create_task(log.record(AuditEvent("a", "r")))
    await asyncio.sleep(0)
    waiter.cancel()
    await log.record(AuditEvent("b", "r"))
    assert [row.action for row in await rows_of(log)] == ["a", "b"]


async def test_noted_rows_are_written_before_the_log_is_closed(database: Database) -> None:
    log = AuditLog(database, AuditConfig())
    await log.open()
    for number in range(700):
        log.note(AuditEvent("authentication.refused", "key", str(number)))
    await log.aclose()
    assert [row.resource_id for row in await rows_of(log)] == [str(number) for number in range(700)]


async def test_pages_are_newest_first_and_know_the_count(log: AuditLog) -> None:
    await log.record(*(AuditEvent("key.created", "key", str(number)) for number in range(10)))
    first, count = await log.page(limit=4)
    assert ([row.resource_id for row in first], count) == (["9", "8", "7", "6"], 10)
    last, _ = await log.page(limit=4, offset=8)
    assert [row.resource_id for row in last] == ["1", "0"]
    assert await log.page(limit=4, offset=10) == ([], 10)
    assert await log.page(limit=4, offset=10**12) == ([], 10)


async def test_pages_can_be_of_one_action_user_or_organization(log: AuditLog) -> None:
    for number in range(6):
        org = "acme" if number % 2 else "other"
        await log.record(AuditEvent(f"act.{number % 3}", "key", str(number), f"u{number}", org))
    found, count = await log.page(limit=1, offset=1, org_id="acme")
    assert ([row.resource_id for row in found], count) == (["3"], 3)
    found, count = await log.page(action="act.0", user_id="u3")
    assert ([row.resource_id for row in found], count) == (["3"], 1)
    assert await log.page(resource="nothing") == ([], 0)


async def test_export_has_every_row_in_order_and_all_that_its_hash_needs(log: AuditLog) -> None:
    await log.record(*(AuditEvent("a", "r", str(number), metadata={"n": number}) for number in range(BATCH + 5)))
    async with aclosing(log.export()) as lines:
        parts = [part async for part in lines]
    assert len(parts) == 2
    shown = [json.loads(line) for line in b"".join(parts).splitlines()]
    assert [line["seq"] for line in shown] == list(range(1, BATCH + 6))
    row = (await log.tail(1))[0]
    last = shown[-1]
    assert (last["hash"], last["previous_hash"], last["details"]) == (row.hash, row.previous_hash, row.details)
    assert last["metadata"] == {"n": BATCH + 4}


async def test_rows_that_come_while_it_is_checked_are_no_fault(log: AuditLog) -> None:
    await log.record(*(AuditEvent("a", "r") for _ in range(3 * BATCH)))

    async def write_on() -> None:
        for _ in range(30):
            await log.record(AuditEvent("b", "r"))

    verdict, _ = await asyncio.gather(log.check(), write_on())
    assert verdict.fault is None
    assert verdict.rows >= 3 * BATCH


async def test_empty_log_is_whole(log: AuditLog) -> None:
    verdict = await log.check()
    assert (verdict.rows, verdict.fault) == (0, None)
    assert await log.tail(5) == []
