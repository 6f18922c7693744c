"""Who asks, carried from `authenticate` to the hooks and routes that come after it."""

from __future__ import annotations

from chatproxy import PermissionDenied, RequestContext
from chatproxy_platform.config import PLUGIN
from chatproxy_platform.identity.records import RANKS, Actor, Identity, Role


def set_identity(ctx: RequestContext, identity: Identity) -> None:
    """Keep who asks; `authenticate` does it."""
    ctx.state[PLUGIN] = identity


def identity_of(ctx: RequestContext) -> Identity | None:
    """Who asks, also for what a model asks inside of an exchange; None where another plugin has let them in."""
    while ctx.parent is not None:
        ctx = ctx.parent
    found = ctx.state.get(PLUGIN)
    return found if isinstance(found, Identity) else None


def actor_of(ctx: RequestContext, role: Role) -> Actor:
    """Who asks, for an act that needs a role.

    Raises:
        PermissionDenied: theirs is lower, or it is not known (403).
    """
    identity = identity_of(ctx)
    if identity is None or RANKS[identity.role] < RANKS[role]:
        raise PermissionDenied(f"This needs the role {role}.")
    return Actor(name=identity.user_id or identity.id, identity=identity)
