"""Whose sessions an actor may see: a user their own, an organization's administrator its, the platform's all."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import ColumnElement

from chatproxy_platform.identity.records import Actor
from chatproxy_platform.sessions.counts import organization_key
from chatproxy_platform.storage.tables import ChatSession


class Scope(msgspec.Struct, frozen=True):
    """A part of all sessions.

    Attributes:
        conditions: what its sessions have in common.
        counted: where it is known how many they are.
        own: the actor's own owner; sessions of others are read on record.
        is_wide: it may hold sessions of others.
    """

    conditions: tuple[ColumnElement[bool], ...]
    counted: tuple[str, str]
    own: str | None
    is_wide: bool = True

    def holds_foreign(self, rows: list[ChatSession]) -> bool:
        """Whether some of these are not the actor's own."""
        return any(row.owner != self.own for row in rows)


def scope_of(actor: Actor, user_id: str | None) -> Scope:
    """What an actor may see, of one user where one is named."""
    named: tuple[ColumnElement[bool], ...] = () if user_id is None else (ChatSession.user_id == user_id,)
    identity = actor.identity
    if identity is None or identity.role == "platform_admin":
        return Scope(named, ("", user_id or ""), None if identity is None else identity.owner)
    organization = identity.organization_id
    if identity.role == "org_admin" and organization is not None:
        within = ChatSession.organization_id == organization
        return Scope((within, *named), organization_key(organization, user_id), identity.owner)
    return Scope((ChatSession.owner == identity.owner, *named), (identity.owner, user_id or ""), identity.owner, False)


def audited(actor: Actor, row: ChatSession) -> dict[str, Any]:
    """What the audit log says of an act on a session of somebody else."""
    return {
        "resource": "session",
        "resource_id": row.id,
        "user_id": actor.name,
        "org_id": actor.organization_id,
        "metadata": {"owner": row.owner, "of_user": row.user_id},
    }
