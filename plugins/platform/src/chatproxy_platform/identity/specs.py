"""What clients may say of keys and people: one type for each act; a field that is not here cannot be set.

Rule: `msgspec.UNSET` is what a client did not say; where a key is made, it takes what the grantor has.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.identity.records import Role

MAX_METADATA_BYTES = 16 << 10

Name = Annotated[str, msgspec.Meta(max_length=200)]
Glob = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Globs = Annotated[list[Glob], msgspec.Meta(max_length=200)]
Surface = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]
Surfaces = Annotated[list[Surface], msgspec.Meta(max_length=50)]
UserId = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
OrganizationId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Email = Annotated[str, msgspec.Meta(max_length=320)]
Time = Annotated[datetime, msgspec.Meta(tz=True)]
Metadata = dict[str, Any]


class Spec(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What a client says, complete or in part."""

    def said(self) -> dict[str, Any]:
        """The fields that the client set."""
        values = ((name, getattr(self, name)) for name in self.__struct_fields__)
        return {name: value for name, value in values if value is not UNSET}


class KeySpec(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A key to be made.

    Attributes:
        user_id: whose it is; not said: a user's is their own, an administrator's is nobody's.
        models: globs of ``*`` and ``?``; null: all. ``surfaces`` likewise, by name.
        limits: null, or a null within them: none of its own.
        expires_at: null: never.
    """

    name: Name = ""
    user_id: UserId | UnsetType | None = UNSET
    organization_id: OrganizationId | UnsetType | None = UNSET
    role: Role = "user"
    models: Globs | UnsetType | None = UNSET
    surfaces: Surfaces | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    budget: Budget | UnsetType | None = UNSET
    expires_at: Time | UnsetType | None = UNSET
    metadata: Metadata = {}


class KeyChanges(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed of a key; whose it is stays."""

    name: Name | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    models: Globs | UnsetType | None = UNSET
    surfaces: Surfaces | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    budget: Budget | UnsetType | None = UNSET
    expires_at: Time | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class UserSpec(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A user to be made.

    Attributes:
        id: as the company's directory knows the person, for example the ``sub`` of tokens; not said: a new one.
    """

    id: UserId | UnsetType = UNSET
    email: Email | None = None
    name: Name = ""
    workos_id: UserId | None = None
    role: Role = "user"
    organization_id: OrganizationId | UnsetType | None = UNSET
    limits: Limits | None = None
    budget: Budget | None = None
    metadata: Metadata = {}


class UserChanges(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed of a user; of oneself only ``name`` and ``metadata``, unless one is an administrator."""

    email: Email | UnsetType | None = UNSET
    name: Name | UnsetType = UNSET
    workos_id: UserId | UnsetType | None = UNSET
    role: Role | UnsetType = UNSET
    organization_id: OrganizationId | UnsetType | None = UNSET
    limits: Limits | UnsetType | None = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class OrganizationSpec(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """An organization to be made."""

    id: OrganizationId | UnsetType = UNSET
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    limits: Limits | None = None
    budget: Budget | None = None
    metadata: Metadata = {}


class OrganizationChanges(Spec, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What may be changed of an organization; its own administrators: ``name`` and ``metadata``."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)] | UnsetType = UNSET
    limits: Limits | UnsetType | None = UNSET
    budget: Budget | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
