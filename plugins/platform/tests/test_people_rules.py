"""Who may make, see and change users, organizations and administrators."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.errors import Conflict
from chatproxy_platform.identity.records import OPERATOR, Actor
from chatproxy_platform.identity.specs import (
    OrganizationChanges,
    OrganizationSpec,
    UserChanges,
    UserSpec,
)
from chatproxy_platform.identity.views import Page, UserFilter
from chatproxy_platform.storage.database import Database

from chatproxy import ApiError, NotFound, PermissionDenied
from chatproxy.errors import InvalidRequest

from .keyed import World, identities, key_id


async def people(w: World) -> dict[str, Actor]:
    """A platform administrator, two organizations with an administrator each, and a user of the first."""
    await w.user("root", role="platform_admin")
    for name in ("acme", "bolt"):
        await w.organization(name)
        await w.user(f"{name}-admin", organization_id=name, role="org_admin")
    await w.user("ann", organization_id="acme")
    return {
        "root": await w.actor(user_id="root", role="platform_admin"),
        "acme-admin": await w.actor(user_id="acme-admin", role="org_admin"),
        "bolt-admin": await w.actor(user_id="bolt-admin", role="org_admin"),
        "ann": await w.actor(user_id="ann"),
        "nobody": await w.actor(),
    }


async def test_users_are_seen_within_ones_scope(database: Database) -> None:
    async with identities(database) as w:
        actors = await people(w)
        seen = {}
        for name, actor in actors.items():
            views, total = await w.people.list_users(actor, UserFilter(), Page(size=100))
            seen[name] = {view.id for view in views}
            assert total == len(views)
        assert seen == {
            "root": {"root", "acme-admin", "bolt-admin", "ann"},
            "acme-admin": {"acme-admin", "ann"},
            "bolt-admin": {"bolt-admin"},
            "ann": {"ann"},
            "nobody": set(),
        }
        for reader, wanted in (("ann", "acme-admin"), ("bolt-admin", "ann"), ("nobody", "ann"), ("root", "a\0b")):
            with pytest.raises(NotFound):
                await w.people.get_user(actors[reader], wanted)
        found, _ = await w.people.list_users(OPERATOR, UserFilter(organization_id="acme", role="user"), Page())
        assert [view.id for view in found] == ["ann"]


@pytest.mark.parametrize(
    ("who", "whom", "changes", "status"),
    [
        ("ann", "ann", {"name": "Ann", "metadata": {"a": 1}}, 200),
        ("ann", "ann", {"role": "platform_admin"}, 400),
        ("ann", "ann", {"role": "user"}, 400),
        ("ann", "ann", {"organization_id": "bolt"}, 400),
        ("ann", "ann", {"limits": None}, 400),
        ("ann", "ann", {"budget": {"usd": 1000}}, 400),
        ("ann", "ann", {"email": "boss@acme.example"}, 400),
        ("ann", "ann", {"disabled": False}, 400),
        ("ann", "acme-admin", {"name": "x"}, 404),
        ("acme-admin", "ann", {"role": "org_admin", "email": "ann@acme.example", "limits": {}}, 200),
        ("acme-admin", "ann", {"role": "platform_admin"}, 403),
        ("acme-admin", "ann", {"organization_id": "bolt"}, 400),
        ("acme-admin", "ann", {"workos_id": "root"}, 400),
        ("acme-admin", "acme-admin", {"name": "Me"}, 200),
        ("acme-admin", "acme-admin", {"role": "user"}, 400),
        ("acme-admin", "acme-admin", {"budget": None}, 400),
        ("bolt-admin", "ann", {"name": "x"}, 404),
        ("root", "ann", {"role": "platform_admin", "organization_id": "bolt", "workos_id": "w"}, 200),
        ("root", "ann", {"role": "org_admin", "organization_id": None}, 400),
        ("root", "ann", {"organization_id": "nothing"}, 400),
        ("root", "root", {"role": "user"}, 400),
        ("root", "root", {"organization_id": "acme"}, 400),
        ("root", "root", {"disabled": True}, 400),
        ("root", "root", {"name": "Root", "limits": {"tokens_per_day": 1}}, 200),
    ],
    ids=str,
)
async def test_fields_of_users_are_set_by_whom_they_may(
    database: Database, who: str, whom: str, changes: dict[str, Any], status: int
) -> None:
    """A-09: nobody sets the role or the organization of themselves."""
    async with identities(database) as w:
        actors = await people(w)
        before = await w.people.get_user(OPERATOR, whom)
        wish = msgspec.convert(changes, UserChanges)
        if status == 200:
            view = await w.people.update_user(actors[who], whom, wish)
            assert {name: getattr(view, name) for name in changes} == changes
        else:
            with pytest.raises(ApiError) as caught:
                await w.people.update_user(actors[who], whom, wish)
            assert caught.value.status == status
            assert await w.people.get_user(OPERATOR, whom) == before


async def test_organization_admin_makes_members_and_nobody_else(database: Database) -> None:
    async with identities(database) as w:
        admin = (await people(w))["acme-admin"]
        view = await w.people.create_user(admin, UserSpec(email=" Eve@Acme.example ", role="org_admin"))
        assert (view.organization_id, view.email, view.created_by) == ("acme", "eve@acme.example", "acme-admin")
        for wish, status in (
            (UserSpec(organization_id="bolt"), 403),
            (UserSpec(role="platform_admin"), 403),
            (UserSpec(id="root2"), 400),
            (UserSpec(workos_id="root2"), 400),
            (UserSpec(email="no address"), 400),
            (UserSpec(email="EVE@acme.example"), 409),
        ):
            with pytest.raises(ApiError) as caught:
                await w.people.create_user(admin, wish)
            assert caught.value.status == status


async def test_user_and_foreign_key_make_no_people(database: Database) -> None:
    async with identities(database) as w:
        actors = await people(w)
        for name in ("ann", "nobody"):
            for work in (
                w.people.create_user(actors[name], UserSpec()),
                w.people.create_organization(actors[name], OrganizationSpec(name="mine")),
                w.people.list_admins(actors[name]),
                w.people.add_admin(actors[name], workos_id="ann", email="ann@acme.example"),
                w.people.remove_admin(actors[name], "root"),
            ):
                with pytest.raises(PermissionDenied):
                    await work


async def test_keys_go_with_their_user_into_another_organization(database: Database) -> None:
    async with identities(database) as w:
        await people(w)
        text = await w.key(user_id="ann")
        await w.people.update_user(OPERATOR, "ann", UserChanges(organization_id="bolt"))
        assert (await w.keys.get(OPERATOR, key_id(text))).organization_id == "bolt"
        assert (await w.actor_by(text)).organization_id == "bolt"


# -- organizations ----------------------------------------------------------------------------------------------------


async def test_organization_is_changed_by_its_admin_in_part(database: Database) -> None:
    async with identities(database) as w:
        actors = await people(w)
        admin = actors["acme-admin"]
        view = await w.people.update_organization(admin, "acme", OrganizationChanges(name="Acme", metadata={"a": 1}))
        assert (view.name, view.metadata) == ("Acme", {"a": 1})
        for changes in (
            OrganizationChanges(limits=None),
            OrganizationChanges(budget=Budget(usd=1)),
            OrganizationChanges(disabled=False),
        ):
            with pytest.raises(InvalidRequest):
                await w.people.update_organization(admin, "acme", changes)
        with pytest.raises(NotFound):
            await w.people.update_organization(admin, "bolt", OrganizationChanges(name="x"))
        with pytest.raises(PermissionDenied):
            await w.people.update_organization(actors["ann"], "acme", OrganizationChanges(name="x"))
        limits = Limits(requests_per_day=5)
        view = await w.people.update_organization(actors["root"], "acme", OrganizationChanges(limits=limits))
        assert view.limits == {"requests_per_day": 5}
        for name, wanted in (
            ("root", {"acme", "bolt"}),
            ("acme-admin", {"acme"}),
            ("ann", {"acme"}),
            ("nobody", set()),
        ):
            views, total = await w.people.list_organizations(actors[name], Page())
            assert ({view.id for view in views}, total) == (wanted, len(wanted))


async def test_id_is_taken_once(database: Database) -> None:
    async with identities(database) as w:
        await w.organization("acme")
        with pytest.raises(Conflict):
            await w.organization("acme")
        await w.user("ann", email="ann@acme.example")
        for wish in (UserSpec(id="ann"), UserSpec(email="Ann@acme.example")):
            with pytest.raises(Conflict):
                await w.people.create_user(OPERATOR, wish)


# -- platform administrators ------------------------------------------------------------------------------------------


async def test_administrators_come_and_go(database: Database) -> None:
    async with identities(database) as w:
        root = (await people(w))["root"]
        view = await w.people.add_admin(root, workos_id="w1", email="Zoe@acme.example", name="Zoe")
        assert (view.id, view.email, view.name, view.created_by) == ("w1", "zoe@acme.example", "Zoe", "root")
        assert [admin.id for admin in await w.people.list_admins(root)] == ["root", "w1"]
        with pytest.raises(Conflict):
            await w.people.add_admin(root, workos_id="w1", email="zoe@acme.example")
        assert await w.people.remove_admin(root, "ZOE@acme.example") == "ZOE@acme.example"
        with pytest.raises(NotFound):
            await w.people.remove_admin(root, "zoe@acme.example")
        again = await w.people.add_admin(root, workos_id="w1", email="zoe@acme.example")
        assert again.name == "Zoe"
    assert [row["resource_id"] for row in await w.rows("admin.added")] == ["w1", "w1"]
    assert [row["user_id"] for row in await w.rows("admin.removed")] == ["root"]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"workos_id": "", "email": "a@b.example"}, "workos_id"),
        ({"workos_id": "  ", "email": "a@b.example"}, "workos_id"),
        ({"workos_id": "w", "email": ""}, "email"),
        ({"workos_id": "w", "email": "a b@c"}, "email"),
        ({"workos_id": "w", "email": "a@"}, "email"),
        ({"workos_id": "w\0", "email": "a@b.example"}, "workos_id"),
        ({"workos_id": "w" * 201, "email": "a@b.example"}, "workos_id"),
        ({"workos_id": "w", "email": "a@b.example", "name": "n" * 201}, "name"),
    ],
)
async def test_administrator_needs_an_id_and_an_email(database: Database, fields: dict[str, str], param: str) -> None:
    async with identities(database) as w:
        with pytest.raises(InvalidRequest) as caught:
            await w.people.add_admin(OPERATOR, **fields)
        assert caught.value.param == param
        with pytest.raises(InvalidRequest):
            await w.people.remove_admin(OPERATOR, " ")


async def test_nobody_becomes_an_administrator_by_an_email_that_others_chose(database: Database) -> None:
    async with identities(database) as w:
        admin = (await people(w))["acme-admin"]
        squatter = await w.people.create_user(admin, UserSpec(email="boss@acme.example"))
        with pytest.raises(Conflict, match=squatter.id):
            await w.people.add_admin(OPERATOR, workos_id="boss", email="boss@acme.example")
        assert (await w.people.get_user(OPERATOR, squatter.id)).role == "user"


async def test_last_administrator_stays(database: Database) -> None:
    """A-07, in every way to go; a disabled one does not count."""
    async with identities(database) as w:
        root = (await people(w))["root"]
        await w.user("gone", role="platform_admin")
        await w.people.update_user(root, "gone", UserChanges(disabled=True))
        for work in (
            w.people.remove_admin(root, "root"),
            w.people.remove_admin(OPERATOR, "root"),
            w.people.update_user(OPERATOR, "root", UserChanges(role="user")),
            w.people.update_user(OPERATOR, "root", UserChanges(disabled=True)),
        ):
            with pytest.raises(Conflict) as caught:
                await work
            assert caught.value.code == "last_admin"
        await w.people.update_user(root, "gone", UserChanges(disabled=False))
        await w.people.remove_admin(root, "root")
        assert [admin.id for admin in await w.people.list_admins(OPERATOR)] == ["gone"]


async def test_two_administrators_cannot_remove_each_other_at_once(database: Database, database_url: str) -> None:
    other = Database(database_url)
    async with identities(database) as one, identities(other) as two:
        for name in ("a", "b"):
            await one.user(name, role="platform_admin")
        done = await asyncio.gather(
            one.people.remove_admin(OPERATOR, "a"), two.people.remove_admin(OPERATOR, "b"), return_exceptions=True
        )
        assert sorted(type(result).__name__ for result in done) == ["Conflict", "str"]
        assert len(await one.people.list_admins(OPERATOR)) == 1
    await other.aclose()
