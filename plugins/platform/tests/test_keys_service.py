"""Keys are made, seen and changed by whom they may be, and every act is in the audit log."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.config import Limits
from chatproxy_platform.errors import Conflict, StorageUnavailable
from chatproxy_platform.identity.keys import KeyService
from chatproxy_platform.identity.records import OPERATOR, Actor, Identity
from chatproxy_platform.identity.specs import KeyChanges, KeySpec, UserChanges
from chatproxy_platform.identity.views import KeyFilter, Page
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import ApiError, NotFound, PermissionDenied
from chatproxy.errors import InvalidRequest

from .keyed import World, identities, key_id, world


async def two_organizations(w: World) -> dict[str, Actor]:
    """Two tenants with an administrator and a user each."""
    for name in ("acme", "bolt"):
        await w.organization(name)
        await w.user(f"{name}-admin", organization_id=name, role="org_admin")
        await w.user(f"{name}-ann", organization_id=name)
    found = {"platform": await w.actor(role="platform_admin")}
    for name in ("acme", "bolt"):
        found[f"{name}-admin"] = await w.actor(user_id=f"{name}-admin", role="org_admin")
        found[name] = await w.actor(user_id=f"{name}-ann")
    return found


async def visible(w: World, actor: Actor, **wanted: Any) -> set[str | None]:
    keys, total = await w.keys.list(actor, KeyFilter(**wanted), Page(size=100))
    assert total == len(keys)
    return {view.user_id for view in keys}


async def test_keys_are_seen_within_ones_scope(database: Database) -> None:
    async with identities(database) as w:
        actors = await two_organizations(w)
        everybody = {None, "acme-admin", "acme-ann", "bolt-admin", "bolt-ann"}
        assert await visible(w, OPERATOR) == await visible(w, actors["platform"]) == everybody
        assert await visible(w, actors["acme-admin"]) == {"acme-admin", "acme-ann"}
        assert await visible(w, actors["acme"]) == {"acme-ann"}
        assert await visible(w, actors["acme-admin"], organization_id="bolt") == set()
        assert await visible(w, OPERATOR, organization_id="bolt") == {"bolt-admin", "bolt-ann"}
        assert await visible(w, OPERATOR, role="platform_admin") == {None}


async def test_foreign_key_is_a_missing_one(database: Database) -> None:
    async with identities(database) as w:
        actors = await two_organizations(w)
        own = actors["bolt"].identity
        assert own is not None
        assert own.key_id is not None
        missing = w.hasher.new_id()
        for actor in (actors["acme"], actors["acme-admin"]):
            for work in (
                w.keys.get,
                partial(w.keys.update, changes=KeyChanges(name="mine")),
                w.keys.rotate,
                w.keys.revoke,
                partial(w.keys.set_disabled, disabled=True),
            ):
                texts = set()
                for wanted in (own.key_id, missing, "no id'; --", ""):
                    with pytest.raises(NotFound) as caught:
                        await work(actor, wanted)
                    texts.add(caught.value.message)
                assert len(texts) == 1


async def test_user_manages_own_keys(database: Database) -> None:
    async with world(database) as w:
        actors = await two_organizations(w)
        ann = actors["acme"]
        view, text = await w.keys.create(ann, KeySpec(name="mine"))
        assert (view.user_id, view.organization_id, view.role) == ("acme-ann", "acme", "user")
        assert view.created_by == "acme-ann"
        assert (await w.chat(text)).status_code == 200
        assert (await w.keys.update(ann, view.id, KeyChanges(name="renamed"))).name == "renamed"
        assert (await w.keys.set_disabled(ann, view.id, disabled=True)).status == "disabled"
        with pytest.raises(PermissionDenied):
            await w.keys.set_disabled(ann, view.id, disabled=False)
        assert (await w.keys.set_disabled(actors["acme-admin"], view.id, disabled=False)).status == "active"
        assert (await w.keys.revoke(ann, view.id)).status == "revoked"
        assert (await w.chat(text)).status_code == 401


async def test_key_without_a_user_makes_no_others(database: Database) -> None:
    async with identities(database) as w:
        with pytest.raises(PermissionDenied):
            await w.keys.create(await w.actor(), KeySpec())


async def test_organization_admin_makes_keys_of_its_own_people_only(database: Database) -> None:
    async with identities(database) as w:
        actors = await two_organizations(w)
        admin = actors["acme-admin"]
        view, _ = await w.keys.create(admin, KeySpec(user_id="acme-ann"))
        assert (view.user_id, view.organization_id) == ("acme-ann", "acme")
        assert (await w.keys.create(admin, KeySpec()))[0].organization_id == "acme"
        messages = set()
        for user_id in ("bolt-ann", "nobody"):
            with pytest.raises(InvalidRequest) as caught:
                await w.keys.create(admin, KeySpec(user_id=user_id))
            messages.add(caught.value.message)
        assert len(messages) == 1
        for wish in (KeySpec(organization_id="bolt"), KeySpec(organization_id=None), KeySpec(role="platform_admin")):
            with pytest.raises(PermissionDenied):
                await w.keys.create(admin, wish)


async def test_secret_of_a_stronger_key_is_not_handed_out(database: Database) -> None:
    """Rotating is as good as being given the key."""
    async with identities(database) as w:
        await w.organization("acme")
        await w.user("root", organization_id="acme", role="platform_admin")
        strong = key_id(await w.key(user_id="root", role="platform_admin"))
        await w.user("boss", organization_id="acme", role="org_admin")
        boss = await w.actor(user_id="boss", role="org_admin")
        for work in (w.keys.rotate, w.keys.revoke):
            with pytest.raises(PermissionDenied):
                await work(boss, strong)
        weak = await w.actor(user_id="root", models=["gpt-4o"])
        with pytest.raises(PermissionDenied):
            await w.keys.rotate(weak, strong)
        assert (await w.keys.revoke(weak, strong)).status == "revoked"


async def test_key_changes_and_rotates_itself_within_what_it_has(database: Database) -> None:
    async with identities(database) as w:
        await w.user("ann")
        ann = await w.actor(user_id="ann", models=["gpt-*"], limits={"requests_per_minute": 10})
        assert ann.identity is not None
        own = str(ann.identity.key_id)
        assert (await w.keys.rotate(ann, own))[0].id == own
        assert (await w.keys.update(ann, own, KeyChanges(models=["gpt-4o"]))).models == ["gpt-4o"]
        for changes in (
            KeyChanges(models=None),
            KeyChanges(models=["*"]),
            KeyChanges(limits=None),
            KeyChanges(limits=Limits(requests_per_minute=11)),
        ):
            with pytest.raises(PermissionDenied):
                await w.keys.update(ann, own, changes)
        narrowed = await w.keys.update(ann, own, KeyChanges(limits=Limits(tokens_per_day=5)))
        assert narrowed.limits == {"requests_per_minute": 10, "tokens_per_day": 5}


@pytest.mark.parametrize("role", ["user", "org_admin", "platform_admin"])
async def test_nobody_changes_the_role_of_the_key_in_use(database: Database, role: str) -> None:
    async with identities(database) as w:
        await w.organization("acme")
        await w.user("ann", role=role, organization_id="acme")
        actor = await w.actor(user_id="ann", role=role)
        assert actor.identity is not None
        for wished in ("user", "org_admin", "platform_admin"):
            with pytest.raises(ApiError) as caught:
                await w.keys.update(actor, str(actor.identity.key_id), KeyChanges(role=wished))
            assert (caught.value.status, caught.value.param) == (400, "role")


@pytest.mark.parametrize("kind", [KeySpec, KeyChanges])
@pytest.mark.parametrize(
    "field",
    ["id", "secret_hash", "owner_id", "spend", "revoked_at", "created_by", "parent_id", "tenant_id", "__class__"],
)
def test_fields_that_nobody_sets_are_refused(kind: Any, field: str) -> None:
    """A-09."""
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(msgspec.json.encode({field: "x"}), type=kind)


@pytest.mark.parametrize("field", ["user_id", "organization_id"])
def test_key_never_changes_hands(field: str) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(msgspec.json.encode({field: "x"}), type=KeyChanges)


@pytest.mark.parametrize(
    ("wish", "param"),
    [
        ({"name": "a\0b"}, "name"),
        ({"models": ["gpt-[4]"]}, "models"),
        ({"models": ["a\nb"]}, "models"),
        ({"limits": {"tokens_per_day": 10**16}}, "limits"),
        ({"budget": {"usd": 1e13}}, "budget"),
        ({"metadata": {"a": "b" * 17_000}}, "metadata"),
        ({"user_id": "nobody"}, "user_id"),
        ({"organization_id": "nothing"}, "organization_id"),
        ({"role": "org_admin"}, "role"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
    ],
    ids=str,
)
async def test_wish_that_makes_no_sense_is_named(database: Database, wish: dict[str, Any], param: str) -> None:
    async with identities(database) as w:
        with pytest.raises(InvalidRequest) as caught:
            await w.key(**wish)
        assert caught.value.param == param
        assert await visible(w, OPERATOR) == set()


async def test_role_of_a_key_is_not_above_its_users(database: Database) -> None:
    async with identities(database) as w:
        with pytest.raises(InvalidRequest) as caught:
            await w.key(user_id=await w.user("ann"), role="platform_admin")
        assert caught.value.param == "role"


async def test_limited_key_cannot_multiply_its_limits(database: Database) -> None:
    """What the keys do that it makes counts for it too, and for those above it."""
    async with identities(database) as w:
        await w.user("ann")
        first = await w.key(user_id="ann", budget={"usd": 10})
        second = await w.key(await w.actor_by(first))
        third = await w.key(await w.actor_by(second), budget={"usd": 5})
        names = [s.name for s in (await w.actor_by(third)).identity.subjects]  # type: ignore[union-attr]
        assert names == [f"key:{key_id(third)}", "user:ann", f"key:{key_id(second)}", f"key:{key_id(first)}"]
        free = await w.actor_by(await w.key(await w.actor(user_id="ann")))
        assert free.identity is not None
        assert [s.name for s in free.identity.subjects] == [f"key:{free.identity.key_id}", "user:ann"]


async def test_chain_of_limited_keys_ends(database: Database) -> None:
    async with identities(database) as w:
        await w.user("ann")
        actor = await w.actor(user_id="ann", budget={"usd": 10})
        for _ in range(5):
            actor = await w.actor_by(await w.key(actor))
        with pytest.raises(Conflict):
            await w.key(actor)


async def test_default_limits_hold_a_user_and_not_an_administrator(database: Database) -> None:
    async with identities(database, limits={"key": {"requests_per_minute": 10}}) as w:
        await w.user("ann")
        wish = KeySpec(limits=Limits(requests_per_minute=20))
        with pytest.raises(PermissionDenied):
            await w.keys.create(await w.actor(user_id="ann"), wish)
        admin = await w.actor(role="platform_admin")
        assert (await w.keys.create(admin, wish))[0].limits == {"requests_per_minute": 20}
        assert (await w.keys.create(await w.actor(user_id="ann"), KeySpec()))[0].limits is None


async def test_key_that_was_revoked_just_now_makes_no_more(database: Database) -> None:
    async with identities(database) as w:
        ann = await w.actor(user_id=await w.user("ann"))
        assert ann.identity is not None
        await w.keys.revoke(OPERATOR, str(ann.identity.key_id))
        with pytest.raises(PermissionDenied):
            await w.keys.create(ann, KeySpec())


async def test_revoked_key_stays_revoked(database: Database) -> None:
    async with identities(database) as w:
        wanted = key_id(await w.key())
        first = await w.keys.revoke(OPERATOR, wanted)
        assert (await w.keys.revoke(OPERATOR, wanted)).revoked_at == first.revoked_at
        for work in (
            w.keys.rotate(OPERATOR, wanted),
            w.keys.update(OPERATOR, wanted, KeyChanges(name="x")),
            w.keys.set_disabled(OPERATOR, wanted, disabled=False),
        ):
            with pytest.raises(Conflict):
                await work
    assert len(await w.rows("key.revoked")) == 1


async def test_every_act_is_in_the_audit_log_without_a_secret(database: Database) -> None:
    async with identities(database) as w:
        await w.organization("acme")
        text = await w.key(name="ci", organization_id="acme", metadata={"note": "private"})
        wanted = key_id(text)
        await w.keys.update(OPERATOR, wanted, KeyChanges(models=["gpt-*"], metadata={"note": "private too"}))
        _, newer = await w.keys.rotate(OPERATOR, wanted)
        await w.keys.set_disabled(OPERATOR, wanted, disabled=True)
        await w.keys.revoke(OPERATOR, wanted)
        user = await w.actor(user_id=await w.user("ann"))
        with pytest.raises(PermissionDenied):
            await w.keys.create(user, KeySpec(role="platform_admin"))
    names = ("created", "updated", "rotated", "revoked", "refused")
    shown = [row for name in names for row in await w.rows(f"key.{name}")]
    mine = [row for row in shown if row["resource_id"] == wanted]
    assert [row["action"].partition(".")[2] for row in mine] == ["created", "updated", "updated", "rotated", "revoked"]
    assert {(row["user_id"], row["org_id"], row["resource"]) for row in mine} == {("operator", "acme", "key")}
    (refused,) = [row for row in shown if row["action"] == "key.refused"]
    assert (refused["user_id"], refused["metadata"]["param"]) == ("ann", "role")
    for secret in (text, newer, text[20:], newer[20:], "private"):
        assert secret not in str(shown)
    assert await w.audit.verify() is None


class Broken:
    """An audit log that cannot be continued."""

    async def append(self, session: AsyncSession, *events: AuditEvent) -> None:
        raise StorageUnavailable

    def note(self, event: AuditEvent) -> None:
        raise AssertionError(event)


async def test_act_that_cannot_be_audited_is_not_done(database: Database) -> None:
    async with identities(database) as w:
        keys = KeyService(database, w.cache, Broken(), w.hasher, w.config)
        with pytest.raises(StorageUnavailable):
            await keys.create(OPERATOR, KeySpec())
        async with database.read() as session:
            assert (await session.scalars(select(Key))).all() == []


async def test_pages_hold_every_key_once_the_newest_first(database: Database) -> None:
    async with identities(database) as w:
        made = [key_id(await w.key(name=str(number))) for number in range(5)]
        pages = [await w.keys.list(OPERATOR, KeyFilter(), Page(number=number, size=2)) for number in (1, 2, 3, 4)]
        assert [total for _, total in pages] == [5] * 4
        assert [view.id for keys, _ in pages for view in keys] == made[::-1]
        await w.keys.revoke(OPERATOR, made[0])
        assert (await w.keys.list(OPERATOR, KeyFilter(revoked=True), Page()))[1] == 1
        assert (await w.keys.list(OPERATOR, KeyFilter(revoked=False), Page()))[1] == 4


async def test_token_of_an_issuer_makes_keys_for_its_user(database: Database) -> None:
    identity = Identity(id="jwt_1", user_id="sub-1", organization_id="acme", owner="user:sub-1", role="user")
    actor = Actor(name="sub-1", identity=identity)
    async with world(database) as w:
        view, text = await w.keys.create(actor, KeySpec())
        assert (view.user_id, view.organization_id, view.role) == ("sub-1", "acme", "user")
        assert (await w.chat(text)).status_code == 200
        await w.people.update_user(OPERATOR, "sub-1", UserChanges(disabled=True))
        assert (await w.chat(text)).status_code == 401
