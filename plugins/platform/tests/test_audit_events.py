"""What other parts put into the audit log: configuration generations and blocks of guardrails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.audit.blocks import block_events
from chatproxy_platform.audit.events import AuditEvent, Entry
from chatproxy_platform.audit.generation import record_generation
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import AuditConfig
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.storage.database import Database

from chatproxy import App, Exchange
from chatproxy.types import SessionStore


class Unused:
    """A session store that nobody asks."""


def app(settings: Mapping[str, Any], config_file: Path | None = None, version: str = "1.0") -> App:
    store: SessionStore = Unused()  # type: ignore[assignment]
    return App(version=version, session_store=store, settings=settings, config_file=config_file)


async def generations(database: Database) -> list[Entry]:
    return [row for row in await AuditLog(database, AuditConfig()).tail(100) if row.action == "config.loaded"]


def not_noted(event: AuditEvent) -> None:
    pytest.fail(f"{event.action} was noted, not written")


async def test_configuration_is_recorded_once(database: Database) -> None:
    for settings in ({"port": 1, "host": "a"}, {"host": "a", "port": 1}):
        await record_generation(database, app(settings), not_noted)
    row = (await generations(database))[0].shown()
    assert (row["resource"], row["metadata"]["version"], row["metadata"]["changed"]) == ("config", "1.0", [])
    assert len(await generations(database)) == 1


async def test_another_configuration_is_recorded_with_what_changed_and_no_value(
    database: Database, tmp_path: Path
) -> None:
    file = tmp_path / "chatproxy.toml"
    file.write_text("a = 'tables of plugins are here'")
    await record_generation(database, app({"port": 1, "host": "a"}, file), not_noted)
    await record_generation(database, app({"port": 77777, "models": {}, "host": "a"}, file), not_noted)
    file.write_text("a = 'changed'")
    await record_generation(database, app({"port": 77777, "models": {}, "host": "a"}, file), not_noted)
    file.unlink()
    await record_generation(database, app({"port": 77777, "models": {}, "host": "a"}, file, "1.1"), not_noted)
    rows = await generations(database)
    assert [row.shown()["metadata"]["changed"] for row in rows] == [[], ["models", "port"], ["file"], ["file"]]
    assert all("77777" not in row.details and "changed'" not in row.details for row in rows)


async def test_processes_that_start_together_record_their_configuration_once(database: Database) -> None:
    await asyncio.gather(*(record_generation(database, app({"port": 1}), not_noted) for _ in range(4)))
    assert len(await generations(database)) == 1


async def test_configuration_is_noted_while_the_database_is_down() -> None:
    noted: list[AuditEvent] = []
    database = Database("postgresql+psycopg://nobody@127.0.0.1:1/none")
    await record_generation(database, app({"port": 1}), noted.append)
    await database.aclose()
    assert [event.action for event in noted] == ["config.loaded"]


def verdict(policy: str, outcome: str) -> dict[str, Any]:
    return {
        "policy": policy,
        "check": "pii",
        "on": "input",
        "action": "block",
        "mode": "enforce",
        "outcome": outcome,
        "findings": {"email": 2},
        "at_s": 0.1,
    }


def exchange(*verdicts: dict[str, Any], **fields: Any) -> Exchange:
    notes = {"guardrails": {"verdicts": list(verdicts)}}
    return Exchange(request_id="req_1", model="m", principal="key_1", notes=notes, **fields)


IDENTITY = Identity(id="key_1", owner="user:ann", user_id="ann", organization_id="acme")


def test_each_policy_that_blocked_is_an_event() -> None:
    found = block_events(
        exchange(verdict("mail", "blocked"), verdict("seen", "flagged"), verdict("words", "blocked")), IDENTITY
    )
    assert [(event.action, event.resource_id, event.user_id, event.org_id) for event in found] == [
        ("guardrail.blocked", "mail", "ann", "acme"),
        ("guardrail.blocked", "words", "ann", "acme"),
    ]
    assert found[0].metadata == {
        "request_id": "req_1",
        "surface": "chat",
        "model": "m",
        "check": "pii",
        "on": "input",
        "findings": {"email": 2},
    }


def test_check_that_failed_is_an_event_where_it_refused_the_exchange() -> None:
    refused = exchange(verdict("mail", "failed"), error_code="guardrail_failed")
    assert [event.action for event in block_events(refused, IDENTITY)] == ["guardrail.failed"]
    assert block_events(exchange(verdict("mail", "failed")), IDENTITY) == []


def test_principal_of_another_plugin_is_named() -> None:
    event = block_events(exchange(verdict("mail", "blocked")), None)[0]
    assert (event.user_id, event.org_id) == ("key_1", None)


@pytest.mark.parametrize(
    "notes",
    [{}, {"guardrails": None}, {"guardrails": {}}, {"guardrails": {"verdicts": []}}, {"guardrails": {"verdicts": 1}}],
    ids=["none", "null", "empty", "no verdicts", "another form"],
)
def test_exchange_without_verdicts_has_no_events(notes: dict[str, Any]) -> None:
    assert block_events(Exchange(request_id="r", notes=notes), IDENTITY) == []
