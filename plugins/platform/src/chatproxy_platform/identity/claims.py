"""From the claims of a verified token to an identity."""

from __future__ import annotations

import hashlib
from typing import Any

from chatproxy import Unauthenticated
from chatproxy_platform.clock import MICRO
from chatproxy_platform.config import JwtConfig, LimitsConfig
from chatproxy_platform.identity.records import RANKS, Identity, Role, Subject

MAX_USER_LENGTH = 200
MAX_ORGANIZATION_LENGTH = 64
LAST_SECOND = 253_402_300_000
"""About the end of the year 9999: the last that a date can show."""


def identity_from(claims: dict[str, Any], config: JwtConfig, limits: LimitsConfig) -> Identity:
    """Whom verified claims stand for.

    Args:
        claims: ``exp`` among them, not after `LAST_SECOND`.

    Raises:
        Unauthenticated: the user's or the organization's claim holds no name (401).
    """
    user = _name(claims, config.user_claim, MAX_USER_LENGTH)
    organization = None
    if config.organization_claim is not None and _value(claims, config.organization_claim) is not None:
        organization = _name(claims, config.organization_claim, MAX_ORGANIZATION_LENGTH)
    digest = hashlib.sha256(f"{config.issuer}\0{user}".encode()).hexdigest()[:20]
    subjects = [Subject(name=f"jwt:{digest}", limits=config.limits), Subject(name=f"user:{user}", limits=limits.user)]
    if organization is not None:
        subjects.append(Subject(name=f"org:{organization}", limits=limits.organization))
    return Identity(
        id=f"jwt_{digest}",
        user_id=user,
        organization_id=organization,
        owner=f"user:{user}",
        role=_role(claims, config, organization),
        models=None if config.models is None else tuple(config.models),
        subjects=tuple(subjects),
        expires_at=int((claims["exp"] + config.leeway_s) * MICRO),
    )


def _value(claims: dict[str, Any], name: str) -> Any:
    """A claim by its name; where there is none, by its path of names joined by dots, as Keycloak nests its roles."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(part)
    return found


def _name(claims: dict[str, Any], claim: str, longest: int) -> str:
    value = _value(claims, claim)
    if not isinstance(value, str) or not 0 < len(value) <= longest or not value.isprintable():
        raise Unauthenticated(f"The bearer token's claim {claim!r} is no name of 1 to {longest} printable characters.")
    return value


def _role(claims: dict[str, Any], config: JwtConfig, organization: str | None) -> Role:
    """The highest role that a known value stands for; an unknown value is an ordinary user's."""
    found = _value(claims, config.role_claim) if config.role_claim is not None else None
    values = found if isinstance(found, list) else [found]
    known = [config.roles[value] for value in values if isinstance(value, str) and value in config.roles]
    role: Role = max(known, key=RANKS.__getitem__, default="user")
    # without an organization there is nothing that its administrator may touch
    return "user" if role == "org_admin" and organization is None else role
