"""PeopleService: users, organizations and platform administrators.

Rule: what an actor may see is `_scope`; what it may set is told field by field, here. Nobody changes their own role or
organization, and one platform administrator always remains.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from sqlalchemy import ColumnElement, and_, false, func, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import PermissionDenied
from chatproxy.errors import InvalidRequest
from chatproxy_platform.clock import new_id
from chatproxy_platform.config import Config
from chatproxy_platform.identity.acts import (
    Acts,
    Change,
    check_rank,
    check_spec,
    check_text,
    forbidden,
    not_found,
    storable,
)
from chatproxy_platform.identity.admins import Admins, check_email, keep_an_administrator
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.organizations import Organizations
from chatproxy_platform.identity.ownership import new_user
from chatproxy_platform.identity.records import Actor
from chatproxy_platform.identity.refusals import AuditTrail
from chatproxy_platform.identity.specs import OrganizationChanges, OrganizationSpec, UserChanges, UserSpec
from chatproxy_platform.identity.views import AdminView, OrganizationView, Page, UserFilter, UserView, user_view
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key, Organization, User

_COLUMNS = {"metadata": "attributes", "disabled": "is_disabled"}
_OWN = frozenset({"name", "metadata"})
_NEVER_OWN = frozenset({"role", "organization_id", "disabled"})
_OF_MEMBERS = frozenset({"email", "name", "role", "limits", "budget", "metadata", "disabled"})


class PeopleService:
    """What is done with people."""

    def __init__(self, database: Database, cache: KeyCache, audit: AuditTrail, config: Config) -> None:
        self._database = database
        self._config = config
        self._acts = Acts(database, cache, audit)
        self._organizations = Organizations(database, self._acts)
        self._admins = Admins(database, self._acts)

    # -- users ----------------------------------------------------------------------------------------------------

    async def list_users(self, actor: Actor, wanted: UserFilter, page: Page) -> tuple[list[UserView], int]:
        """The users that an actor may see, the newest first, and how many there are in all."""
        condition = and_(_scope(actor), *_conditions(wanted))
        query = select(User).where(condition).order_by(User.created_at.desc(), User.id)
        async with self._database.read() as session:
            total = await session.scalar(select(func.count()).select_from(User).where(condition))
            rows = await session.scalars(query.limit(page.size).offset(page.offset))
            return [user_view(row) for row in rows], total or 0

    async def get_user(self, actor: Actor, user_id: str) -> UserView:
        """One user; raises `NotFound` where there is none that the actor may see (404)."""
        async with self._database.read() as session:
            return user_view(await _find(session, actor, user_id))

    async def create_user(self, actor: Actor, spec: UserSpec) -> UserView:
        """Make a user.

        Raises:
            InvalidRequest: a field is wrong, or not the actor's to set (400).
            PermissionDenied: the actor may make none, or none of this role (403).
            Conflict: the id or the email is taken (409).
        """
        if actor.role == "user":
            raise PermissionDenied("This needs the role org_admin.")
        check_spec(spec)
        organization_id = spec.organization_id or None
        if actor.role == "org_admin":
            organization_id = _member_organization(actor, spec)
        check_rank(actor, spec.role)
        async with self._acts.change(actor) as change:
            await _check_organization(change, spec.role, organization_id)
            row = new_user(new_id("user") if spec.id is UNSET else spec.id, spec.role, organization_id, actor.name)
            row.email = None if spec.email is None else check_email(spec.email)
            row.workos_id = spec.workos_id
            for name in ("name", "limits", "budget", "metadata"):
                setattr(row, _COLUMNS.get(name, name), storable(name, getattr(spec, name)))
            change.session.add(row)
            change.note("user.created", row.id, organization_id, role=row.role, email=row.email)
        return user_view(row)

    async def update_user(self, actor: Actor, user_id: str, changes: UserChanges) -> UserView:
        """Change what was said of a user; raises as `create_user`, and `NotFound` (404).

        Keys go with their user into another organization.
        """
        check_spec(changes)
        said = changes.said()
        async with self._acts.change(actor) as change:
            row = await _find(change.session, actor, user_id)
            _check_fields(actor, row, said)
            await self._check_outcome(change, row, said)
            if "organization_id" in said:
                keys = update(Key).where(Key.owner_id == row.id).values(organization_id=said["organization_id"])
                await change.session.execute(keys, execution_options={"synchronize_session": False})
            for name, value in said.items():
                found = check_email(value) if name == "email" and value is not None else storable(name, value)
                setattr(row, _COLUMNS.get(name, name), found)
            view = user_view(row)
            shown = {name: getattr(view, name) for name in said if name != "metadata"}
            change.note("user.updated", row.id, row.organization_id, fields=sorted(said), **shown)
        return view

    async def _check_outcome(self, change: Change, row: User, said: dict[str, Any]) -> None:
        role = said.get("role", row.role)
        if {"role", "organization_id"} & said.keys():
            await _check_organization(change, role, said.get("organization_id", row.organization_id))
        if row.role == "platform_admin" and (role != "platform_admin" or said.get("disabled")):
            await keep_an_administrator(change.session, without=row.id)

    # -- organizations --------------------------------------------------------------------------------------------

    async def list_organizations(self, actor: Actor, page: Page) -> tuple[list[OrganizationView], int]:
        """As `Organizations.list`."""
        return await self._organizations.list(actor, page)

    async def get_organization(self, actor: Actor, organization_id: str) -> OrganizationView:
        """As `Organizations.get`."""
        return await self._organizations.get(actor, organization_id)

    async def create_organization(self, actor: Actor, spec: OrganizationSpec) -> OrganizationView:
        """As `Organizations.create`."""
        return await self._organizations.create(actor, spec)

    async def update_organization(
        self, actor: Actor, organization_id: str, changes: OrganizationChanges
    ) -> OrganizationView:
        """As `Organizations.update`."""
        return await self._organizations.update(actor, organization_id, changes)

    # -- platform administrators ----------------------------------------------------------------------------------

    async def list_admins(self, actor: Actor) -> list[AdminView]:
        """As `Admins.list`."""
        return await self._admins.list(actor)

    async def add_admin(self, actor: Actor, *, workos_id: str, email: str, name: str = "") -> AdminView:
        """As `Admins.add`."""
        return await self._admins.add(actor, workos_id=workos_id, email=email, name=name)

    async def remove_admin(self, actor: Actor, email: str) -> str:
        """As `Admins.remove`."""
        return await self._admins.remove(actor, email)


def _scope(actor: Actor) -> ColumnElement[bool]:
    """The users that an actor may see."""
    identity = actor.identity
    if identity is None or identity.role == "platform_admin":
        return true()
    if identity.role == "org_admin":
        own = identity.organization_id
        return false() if own is None else User.organization_id == own
    return false() if identity.user_id is None else User.id == identity.user_id


def _conditions(wanted: UserFilter) -> list[ColumnElement[bool]]:
    found = []
    for column, name in ((User.organization_id, "organization_id"), (User.role, "role"), (User.email, "email")):
        value = getattr(wanted, name)
        if value is not None:
            check_text(name, value)
            found.append(column == (value.lower() if name == "email" else value))
    return found


async def _find(session: AsyncSession, actor: Actor, user_id: str) -> User:
    if not user_id.isprintable():
        raise not_found("user")
    row = await session.scalar(select(User).where(User.id == user_id, _scope(actor)))
    if row is None:
        raise not_found("user")
    return row


def _member_organization(actor: Actor, spec: UserSpec) -> str | None:
    """Where an organization's administrator makes users; it does not say as whom the directory knows them."""
    for name in ("id", "workos_id"):
        if getattr(spec, name) not in {UNSET, None}:
            raise forbidden(name)
    if spec.organization_id not in {UNSET, actor.organization_id}:
        raise PermissionDenied("This is another organization than yours.", param="organization_id")
    if actor.organization_id is None:
        raise PermissionDenied("You belong to no organization.")
    return actor.organization_id


def _check_fields(actor: Actor, row: User, said: dict[str, Any]) -> None:
    is_self = actor.identity is not None and actor.identity.user_id == row.id
    if actor.role == "user" or (actor.role == "org_admin" and is_self):
        allowed = _OWN
    elif actor.role == "org_admin":
        allowed = _OF_MEMBERS
    else:
        allowed = frozenset(UserChanges.__struct_fields__) - (_NEVER_OWN if is_self else frozenset())
    for name in said:
        if name not in allowed:
            raise forbidden(name)
    check_rank(actor, row.role)
    check_rank(actor, said.get("role", "user"))


async def _check_organization(change: Change, role: str, organization_id: str | None) -> None:
    if organization_id is not None and await change.session.get(Organization, organization_id) is None:
        raise InvalidRequest("No such organization.", param="organization_id")
    if role == "org_admin" and organization_id is None:
        raise InvalidRequest("An organization's administrator needs an organization.", param="role")
