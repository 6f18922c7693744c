"""The audit log, page by page."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import MAX_OFFSET
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import AuditLog, AuditLogEntry

FILTERS = ("action", "resource", "resource_id", "user_id", "org_id")


class AuditQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which rows, the newest first."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)] = 0
    action: str | None = None
    resource: str | None = None
    resource_id: str | None = None
    user_id: str | None = None
    org_id: str | None = None


def audit_routes() -> list[HTTPRouteHandler]:
    """``GET …/audit``."""

    @get(
        platform_paths("audit"),
        opt=for_role("platform_admin"),
        operation_class=operation(query=AuditQuery),
        summary="List rows of the audit log.",
    )
    async def list_audit_log(request: AnyRequest) -> AuditLog:
        """The newest first."""
        services, _ = asked(request, "platform_admin")
        query = read_query(request, AuditQuery)
        wanted = {name: getattr(query, name) for name in FILTERS}
        entries, count = await services.audit.page(query.limit, query.offset, **wanted)
        shown = [AuditLogEntry(**entry.shown(), organization_id=entry.org_id) for entry in entries]
        return AuditLog(entries=shown, count=count, limit=query.limit, offset=query.offset)

    return [list_audit_log]
