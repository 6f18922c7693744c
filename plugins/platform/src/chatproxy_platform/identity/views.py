"""Keys and people as clients see them; never a secret or its hash."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy_platform.clock import rfc3339
from chatproxy_platform.identity.records import Role
from chatproxy_platform.storage.tables import Key, Organization, User


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key. Times are RFC 3339; ``status`` is ``active``, ``disabled``, ``expired`` or ``revoked``."""

    id: str
    name: str
    status: str
    user_id: str | None
    organization_id: str | None
    org_id: str | None
    role: str
    models: list[str] | None
    surfaces: list[str] | None
    limits: dict[str, Any] | None
    budget: dict[str, Any] | None
    metadata: dict[str, Any]
    disabled: bool
    expires_at: str | None
    revoked_at: str | None
    created_at: str | None
    created_by: str | None


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user."""

    id: str
    email: str | None
    name: str
    workos_id: str | None
    role: str
    organization_id: str | None
    org_id: str | None
    disabled: bool
    limits: dict[str, Any] | None
    budget: dict[str, Any] | None
    metadata: dict[str, Any]
    created_at: str | None
    created_by: str | None


class OrganizationView(msgspec.Struct, frozen=True, kw_only=True):
    """An organization."""

    id: str
    name: str
    disabled: bool
    limits: dict[str, Any] | None
    budget: dict[str, Any] | None
    metadata: dict[str, Any]
    created_at: str | None
    created_by: str | None


class AdminView(msgspec.Struct, frozen=True, kw_only=True):
    """A platform administrator."""

    id: str
    email: str | None
    name: str
    created_at: str | None
    created_by: str | None


class KeyFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which keys are listed; what is None does not matter.

    Attributes:
        revoked: whether revoked ones; None: both kinds.
    """

    user_id: str | None = None
    organization_id: str | None = None
    role: Role | None = None
    revoked: bool | None = None


class UserFilter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which users are listed."""

    organization_id: str | None = None
    role: Role | None = None
    email: str | None = None


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A part of a listing, newest first; ``number`` counts from 1."""

    number: int = 1
    size: int = 20

    @property
    def offset(self) -> int:
        """How many come before it."""
        return (self.number - 1) * self.size


def key_view(row: Key, now: int) -> KeyView:
    """A stored key as clients see it."""
    return KeyView(
        id=row.id,
        name=row.name,
        status=_status(row, now),
        user_id=row.owner_id,
        organization_id=row.organization_id,
        org_id=row.organization_id,
        role=row.role,
        models=row.models,
        surfaces=row.surfaces,
        limits=row.limits,
        budget=row.budget,
        metadata=row.attributes,
        disabled=row.is_disabled,
        expires_at=rfc3339(row.expires_at),
        revoked_at=rfc3339(row.revoked_at),
        created_at=rfc3339(row.created_at),
        created_by=row.created_by,
    )


def _status(row: Key, now: int) -> str:
    if row.revoked_at is not None:
        return "revoked"
    if row.is_disabled:
        return "disabled"
    return "expired" if row.expires_at is not None and row.expires_at <= now else "active"


def user_view(row: User) -> UserView:
    """A stored user as clients see it."""
    return UserView(
        id=row.id,
        email=row.email,
        name=row.name,
        workos_id=row.workos_id,
        role=row.role,
        organization_id=row.organization_id,
        org_id=row.organization_id,
        disabled=row.is_disabled,
        limits=row.limits,
        budget=row.budget,
        metadata=row.attributes,
        created_at=rfc3339(row.created_at),
        created_by=row.created_by,
    )


def organization_view(row: Organization) -> OrganizationView:
    """A stored organization as clients see it."""
    return OrganizationView(
        id=row.id,
        name=row.name,
        disabled=row.is_disabled,
        limits=row.limits,
        budget=row.budget,
        metadata=row.attributes,
        created_at=rfc3339(row.created_at),
        created_by=row.created_by,
    )


def admin_view(row: User) -> AdminView:
    """A platform administrator as clients see it."""
    return AdminView(
        id=row.id, email=row.email, name=row.name, created_at=rfc3339(row.created_at), created_by=row.created_by
    )
