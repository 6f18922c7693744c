"""Users and organizations."""

from __future__ import annotations

from litestar import get, patch, post
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import PageQuery
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest, path_text, read_body, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import OrganizationList, UserList
from chatproxy_platform.identity.records import Role
from chatproxy_platform.identity.specs import OrganizationChanges, OrganizationSpec, UserChanges, UserSpec
from chatproxy_platform.identity.views import OrganizationView, UserFilter, UserView

USER = platform_paths("users/{user_id:path}")
ORGANIZATION = platform_paths("organizations/{organization_id:path}")


class UserQuery(PageQuery, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which users."""

    organization_id: str | None = None
    role: Role | None = None
    email: str | None = None


def user_routes() -> list[HTTPRouteHandler]:
    """``…/users``."""

    @get(
        platform_paths("users"),
        opt=for_role("org_admin"),
        operation_class=operation(query=UserQuery),
        summary="List users.",
    )
    async def list_users(request: AnyRequest) -> UserList:
        """The newest first; for an organization's administrator its own."""
        services, actor = asked(request, "org_admin")
        query = read_query(request, UserQuery)
        wanted = UserFilter(organization_id=query.organization_id, role=query.role, email=query.email)
        users, total = await services.people.list_users(actor, wanted, query.wanted)
        return UserList(users=users, **query.place(total))

    @post(
        platform_paths("users"),
        opt=for_role("org_admin"),
        operation_class=operation(body=UserSpec),
        summary="Make a user.",
    )
    async def create_user(request: AnyRequest) -> UserView:
        """Who can then own keys and sessions."""
        services, actor = asked(request, "org_admin")
        return await services.people.create_user(actor, await read_body(request, UserSpec))

    @get(USER, opt=for_role("user"), operation_class=operation(), summary="Show a user.")
    async def show_user(request: AnyRequest) -> UserView:
        """Oneself, or one that one administers."""
        services, actor = asked(request, "user")
        return await services.people.get_user(actor, path_text(request))

    @patch(USER, opt=for_role("user"), operation_class=operation(body=UserChanges), summary="Change a user.")
    async def update_user(request: AnyRequest) -> UserView:
        """Only what the body names; of oneself neither role nor organization."""
        services, actor = asked(request, "user")
        changes = await read_body(request, UserChanges)
        return await services.people.update_user(actor, path_text(request), changes)

    return [list_users, create_user, show_user, update_user]


def organization_routes() -> list[HTTPRouteHandler]:
    """``…/organizations``."""

    @get(
        platform_paths("organizations"),
        opt=for_role("org_admin"),
        operation_class=operation(query=PageQuery),
        summary="List organizations.",
    )
    async def list_organizations(request: AnyRequest) -> OrganizationList:
        """The newest first; for an organization's administrator its own."""
        services, actor = asked(request, "org_admin")
        query = read_query(request, PageQuery)
        organizations, total = await services.people.list_organizations(actor, query.wanted)
        return OrganizationList(organizations=organizations, **query.place(total))

    @post(
        platform_paths("organizations"),
        opt=for_role("platform_admin"),
        operation_class=operation(body=OrganizationSpec),
        summary="Make an organization.",
    )
    async def create_organization(request: AnyRequest) -> OrganizationView:
        """A tenant of its own."""
        services, actor = asked(request, "platform_admin")
        return await services.people.create_organization(actor, await read_body(request, OrganizationSpec))

    @get(ORGANIZATION, opt=for_role("org_admin"), operation_class=operation(), summary="Show an organization.")
    async def show_organization(request: AnyRequest) -> OrganizationView:
        """With its limits and budget."""
        services, actor = asked(request, "org_admin")
        return await services.people.get_organization(actor, path_text(request))

    @patch(
        ORGANIZATION,
        opt=for_role("org_admin"),
        operation_class=operation(body=OrganizationChanges),
        summary="Change an organization.",
    )
    async def update_organization(request: AnyRequest) -> OrganizationView:
        """Only what the body names; its own administrators set neither limits nor budget."""
        services, actor = asked(request, "org_admin")
        changes = await read_body(request, OrganizationChanges)
        return await services.people.update_organization(actor, path_text(request), changes)

    return [list_organizations, create_organization, show_organization, update_organization]
