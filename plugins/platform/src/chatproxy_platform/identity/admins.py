"""Admins: platform administrators, named by email and by their id in the company's directory.

Rule: one of them always remains. Nobody becomes one by an email alone, which others may have chosen for them.
"""

from __future__ import annotations

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy.errors import InvalidRequest
from chatproxy_platform.errors import Conflict
from chatproxy_platform.identity.acts import Acts, check_rank, check_text, not_found
from chatproxy_platform.identity.ownership import new_user
from chatproxy_platform.identity.records import Actor
from chatproxy_platform.identity.views import AdminView, admin_view
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import User

LONGEST = {"email": 320, "workos_id": 200, "name": 200}


class Admins:
    """What is done with platform administrators."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def list(self, actor: Actor) -> list[AdminView]:
        """All of them, the oldest first."""
        check_rank(actor, "platform_admin")
        query = select(User).where(User.role == "platform_admin").order_by(User.created_at, User.id)
        async with self._database.read() as session:
            return [admin_view(row) for row in await session.scalars(query)]

    async def add(self, actor: Actor, *, workos_id: str, email: str, name: str = "") -> AdminView:
        """Make somebody an administrator: whose tokens name ``workos_id``, and whoever is a user by that id already.

        Raises:
            InvalidRequest: a value is missing or none (400).
            Conflict: they are one already, or the email is another user's (409).
        """
        check_rank(actor, "platform_admin")
        for field, value in (("workos_id", workos_id), ("name", name)):
            _check(field, value)
        if not workos_id.strip():
            raise InvalidRequest("'workos_id' must not be empty.", param="workos_id")
        email = check_email(email)
        async with self._acts.change(actor) as change:
            row = await _known(change.session, workos_id, email)
            if row is None:
                row = new_user(workos_id, "platform_admin", None, actor.name)
                change.session.add(row)
            elif row.role == "platform_admin":
                raise Conflict("They are a platform administrator already.")
            row.role, row.email, row.workos_id, row.name = "platform_admin", email, workos_id, name or row.name
            change.note("admin.added", row.id, row.organization_id, email=email, name=row.name)
        return admin_view(row)

    async def remove(self, actor: Actor, email: str) -> str:
        """Make an administrator an ordinary user again, named by email, or by id where there is no email.

        Raises:
            NotFound: there is none (404).
            Conflict: it is the last one (409).
        """
        check_rank(actor, "platform_admin")
        _check("email", email)
        if not email.strip():
            raise InvalidRequest("'email' must not be empty.", param="email")
        is_meant = or_(User.email == email.strip().lower(), User.id == email)
        async with self._acts.change(actor) as change:
            row = await change.session.scalar(select(User).where(is_meant, User.role == "platform_admin").limit(1))
            if row is None:
                raise not_found("administrator")
            await keep_an_administrator(change.session, without=row.id)
            row.role = "user"
            change.note("admin.removed", row.id, row.organization_id, email=row.email)
        return email


async def keep_an_administrator(session: AsyncSession, *, without: str) -> None:
    """Refuse to leave the platform without an administrator who can come in.

    Raises:
        Conflict: there is no other (409).
    """
    others = select(func.count()).where(User.role == "platform_admin", User.is_disabled.is_(False), User.id != without)
    if not await session.scalar(others):
        raise Conflict("They are the last platform administrator; add another one first.", code="last_admin")


def check_email(email: str) -> str:
    """An email address as it is stored; raises `InvalidRequest` (400)."""
    _check("email", email)
    name, _, domain = email.strip().rpartition("@")
    if not name or not domain or " " in email.strip():
        raise InvalidRequest("'email' must be an email address.", param="email")
    return email.strip().lower()


async def _known(session: AsyncSession, workos_id: str, email: str) -> User | None:
    """The user whom the directory's id names, if there is one; an email of somebody else contradicts it."""
    is_named = or_(User.id == workos_id, User.workos_id == workos_id)
    found = (await session.scalars(select(User).where(or_(is_named, User.email == email)))).all()
    named = [row for row in found if workos_id in {row.id, row.workos_id}]
    if len(found) > 1 or len(named) < len(found):
        taken = next(row for row in found if row not in named or row is not named[0])
        raise Conflict(f"The email or the id is that of the user {taken.id!r}; change that user's role instead.")
    return named[0] if named else None


def _check(field: str, value: str) -> None:
    check_text(field, value)
    if len(value) > LONGEST[field]:
        raise InvalidRequest(f"'{field}' must not be longer than {LONGEST[field]} characters.", param=field)
