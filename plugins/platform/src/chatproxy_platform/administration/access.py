"""Who may use which route: by the role that the matched route declares, never by the text of a path.

Rule: closed by default. A route that declares nothing, or a role that nobody knows, is for the highest role.
"""

from __future__ import annotations

from collections.abc import Iterable

from chatproxy import PermissionDenied, RequestContext
from chatproxy.errors import PluginError
from chatproxy.types.route import Route
from chatproxy_platform.config import PLUGIN
from chatproxy_platform.identity.records import RANKS, Identity

ACCESS = frozenset({"public", *RANKS})
"""What a route may declare; each role includes those below it."""

_HIGHEST = max(RANKS, key=RANKS.__getitem__)


def needed_role(route: Route) -> str:
    """The lowest role that may use a route; of a public one, whoever has authenticated without need: ``user``."""
    if route.access == "public":
        return "user"
    return route.access if route.access in RANKS else _HIGHEST


def check(ctx: RequestContext, identity: Identity) -> None:
    """Let an identity go on to the route it has asked for.

    Raises:
        PermissionDenied: its role is lower than the route's (403).
    """
    role = needed_role(ctx.route)
    if RANKS[identity.role] < RANKS[role]:
        raise PermissionDenied(f"This needs the role {role}.")


def check_declared(routes: Iterable[Route]) -> None:
    """Refuse to start with a route of the gateway's or the platform's own that declares no role.

    Routes of other plugins may declare none; they are then for the highest role.

    Raises:
        PluginError: names each such route.
    """
    faults = [fault for route in routes if (fault := _fault_of(route))]
    if faults:
        raise PluginError("plugin 'platform': " + "; ".join(faults))


def _fault_of(route: Route) -> str | None:
    if route.methods == ("OPTIONS",):  # the framework's own; tells the methods of a path and nothing else
        return None
    allowed = {PLUGIN: frozenset(RANKS), None: ACCESS}.get(route.plugin)
    if allowed is None or route.access in allowed:
        return None
    name = f"{'/'.join(route.methods) or 'any method'} {' '.join(route.paths)}"
    return f"route {name}: opt['access'] must be one of {sorted(allowed)}, found {route.access!r}"
