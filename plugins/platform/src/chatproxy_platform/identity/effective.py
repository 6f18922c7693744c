"""What applies to a key or a person: their own, their owner's and their organization's settings, put together.

Rule: pure functions of stored rows. Where rows contradict each other, the lower role and the closed door win.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast

import msgspec

from chatproxy_platform.config import Budget, Limits, LimitsConfig
from chatproxy_platform.identity.records import RANKS, Identity, Role, Subject
from chatproxy_platform.storage.tables import Json, Key, Organization, User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """A key as the request path needs it.

    Attributes:
        refusal: why nobody comes in by it, as the end of "This key …"; None: it is good.
        previous_until: microseconds, until which the hash before the last rotation is good too.
    """

    identity: Identity
    refusal: str | None
    secret_hash: bytes = field(repr=False)
    previous_hash: bytes | None = field(default=None, repr=False)
    previous_until: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What is stored of a token's user and organization; None where there is nothing."""

    user: User | None
    organization: Organization | None


def entry_of(
    key: Key, user: User | None, organization: Organization | None, parents: Sequence[Key], defaults: LimitsConfig
) -> Entry:
    """A key with everything that applies to it.

    Args:
        user: its owner.
        organization: its own, else the owner's.
        parents: the keys it counts for, nearest first.
    """
    refusal = _refusal(key, user, organization)
    subjects: tuple[Subject, ...] = ()
    try:
        subjects = _subjects(key, user, organization, parents, defaults)
    except msgspec.ValidationError:  # written by a later version, or by hand
        refusal = refusal or "has limits that cannot be read"
    organization_id = None if organization is None else organization.id
    owner = f"user:{user.id}" if user is not None else f"org:{organization_id}" if organization_id else f"key:{key.id}"
    identity = Identity(
        id=f"key_{key.id}",
        key_id=key.id,
        user_id=None if user is None else user.id,
        organization_id=organization_id,
        owner=owner,
        role=lowest(organization_id, key.role, *(() if user is None else (user.role,))),
        models=None if key.models is None else tuple(key.models),
        surfaces=None if key.surfaces is None else frozenset(key.surfaces),
        subjects=subjects,
        expires_at=key.expires_at,
        metadata=key.attributes,
    )
    return Entry(identity, refusal, key.secret_hash, key.previous_hash, key.previous_until or 0)


def lowest(organization_id: str | None, *roles: str) -> Role:
    """The lowest of roles; without an organization there is nothing that its administrator may touch."""
    role = min(roles, key=lambda name: RANKS.get(name, -1))
    if role not in RANKS or (role == "org_admin" and organization_id is None):
        return "user"
    return cast("Role", role)


def with_standing(identity: Identity, standing: Standing) -> tuple[Identity, str | None]:
    """A token's identity with what is stored of its user and organization, and why it is refused, if it is.

    A stored role raises the token's: who was made an administrator here is one. A stored user whose organization the
    token does not name belongs to the stored one.
    """
    user, organization = standing.user, standing.organization
    if user is None and organization is None:
        return identity, None
    organization_id = identity.organization_id or (None if organization is None else organization.id)
    if user is not None and user.organization_id is not None and user.organization_id != organization_id:
        return identity, "names another organization than its user is known in"
    own = [subject for subject in identity.subjects if not subject.name.startswith("org:")]
    stored = {} if user is None else {f"user:{user.id}": user}
    try:
        merged = [_replaced(subject, stored) for subject in own]
        if organization is not None:
            merged.append(_subject("org", organization, Limits()))
    except msgspec.ValidationError:
        return identity, "is of a user with limits that cannot be read"
    roles = [identity.role] if user is None else [identity.role, lowest(organization_id, user.role)]
    role = max(roles, key=RANKS.__getitem__)
    changed = msgspec.structs.replace(identity, role=role, organization_id=organization_id, subjects=tuple(merged))
    return changed, _closed(user, organization)


def _refusal(key: Key, user: User | None, organization: Organization | None) -> str | None:
    if key.revoked_at is not None:
        return "has been revoked"
    if key.is_disabled:
        return "is disabled"
    return _closed(user, organization)


def _closed(user: User | None, organization: Organization | None) -> str | None:
    if user is not None and user.is_disabled:
        return "belongs to a user who is disabled"
    if organization is not None and organization.is_disabled:
        return "belongs to an organization that is disabled"
    return None


def _subjects(
    key: Key, user: User | None, organization: Organization | None, parents: Sequence[Key], defaults: LimitsConfig
) -> tuple[Subject, ...]:
    found = [_subject("key", key, defaults.key)]
    if user is not None:
        found.append(_subject("user", user, defaults.user))
    if organization is not None:
        found.append(_subject("org", organization, defaults.organization))
    return (*found, *(_subject("key", parent, Limits()) for parent in parents))


def _subject(kind: str, row: Key | User | Organization, default: Limits) -> Subject:
    limits = stored(row.limits, Limits)
    return Subject(
        name=f"{kind}:{row.id}", limits=default if limits is None else limits, budget=stored(row.budget, Budget)
    )


def _replaced(subject: Subject, users: Mapping[str, User]) -> Subject:
    row = users.get(subject.name)
    return subject if row is None else _subject("user", row, subject.limits)


def stored(value: Json | None, kind: type[T]) -> T | None:
    """Limits or a budget as they were stored; raises msgspec.ValidationError."""
    return None if value is None else msgspec.convert(value, kind)
