"""Whose a key is: its user, its organization, and the key that it counts for; read within the act's transaction."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import PermissionDenied
from chatproxy.errors import InvalidRequest
from chatproxy_platform.clock import now_us
from chatproxy_platform.errors import Conflict
from chatproxy_platform.identity.acts import Change
from chatproxy_platform.identity.cache import MAX_PARENTS
from chatproxy_platform.identity.records import RANKS, Actor, Identity, Role
from chatproxy_platform.identity.specs import KeySpec
from chatproxy_platform.storage.tables import Key, Organization, User


async def owner_for(change: Change, actor: Actor, spec: KeySpec) -> tuple[User | None, str | None]:
    """The user and the organization of a key as it is wished.

    Raises:
        InvalidRequest: one of them is not there, they do not fit, or the role is more than theirs (400).
    """
    user = None if not spec.user_id else await _user(change, actor, str(spec.user_id))
    organization_id = spec.organization_id or (None if user is None else user.organization_id)
    if organization_id and user is not None and user.organization_id not in {None, organization_id}:
        raise InvalidRequest("The user belongs to another organization.", param="organization_id")
    if organization_id and await change.session.get(Organization, organization_id) is None:
        raise InvalidRequest("No such organization.", param="organization_id")
    if spec.role == "org_admin" and not organization_id:
        raise InvalidRequest("An organization's administrator needs an organization.", param="role")
    if user is not None and RANKS[spec.role] > RANKS[user.role]:
        raise InvalidRequest(f"The user's own role is {user.role}.", param="role")
    return user, str(organization_id) if organization_id else None


async def parent_for(session: AsyncSession, actor: Actor) -> str | None:
    """The key that a new one counts for, so that a limited key cannot multiply its limits by making more.

    Raises:
        PermissionDenied: the actor's own key was closed just now (403).
        Conflict: too many keys above it (409).
    """
    identity = actor.identity
    if identity is None or identity.key_id is None:
        return None
    own = await session.get(Key, identity.key_id, populate_existing=True)
    if own is None or own.revoked_at is not None or own.is_disabled:
        raise PermissionDenied("Your own key is not valid any more.")
    parent_id = own.parent_id if own.limits is None and own.budget is None else own.id
    above, depth = parent_id, 0
    while above is not None:
        depth += 1
        if depth > MAX_PARENTS:
            raise Conflict("Too many keys were made by each other; have an administrator make this one.")
        above = await session.scalar(select(Key.parent_id).where(Key.id == above))
    return parent_id


async def _user(change: Change, actor: Actor, user_id: str) -> User:
    user = await change.session.get(User, user_id)
    identity = actor.identity
    if user is None and identity is not None and identity.key_id is None and identity.user_id == user_id:
        return await _welcome(change, identity, user_id)
    is_foreign = actor.role == "org_admin" and user is not None and user.organization_id != actor.organization_id
    if user is None or is_foreign:
        raise InvalidRequest("No such user.", param="user_id")
    return user


async def _welcome(change: Change, identity: Identity, user_id: str) -> User:
    """A user whom only a token has named so far; of the lowest role, since the issuer may take back what it gave."""
    organization_id = identity.organization_id
    if organization_id and await change.session.get(Organization, organization_id) is None:
        change.session.add(new_organization(organization_id, organization_id, "token"))
        await change.session.flush()
        change.note("organization.created", organization_id, organization_id, by="token")
    user = new_user(user_id, "user", organization_id, "token")
    change.session.add(user)
    await change.session.flush()
    change.note("user.created", user_id, organization_id, by="token")
    return user


def new_user(user_id: str, role: Role, organization_id: str | None, created_by: str) -> User:
    """A user to be stored."""
    return User(
        id=user_id,
        name="",
        role=role,
        organization_id=organization_id,
        is_disabled=False,
        attributes={},
        created_at=now_us(),
        created_by=created_by,
    )


def new_organization(organization_id: str, name: str, created_by: str) -> Organization:
    """An organization to be stored."""
    return Organization(
        id=organization_id,
        name=name,
        is_disabled=False,
        attributes={},
        created_at=now_us(),
        created_by=created_by,
    )
