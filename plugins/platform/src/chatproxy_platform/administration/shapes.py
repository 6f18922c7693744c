"""Answers of the administration: times are RFC 3339 in UTC; nothing a client reads is left out, null where unknown."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.identity.views import AdminView, KeyView, OrganizationView, UserView
from chatproxy_platform.sessions.views import SessionView
from chatproxy_platform.usage.reports import UsageSum


class SystemHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How the gateway is doing: ``circuit_breaker_status`` is that of the storage."""

    status: str
    circuit_breaker_status: str
    active_agents: list[str]


class PlatformStats(msgspec.Struct, frozen=True, kw_only=True):
    """The platform in numbers; ``today`` began at midnight UTC."""

    total_users: int
    active_users: int
    total_organizations: int
    total_requests: int
    requests_today: int
    total_tokens: int
    tokens_today: int
    total_mcp_servers: int
    system_health: SystemHealth


class AuditLogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the audit log."""

    id: str
    timestamp: str
    user_id: str | None
    organization_id: str | None
    org_id: str | None
    action: str
    resource: str
    resource_id: str | None
    metadata: dict[str, Any]


class AuditLog(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows, the newest first; ``count`` is of all that there are."""

    entries: list[AuditLogEntry]
    count: int
    limit: int
    offset: int


class AdminList(msgspec.Struct, frozen=True, kw_only=True):
    """Platform administrators; ``count`` is of all that there are."""

    admins: list[AdminView]
    count: int


class AdminChanged(msgspec.Struct, frozen=True, kw_only=True):
    """Whose role was changed."""

    email: str
    status: str = "success"


class UsageList(msgspec.Struct, frozen=True, kw_only=True):
    """Some sums; ``count`` is of all rows, ``total`` the sum of them."""

    by: list[str]
    rows: list[UsageSum]
    total: UsageSum
    count: int
    limit: int
    offset: int


class SubjectLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What applies to one of those that a caller stands for: ``key:…``, ``user:…``, ``org:…``."""

    subject: str
    limits: Limits
    budget: Budget | None


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, and what they may do; ``models`` and ``surfaces`` null: all."""

    id: str
    key_id: str | None
    user_id: str | None
    organization_id: str | None
    org_id: str | None
    role: str
    models: list[str] | None
    surfaces: list[str] | None
    expires_at: str | None
    limits: list[SubjectLimits]


class NewKey(KeyView, frozen=True, kw_only=True):
    """A key with its text, which is never shown again."""

    key: str

    def __repr__(self) -> str:
        return f"NewKey(id={self.id!r}, key='***')"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """Some of a resource; ``total`` is of all that there are."""

    total: int
    page: int
    page_size: int
    has_more: bool


class KeyList(Listing, frozen=True, kw_only=True):
    """Keys, the newest first."""

    keys: list[KeyView]


class UserList(Listing, frozen=True, kw_only=True):
    """Users, the newest first."""

    users: list[UserView]


class OrganizationList(Listing, frozen=True, kw_only=True):
    """Organizations, the newest first."""

    organizations: list[OrganizationView]


class SessionList(Listing, frozen=True, kw_only=True):
    """Sessions, the one that was used last first; ``next_cursor`` is there where a cursor was given."""

    sessions: list[SessionView]
    next_cursor: str | msgspec.UnsetType | None = msgspec.UNSET


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What was deleted."""

    id: str
    deleted: bool = True
