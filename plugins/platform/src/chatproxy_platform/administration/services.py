"""What the routes ask of the platform, and who asks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from chatproxy import RequestContext
from chatproxy_platform.administration.reading import AnyRequest
from chatproxy_platform.identity.current import actor_of
from chatproxy_platform.identity.records import Actor, Role

if TYPE_CHECKING:
    from chatproxy_platform.audit.log import AuditLog
    from chatproxy_platform.identity.keys import KeyService
    from chatproxy_platform.identity.people import PeopleService
    from chatproxy_platform.sessions.store import History
    from chatproxy_platform.storage.database import Database
    from chatproxy_platform.usage.reports import Reports


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What of the platform the routes use; the platform provides it when it has opened all of it."""

    database: Database
    audit: AuditLog
    keys: KeyService
    people: PeopleService
    history: History
    reports: Reports


def context_of(request: AnyRequest) -> RequestContext:
    """The context that the gateway's guard has made."""
    return cast("RequestContext", request.state.context)


def asked(request: AnyRequest, role: Role) -> tuple[Services, Actor]:
    """The platform, and who asks it.

    Raises:
        PermissionDenied: their role is lower (403); the route's own declaration refuses them before.
    """
    ctx = context_of(request)
    return ctx.plugin(Services), actor_of(ctx, role)
