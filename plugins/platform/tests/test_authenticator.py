"""Who comes in by a key, and who does not."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_platform.clock import now_us, rfc3339
from chatproxy_platform.identity.records import OPERATOR
from chatproxy_platform.identity.specs import KeyChanges, OrganizationChanges, UserChanges
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key
from sqlalchemy import update

from .keyed import World, key_id, world


async def test_key_lets_in_and_says_who_asks(database: Database) -> None:
    async with world(database) as w:
        await w.organization("acme")
        await w.user("ann", organization_id="acme", role="org_admin")
        text = await w.key(user_id="ann", role="org_admin", models=["scripted*"])
        assert (await w.chat(text)).status_code == 200
        identity = w.plugin.seen[0]
        assert (identity.key_id, identity.user_id, identity.organization_id) == (key_id(text), "ann", "acme")
        assert (identity.role, identity.owner, identity.models) == ("org_admin", "user:ann", ("scripted*",))
        assert [s.name for s in identity.subjects] == [f"key:{key_id(text)}", "user:ann", "org:acme"]


async def test_key_may_come_in_either_header(database: Database) -> None:
    async with world(database) as w:
        text = await w.key()
        for headers in ({"x-api-key": text}, {"authorization": f"bEaReR   {text} "}):
            assert (await w.gateway.client.get("/v1/models", headers=headers)).status_code == 200


async def _expired(w: World) -> str:
    text = await w.key()
    async with w.database.write() as session:
        await session.execute(update(Key).values(expires_at=now_us() - 1))
    w.cache.clear()
    return text


async def _revoked(w: World) -> str:
    text = await w.key()
    await w.keys.revoke(OPERATOR, key_id(text))
    return text


async def _disabled(w: World) -> str:
    text = await w.key()
    await w.keys.set_disabled(OPERATOR, key_id(text), disabled=True)
    return text


async def _of_disabled_user(w: World) -> str:
    text = await w.key(user_id=await w.user("ann"))
    await w.people.update_user(OPERATOR, "ann", UserChanges(disabled=True))
    return text


async def _of_disabled_organization(w: World) -> str:
    text = await w.key(organization_id=await w.organization("acme"))
    await w.people.update_organization(OPERATOR, "acme", OrganizationChanges(disabled=True))
    return text


async def _wrong_secret(w: World) -> str:
    text = await w.key()
    return text[:-1] + ("a" if text[-1] != "a" else "b")


async def _never_made(w: World) -> str:
    return "cp_" + "a" * 16 + "_" + "b" * 43


async def _of_nobody(w: World) -> str:
    return w.hasher.new_key().text


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (_expired, "has expired"),
        (_revoked, "has been revoked"),
        (_disabled, "is disabled"),
        (_of_disabled_user, "belongs to a user who is disabled"),
        (_of_disabled_organization, "belongs to an organization that is disabled"),
        (_wrong_secret, "wrong secret"),
        (_never_made, "unknown key"),
        (_of_nobody, "unknown key"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_bad_key_is_refused_on_every_kind_of_route(database: Database, make: Any, reason: str) -> None:
    async with world(database) as w:
        text = await make(w)
        answers = [await w.chat(text), await w.get("/v1/models", text), await w.get("/user", text)]
        for answer in answers:
            assert answer.status_code == 401, answer.text
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert text not in answer.text
        assert answers[0].headers["www-authenticate"] == "Bearer"
    rows = await w.rows("authentication.refused")
    assert {row["metadata"]["reason"] for row in rows} == {reason}
    assert {row["resource_id"] for row in rows} == {key_id(text)}
    assert len(rows) == 3
    assert text not in str(rows)


async def test_nobody_comes_in_without_a_key(database: Database) -> None:
    async with world(database) as w:
        answer = await w.chat(None)
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")
    (row,) = await w.rows("authentication.refused")
    assert (row["metadata"]["reason"], row["user_id"], row["org_id"]) == ("missing", None, None)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("user", {"user"}),
        ("org_admin", {"user", "org_admin"}),
        ("platform_admin", {"user", "org_admin", "platform_admin"}),
    ],
)
async def test_role_opens_its_routes_and_no_others(database: Database, role: str, allowed: set[str]) -> None:
    async with world(database) as w:
        text = await w.key(role=role, organization_id=await w.organization("acme"))
        names = ("user", "org_admin", "platform_admin")
        statuses = {name: (await w.get(f"/{name}", text)).status_code for name in names}
        assert statuses == {name: 200 if name in allowed else 403 for name in statuses}
    rows = await w.rows("access.refused")
    assert len(rows) == 3 - len(allowed)
    assert all(row["org_id"] == "acme" for row in rows)


async def test_role_is_the_lowest_of_key_and_owner(database: Database) -> None:
    async with world(database) as w:
        text = await w.key(user_id=await w.user("ann", role="platform_admin"), role="platform_admin")
        await w.user("bob", role="platform_admin")
        assert (await w.get("/platform_admin", text)).status_code == 200
        await w.people.update_user(OPERATOR, "ann", UserChanges(role="user"))
        assert (await w.get("/platform_admin", text)).status_code == 403
        assert (await w.get("/user", text)).status_code == 200


async def test_organization_admin_who_loses_the_organization_is_a_user(database: Database) -> None:
    async with world(database) as w:
        await w.organization("acme")
        text = await w.key(user_id=await w.user("ann", role="org_admin", organization_id="acme"), role="org_admin")
        await w.people.update_user(OPERATOR, "ann", UserChanges(role="user", organization_id=None))
        assert (await w.get("/org_admin", text)).status_code == 403
        assert (await w.keys.get(OPERATOR, key_id(text))).organization_id is None


async def test_surfaces_of_a_key_are_the_only_ones(database: Database) -> None:
    async with world(database) as w:
        text = await w.key(surfaces=["embeddings"])
        answer = await w.chat(text)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "surface_not_allowed")
        ask = {"model": "scripted", "input": "Hi"}
        headers = {"x-api-key": text}
        assert (await w.gateway.client.post("/v1/embeddings", json=ask, headers=headers)).status_code != 403
        assert (await w.get("/v1/responses/resp_1", text)).status_code == 403
        assert (await w.get("/v1/models", text)).status_code == 200
        assert (await w.get("/user", text)).status_code == 200


async def test_models_of_a_key_are_the_only_ones(database: Database) -> None:
    async with world(database) as w:
        text = await w.key(models=["scripted-*", "gpt-4o"])
        assert (await w.chat(text, model="scripted-1")).status_code == 200
        answer = await w.chat(text, model="gpt-4o-mini")
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "model_not_allowed")


@pytest.mark.parametrize("surface", ["files", "batches"])
async def test_key_with_models_gets_no_surface_that_names_none(database: Database, surface: str) -> None:
    async with world(database) as w:
        limited = await w.key(models=["gpt-4o"])
        assert (await w.get(f"/v1/{surface}", limited)).status_code == 403
        for text in (await w.key(models=["gpt-4o"], surfaces=[surface]), await w.key()):
            assert (await w.get(f"/v1/{surface}", text)).status_code != 403


async def test_limits_are_the_subjects_own_or_the_default(database: Database) -> None:
    limits = {"key": {"requests_per_minute": 5}, "user": {"requests_per_minute": 6}}
    async with world(database, limits=limits) as w:
        await w.user("ann", budget={"usd": 2.5, "period": "day"})
        await w.chat(await w.key(user_id="ann"))
        await w.chat(await w.key(limits={"tokens_per_day": 7}))
        by_name = {subject.name.partition(":")[0]: subject for subject in w.plugin.seen[0].subjects}
        assert by_name["key"].limits.requests_per_minute == 5
        assert by_name["user"].limits.requests_per_minute == 6
        assert by_name["user"].budget is not None
        assert by_name["user"].budget.usd == 2.5
        own = w.plugin.seen[1].subjects[0].limits
        assert (own.tokens_per_day, own.requests_per_minute) == (7, None)


async def test_limits_that_cannot_be_read_close_the_key(database: Database) -> None:
    async with world(database) as w:
        text = await w.key()
        async with database.write() as session:
            await session.execute(update(Key).values(limits={"of_a_later_version": 1}))
        w.cache.clear()
        answer = await w.chat(text)
        assert (answer.status_code, answer.json()["error"]["message"]) == (
            401,
            "This API key has limits that cannot be read.",
        )


async def test_secret_before_a_rotation_works_for_its_grace(database: Database) -> None:
    async with world(database, keys={"rotation_grace_s": 3600}) as w:
        old = await w.key()
        view, new = await w.keys.rotate(OPERATOR, key_id(old))
        assert (view.id, new != old) == (key_id(old), True)
        assert [(await w.chat(text)).status_code for text in (old, new)] == [200, 200]
    async with world(database) as w:
        _, newest = await w.keys.rotate(OPERATOR, key_id(old))
        assert [(await w.chat(text)).status_code for text in (old, new, newest)] == [401, 401, 200]


async def test_expiry_is_seen_without_a_change(database: Database) -> None:
    async with world(database) as w:
        soon = rfc3339(now_us() + 3_600_000_000)
        text = await w.key(expires_at=soon)
        assert (await w.chat(text)).status_code == 200
        assert w.plugin.seen[0].expires_at is not None
        view = await w.keys.get(OPERATOR, key_id(text))
        assert (view.expires_at, view.status) == (soon, "active")


async def test_refusals_are_written_so_many_times_and_then_counted(database: Database) -> None:
    async with world(database, keys={"max_refusals_per_minute": 3}) as w:
        for _ in range(10):
            await w.chat("cp_nonsense")
    rows = await w.rows("authentication.refused")
    assert len(rows) == 4
    assert rows[0]["metadata"]["not_shown"] == 7
    assert "cp_nonsense" not in str(rows)


async def test_changes_keep_what_they_do_not_say(database: Database) -> None:
    async with world(database) as w:
        text = await w.key(name="one", models=["gpt-*"], metadata={"team": "a"})
        view = await w.keys.update(OPERATOR, key_id(text), KeyChanges(name="two"))
        assert (view.name, view.models, view.metadata) == ("two", ["gpt-*"], {"team": "a"})
        view = await w.keys.update(OPERATOR, key_id(text), KeyChanges(models=None, metadata={"team": "b"}))
        assert (view.name, view.models, view.metadata) == ("two", None, {"team": "b"})
