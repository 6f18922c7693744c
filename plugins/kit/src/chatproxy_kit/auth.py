"""Who may use a kit: its `auth` hook, asked where the gateway lets credentials be seen, and only there.

Rule: the hook runs inside of chatproxy's `authenticate`, before the body is read. So it is asked for the kit's own
path, and for every request of the gateway's own routes, since the model that they are for is not known yet. What it
accepted is kept with the exchange; whoever it did not accept, the kit itself refuses (`claims_of`), no matter who let
them in.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from chatproxy import Principal, RequestContext
from chatproxy.errors import ApiError, Unauthenticated
from chatproxy_kit.context import AuthRequest
from chatproxy_kit.hooks import call_hook
from chatproxy_kit.stepping import DeadlinePassedError

if TYPE_CHECKING:
    from chatproxy_kit.handler import KitHandler

logger = logging.getLogger("chatproxy.kit")

AUTH_TIMEOUT_S = 4.0
"""Under chatproxy's own deadline for `authenticate`, so that one kit's hook does not fail the requests of others."""

MOST_LATE = 3
"""Times in a row that a hook may be late before requests for other models stop waiting for it."""

REST_S = 10.0
"""For that long."""

ANONYMOUS = "anonymous"
_ATTRIBUTE = "kit_models"
Accepted = tuple["KitHandler", Mapping[str, Any]]
_REFUSED = "The credentials were not accepted."


async def authenticate(
    plugin: str, handlers: Sequence[KitHandler], ctx: RequestContext, headers: Mapping[str, str]
) -> Principal | None:
    """What the hook `authenticate` answers for the kits of one plugin.

    Raises:
        Unauthenticated: the request is for the path of a kit that does not accept it (401).
        ApiError: the kit's hook failed (500, code ``auth_failed``; 504, code ``auth_timeout``), or raised one.
    """
    is_alone = not ctx.app.authenticators - {plugin}
    route = ctx.route
    own = next((h for h in handlers if route.plugin == plugin and h.kit.path in route.paths), None)
    if own is not None and own.kit.is_guarded:
        claims = await _claims(own, ctx, headers)
        if claims is None:
            raise Unauthenticated(_REFUSED)
        return _principal([(own, claims)], is_alone=is_alone)
    accepted: list[Accepted] = []
    if own is None and route.plugin is None and route.access == "user":
        asked = [
            (handler, await _claims_or_none(handler, ctx, headers)) for handler in handlers if handler.kit.is_guarded
        ]
        accepted = [(handler, found) for handler, found in asked if found is not None]
    if accepted:
        return _principal(accepted, is_alone=is_alone)
    is_free = route.plugin in {None, plugin} and route.access == "user"
    return Principal(id=ANONYMOUS) if is_alone and is_free else None


def claims_of(handler: KitHandler, ctx: RequestContext) -> Mapping[str, Any]:
    """What the kit's `auth` hook said of who asks; nothing where the kit has none.

    Raises:
        Unauthenticated: it did not accept the request (401).
    """
    if not handler.kit.is_guarded:
        return {}
    found: Mapping[str, Any] | None = ctx.state.get(_key(handler))
    if found is not None:
        return found
    principal = ctx.principal
    if ctx.depth and principal is not None and handler.kit.model in principal.attributes.get(_ATTRIBUTE, ()):
        return {} if principal.user_id is None else {"user_id": principal.user_id}
    raise Unauthenticated(_REFUSED)


async def _claims_or_none(
    handler: KitHandler, ctx: RequestContext, headers: Mapping[str, str]
) -> Mapping[str, Any] | None:
    """As `_claims`; a failure counts as a refusal, for the request may be somebody else's."""
    if handler.auth_late >= MOST_LATE and monotonic() < handler.auth_rests_until:
        return None
    try:
        return await _claims(handler, ctx, headers)
    except ApiError as error:
        logger.warning("the auth hook of '%s' gave no answer: %s", handler.kit.model, error.code)
        return None


async def _claims(handler: KitHandler, ctx: RequestContext, headers: Mapping[str, str]) -> Mapping[str, Any] | None:
    kit = handler.kit
    who = f"the auth hook of '{kit.model}'"
    try:
        found = await call_hook(
            kit.auth_hook, AuthRequest(ctx, headers), threads=handler.hook_threads, timeout_s=AUTH_TIMEOUT_S, who=who
        )
    except ApiError:
        raise
    except DeadlinePassedError:
        handler.auth_late += 1
        handler.auth_rests_until = monotonic() + REST_S
        logger.error("%s took over %g s", who, AUTH_TIMEOUT_S)  # noqa: TRY400 - there is no more to know
        raise ApiError("Authentication took too long.", status=504, code="auth_timeout") from None
    except Exception as exc:
        logger.exception("%s failed", who)
        raise ApiError("Authentication failed.", code="auth_failed") from exc
    handler.auth_late = 0
    if found is None or found is False:
        return None
    if not isinstance(found, Mapping):
        logger.error("%s returned %s, wanted a mapping or None", who, type(found).__name__)
        raise ApiError("Authentication failed.", code="auth_failed")
    ctx.state[_key(handler)] = found
    return found


def _principal(accepted: Sequence[Accepted], *, is_alone: bool) -> Principal:
    """Who was accepted: for the kits that did, and nothing else, where another plugin guards the rest."""
    first, claims = accepted[0]
    user_id = user_of_claims(claims)
    models = [handler.kit.model for handler, _ in accepted]
    grants = [grant for handler, _ in accepted for grant in handler.kit.grants]
    return Principal(
        id=f"kit:{first.kit.model}" + (f":{user_id}" if user_id else ""),
        user_id=user_id,
        attributes={_ATTRIBUTE: models},
        models=None if is_alone else tuple(dict.fromkeys(models + grants)),
    )


def user_of_claims(claims: Mapping[str, Any]) -> str | None:
    """The user's id as text; None where the hook gave none."""
    user_id = claims.get("user_id")
    return None if user_id is None else str(user_id)


def _key(handler: KitHandler) -> str:
    return f"kit.claims:{handler.kit.model}"
