"""API keys: each caller's own, an organization's for its administrators, all for the platform's."""

from __future__ import annotations

import msgspec
from litestar import delete, get, patch, post
from litestar.handlers import HTTPRouteHandler

from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paging import PageQuery
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest, path_text, read_body, read_query
from chatproxy_platform.administration.services import asked
from chatproxy_platform.administration.shapes import KeyList, NewKey
from chatproxy_platform.identity.records import Role
from chatproxy_platform.identity.specs import KeyChanges, KeySpec
from chatproxy_platform.identity.views import KeyFilter, KeyView

ONE = "keys/{key_id:str}"


class KeyQuery(PageQuery, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which keys; ``revoked`` not said: both kinds."""

    user_id: str | None = None
    organization_id: str | None = None
    role: Role | None = None
    revoked: bool | None = None


def key_routes() -> list[HTTPRouteHandler]:
    """``…/keys`` and what is below."""
    return [*_reading(), *_changing(), *_acts()]


def _reading() -> list[HTTPRouteHandler]:
    @get(platform_paths("keys"), opt=for_role("user"), operation_class=operation(query=KeyQuery), summary="List keys.")
    async def list_keys(request: AnyRequest) -> KeyList:
        """The newest first."""
        services, actor = asked(request, "user")
        query = read_query(request, KeyQuery)
        wanted = KeyFilter(
            user_id=query.user_id, organization_id=query.organization_id, role=query.role, revoked=query.revoked
        )
        keys, total = await services.keys.list(actor, wanted, query.wanted)
        return KeyList(keys=keys, **query.place(total))

    @get(platform_paths(ONE), opt=for_role("user"), operation_class=operation(), summary="Show a key.")
    async def show_key(request: AnyRequest) -> KeyView:
        """Never its secret."""
        services, actor = asked(request, "user")
        return await services.keys.get(actor, path_text(request))

    return [list_keys, show_key]


def _changing() -> list[HTTPRouteHandler]:
    @post(platform_paths("keys"), opt=for_role("user"), operation_class=operation(body=KeySpec), summary="Make a key.")
    async def create_key(request: AnyRequest) -> NewKey:
        """Its text is shown in this answer, and never again. It may do no more than the caller's own."""
        services, actor = asked(request, "user")
        return _with_text(*await services.keys.create(actor, await read_body(request, KeySpec)))

    @patch(
        platform_paths(ONE), opt=for_role("user"), operation_class=operation(body=KeyChanges), summary="Change a key."
    )
    async def update_key(request: AnyRequest) -> KeyView:
        """Only what the body names."""
        services, actor = asked(request, "user")
        changes = await read_body(request, KeyChanges)
        return await services.keys.update(actor, path_text(request), changes)

    @delete(
        platform_paths(ONE),
        opt=for_role("user"),
        operation_class=operation(),
        status_code=200,
        summary="Revoke a key, as its revoke does.",
    )
    async def delete_key(request: AnyRequest) -> KeyView:
        """It stays on record, and never works again."""
        services, actor = asked(request, "user")
        return await services.keys.revoke(actor, path_text(request))

    return [create_key, update_key, delete_key]


def _acts() -> list[HTTPRouteHandler]:
    def act(name: str, summary: str) -> post:
        paths = platform_paths(f"{ONE}/{name}")
        return post(paths, opt=for_role("user"), operation_class=operation(), status_code=200, summary=summary)

    @act("rotate", "Give a key another secret.")
    async def rotate_key(request: AnyRequest) -> NewKey:
        """Its text is shown in this answer; the one before may go on for the grace time of the configuration."""
        services, actor = asked(request, "user")
        return _with_text(*await services.keys.rotate(actor, path_text(request)))

    @act("revoke", "Revoke a key for good.")
    async def revoke_key(request: AnyRequest) -> KeyView:
        """It acts everywhere within seconds."""
        services, actor = asked(request, "user")
        return await services.keys.revoke(actor, path_text(request))

    @act("disable", "Disable a key.")
    async def disable_key(request: AnyRequest) -> KeyView:
        """Until it is enabled again."""
        services, actor = asked(request, "user")
        return await services.keys.set_disabled(actor, path_text(request), disabled=True)

    @act("enable", "Enable a disabled key.")
    async def enable_key(request: AnyRequest) -> KeyView:
        """A revoked one stays revoked."""
        services, actor = asked(request, "user")
        return await services.keys.set_disabled(actor, path_text(request), disabled=False)

    return [rotate_key, revoke_key, disable_key, enable_key]


def _with_text(key: KeyView, text: str) -> NewKey:
    return NewKey(**msgspec.structs.asdict(key), key=text)
