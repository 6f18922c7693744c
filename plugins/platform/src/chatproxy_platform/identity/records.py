"""What the platform knows of a key and of whom it stands for, as the request path needs it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from chatproxy_platform.config import Budget, Limits

Role = Literal["user", "org_admin", "platform_admin"]
RANKS: dict[str, int] = {"user": 0, "org_admin": 1, "platform_admin": 2}


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Something that has limits and a budget of its own: ``key:<id>``, ``user:<id>``, ``org:<id>``."""

    name: str
    limits: Limits
    budget: Budget | None = None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as a key or a token says, complete with what applies to them.

    Attributes:
        id: of the principal: ``key_<id>`` or ``jwt_<hash of issuer and subject>``.
        key_id: None for a token.
        owner: whose sessions they are: ``user:<id>``, else ``org:<id>``, else ``key:<id>``.
        role: the lowest of the key's and its owner's.
        models: globs; None: all. ``surfaces`` likewise, by name.
        subjects: the key (or token), the user, the organization, as far as there are.
        expires_at: microseconds; checked at each request.
    """

    id: str
    key_id: str | None = None
    user_id: str | None = None
    organization_id: str | None = None
    owner: str
    role: Role = "user"
    models: tuple[str, ...] | None = None
    surfaces: frozenset[str] | None = None
    subjects: tuple[Subject, ...] = ()
    expires_at: int | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who does an administrative act: an identity, or the operator at the command line.

    Attributes:
        name: for the audit log and ``created_by``: the user's id, else the principal's; ``operator`` for the command
            line.
        identity: None for the operator, who may do everything.
    """

    name: str
    identity: Identity | None = None

    @property
    def role(self) -> Role:
        """The operator's is the highest."""
        return "platform_admin" if self.identity is None else self.identity.role

    @property
    def organization_id(self) -> str | None:
        """Whose organization's data an organization's administrator may touch."""
        return None if self.identity is None else self.identity.organization_id


OPERATOR = Actor(name="operator")
