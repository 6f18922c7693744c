"""Tenants and owners: who shares sessions and guests, and whose is what is kept between two requests.

The two kinds of ids may be equal by chance, and so may those of two plugins that authenticate: each says what it is.
"""

from __future__ import annotations

from chatproxy import RequestContext


def tenant_of(ctx: RequestContext) -> str:
    """Who shares sessions: the organisation, else the principal; empty where nobody authenticates."""
    principal = ctx.principal
    if principal is None or not principal.organization_id:
        return owner_of(ctx)
    return repr(("organization", principal.plugin, principal.organization_id))


def owner_of(ctx: RequestContext) -> str:
    """Whose conversation it is: the principal's; empty where nobody authenticates."""
    principal = ctx.principal
    return "" if principal is None else repr(("principal", principal.plugin, principal.organization_id, principal.id))
