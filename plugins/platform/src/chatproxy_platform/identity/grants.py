"""A grant never exceeds the grantor's own: what one may give to a key, field by field.

Rule: pure functions; nothing here asks the database. The grantor's own is what its key or token has, its role and its
organization. Its user's and organization's limits stay with them: they count for every key of theirs anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import msgspec
from msgspec import UNSET

from chatproxy import PermissionDenied
from chatproxy_platform.clock import micros_of, time_of
from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.identity.globs import lie_within
from chatproxy_platform.identity.records import RANKS, Actor
from chatproxy_platform.identity.specs import KeySpec

NO_LIMITS = Limits()
PERIODS = {"day": 0, "month": 1, "total": 2}
FIELDS = ("role", "organization_id", "user_id", "models", "surfaces", "limits", "budget", "expires_at")


class Ceiling(msgspec.Struct, frozen=True, kw_only=True):
    """The most that a grantor may give; None: without limit."""

    role: str
    is_bound_to_organization: bool
    organization_id: str | None
    is_bound_to_user: bool
    user_id: str | None
    models: tuple[str, ...] | None
    surfaces: frozenset[str] | None
    limits: Limits | None
    budget: Budget | None
    expires_at: int | None


def ceiling_of(actor: Actor, default_limits: Limits = NO_LIMITS) -> Ceiling | None:
    """What an actor may give at most; None for the operator, who may give anything.

    An administrator is not held to the limits that every key has by default, only to its own. The time of a token
    binds no key: it says for how long somebody is logged in.
    """
    identity = actor.identity
    if identity is None:
        return None
    own = identity.subjects[0] if identity.subjects else None
    limits = None if own is None or own.limits == NO_LIMITS else own.limits
    if identity.role != "user" and limits == default_limits:
        limits = None
    return Ceiling(
        role=identity.role,
        is_bound_to_organization=identity.role != "platform_admin",
        organization_id=identity.organization_id,
        is_bound_to_user=identity.role == "user",
        user_id=identity.user_id,
        models=identity.models,
        surfaces=identity.surfaces,
        limits=limits,
        budget=None if own is None else own.budget,
        expires_at=identity.expires_at if identity.key_id is not None else None,
    )


def completed(actor: Actor, spec: KeySpec, default_limits: Limits = NO_LIMITS) -> KeySpec:
    """A wish in which what was not said is what the grantor has; within limits, a null is the grantor's value too."""
    ceiling = ceiling_of(actor, default_limits)
    found: dict[str, Any] = {}
    for name in FIELDS:
        if getattr(spec, name) is UNSET:
            found[name] = None if ceiling is None else _inherited(ceiling, name)
    if found.get("limits") == default_limits:
        found["limits"] = None  # it gets them anyway, and later ones too
    if ceiling is not None and isinstance(spec.limits, Limits):
        found["limits"] = _filled(spec.limits, ceiling.limits)
    return msgspec.structs.replace(spec, **found)


def check_grant(
    actor: Actor,
    spec: KeySpec,
    *,
    default_limits: Limits = NO_LIMITS,
    only: Collection[str] = FIELDS,
) -> None:
    """Refuse what exceeds the grantor's own.

    Args:
        spec: without `UNSET`, see `completed`.
        only: fields that are looked at.

    Raises:
        PermissionDenied: names the first field that does (403, code ``grant_exceeds_own``).
    """
    ceiling = ceiling_of(actor, default_limits)
    if ceiling is None:
        return
    for name in FIELDS:
        value = getattr(spec, name)
        if name == "limits" and value is None:
            value = default_limits
        if name in only and not _CHECKS[name](ceiling, value):
            raise PermissionDenied(
                f"'{name}' would exceed what your own credential has.", code="grant_exceeds_own", param=name
            )


def is_within_limits(inner: Limits | None, outer: Limits | None) -> bool:
    """Whether limits allow nothing that others forbid."""
    if outer is None:
        return True
    pairs = ((getattr(inner, name, None), getattr(outer, name)) for name in Limits.__struct_fields__)
    return all(most is None or (given is not None and given <= most) for given, most in pairs)


def is_within_budget(inner: Budget | None, outer: Budget | None) -> bool:
    """Whether a budget allows nothing that another forbids: no more money, and no shorter period."""
    if outer is None:
        return True
    return inner is not None and inner.usd <= outer.usd and PERIODS[inner.period] >= PERIODS[outer.period]


def _inherited(ceiling: Ceiling, name: str) -> Any:
    if name == "models" and ceiling.models is not None:
        return list(ceiling.models)
    if name == "surfaces" and ceiling.surfaces is not None:
        return sorted(ceiling.surfaces)
    if name == "user_id" and not ceiling.is_bound_to_user:
        return None  # an administrator's key for nobody in particular
    if name == "organization_id" and not ceiling.is_bound_to_organization:
        return None  # its user's, if it has one
    if name == "expires_at":
        return None if ceiling.expires_at is None else time_of(ceiling.expires_at)
    return getattr(ceiling, name)


def _filled(given: Limits, own: Limits | None) -> Limits:
    if own is None:
        return given
    missing = {name: getattr(own, name) for name in Limits.__struct_fields__ if getattr(given, name) is None}
    return msgspec.structs.replace(given, **missing)


def _is_own_organization(ceiling: Ceiling, value: Any) -> bool:
    return not ceiling.is_bound_to_organization or value == ceiling.organization_id


def _is_own_user(ceiling: Ceiling, value: Any) -> bool:
    return not ceiling.is_bound_to_user or (value is not None and value == ceiling.user_id)


def _are_own_models(ceiling: Ceiling, value: Any) -> bool:
    return ceiling.models is None or (value is not None and lie_within(value, ceiling.models))


def _are_own_surfaces(ceiling: Ceiling, value: Any) -> bool:
    return ceiling.surfaces is None or (value is not None and ceiling.surfaces.issuperset(value))


def _is_in_time(ceiling: Ceiling, value: Any) -> bool:
    return ceiling.expires_at is None or (value is not None and micros_of(value) <= ceiling.expires_at)


_CHECKS: dict[str, Callable[[Ceiling, Any], bool]] = {
    "role": lambda ceiling, value: RANKS[value] <= RANKS[ceiling.role],
    "organization_id": _is_own_organization,
    "user_id": _is_own_user,
    "models": _are_own_models,
    "surfaces": _are_own_surfaces,
    "limits": lambda ceiling, value: is_within_limits(value, ceiling.limits),
    "budget": lambda ceiling, value: is_within_budget(value, ceiling.budget),
    "expires_at": _is_in_time,
}
