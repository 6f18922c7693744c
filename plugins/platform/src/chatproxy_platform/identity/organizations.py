"""Organizations: tenants, made by platform administrators."""

from __future__ import annotations

from msgspec import UNSET
from sqlalchemy import ColumnElement, false, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.clock import new_id
from chatproxy_platform.identity.acts import Acts, check_rank, check_spec, forbidden, not_found, storable
from chatproxy_platform.identity.ownership import new_organization
from chatproxy_platform.identity.records import Actor
from chatproxy_platform.identity.specs import OrganizationChanges, OrganizationSpec
from chatproxy_platform.identity.views import OrganizationView, Page, organization_view
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Organization

_COLUMNS = {"metadata": "attributes", "disabled": "is_disabled"}
_OWN = frozenset({"name", "metadata"})


class Organizations:
    """What is done with organizations."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def list(self, actor: Actor, page: Page) -> tuple[list[OrganizationView], int]:
        """The organizations that an actor may see, the newest first, and how many there are in all."""
        condition = _scope(actor)
        query = select(Organization).where(condition).order_by(Organization.created_at.desc(), Organization.id)
        async with self._database.read() as session:
            total = await session.scalar(select(func.count()).select_from(Organization).where(condition))
            rows = await session.scalars(query.limit(page.size).offset(page.offset))
            return [organization_view(row) for row in rows], total or 0

    async def get(self, actor: Actor, organization_id: str) -> OrganizationView:
        """One; raises `NotFound` where there is none that the actor may see (404)."""
        async with self._database.read() as session:
            return organization_view(await _find(session, actor, organization_id))

    async def create(self, actor: Actor, spec: OrganizationSpec) -> OrganizationView:
        """Make one.

        Raises:
            InvalidRequest: a field is wrong (400).
            PermissionDenied: the actor is no platform administrator (403).
            Conflict: the id is taken (409).
        """
        check_rank(actor, "platform_admin")
        check_spec(spec)
        async with self._acts.change(actor) as change:
            row = new_organization(new_id("org") if spec.id is UNSET else spec.id, spec.name, actor.name)
            for name in ("limits", "budget", "metadata"):
                setattr(row, _COLUMNS.get(name, name), storable(name, getattr(spec, name)))
            change.session.add(row)
            change.note("organization.created", row.id, row.id, name=row.name)
        return organization_view(row)

    async def update(self, actor: Actor, organization_id: str, changes: OrganizationChanges) -> OrganizationView:
        """Change what was said of one; raises as `create`, and `NotFound` (404)."""
        check_rank(actor, "org_admin")
        check_spec(changes)
        said = changes.said()
        async with self._acts.change(actor) as change:
            row = await _find(change.session, actor, organization_id)
            for name, value in said.items():
                if actor.role != "platform_admin" and name not in _OWN:
                    raise forbidden(name)
                setattr(row, _COLUMNS.get(name, name), storable(name, value))
            view = organization_view(row)
            shown = {name: getattr(view, name) for name in said if name != "metadata"}
            change.note("organization.updated", row.id, row.id, fields=sorted(said), **shown)
        return view


def _scope(actor: Actor) -> ColumnElement[bool]:
    """The organizations that an actor may see: all, or one's own."""
    if actor.role == "platform_admin":
        return true()
    own = actor.organization_id
    return false() if own is None else Organization.id == own


async def _find(session: AsyncSession, actor: Actor, organization_id: str) -> Organization:
    if not organization_id.isprintable():
        raise not_found("organization")
    row = await session.scalar(select(Organization).where(Organization.id == organization_id, _scope(actor)))
    if row is None:
        raise not_found("organization")
    return row
