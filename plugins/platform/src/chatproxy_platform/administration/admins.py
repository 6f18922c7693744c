"""Platform administrators."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import delete, get, post
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import MAX_OFFSET
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest, path_text, read_body, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import AdminChanged, AdminList

ADMIN = for_role("platform_admin")


class AdminQuery(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which of them."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    offset: Annotated[int, msgspec.Meta(ge=0, le=MAX_OFFSET)] = 0


class NewAdmin(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Who becomes a platform administrator."""

    workos_id: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    email: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""


def admin_routes() -> list[HTTPRouteHandler]:
    """``…/admins``."""

    @get(
        platform_paths("admins"),
        opt=ADMIN,
        operation_class=operation(query=AdminQuery),
        summary="List platform administrators.",
    )
    async def list_admins(request: AnyRequest) -> AdminList:
        """All of them, as far as 200 are enough."""
        services, actor = asked(request, "platform_admin")
        query = read_query(request, AdminQuery)
        admins = await services.people.list_admins(actor)
        return AdminList(admins=admins[query.offset : query.offset + query.limit], count=len(admins))

    @post(
        platform_paths("admins"),
        opt=ADMIN,
        operation_class=operation(body=NewAdmin),
        summary="Make somebody a platform administrator.",
    )
    async def add_admin(request: AnyRequest) -> AdminChanged:
        """A user of this email address, or a new one."""
        services, actor = asked(request, "platform_admin")
        new = await read_body(request, NewAdmin)
        added = await services.people.add_admin(actor, workos_id=new.workos_id, email=new.email, name=new.name)
        return AdminChanged(email=added.email or new.email)

    @delete(
        platform_paths("admins/{email:path}"),
        opt=ADMIN,
        operation_class=operation(),
        status_code=200,
        summary="Take an administrator's role away.",
    )
    async def remove_admin(request: AnyRequest) -> AdminChanged:
        """The last one stays."""
        services, actor = asked(request, "platform_admin")
        return AdminChanged(email=await services.people.remove_admin(actor, path_text(request)))

    return [list_admins, add_admin, remove_admin]
