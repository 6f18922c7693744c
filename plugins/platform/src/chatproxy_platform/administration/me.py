"""Who am I: what the gateway knows of the caller's key or token."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler

from chatproxy import PermissionDenied
from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest
from chatproxy_platform.administration.services import context_of
from chatproxy_platform.administration.shapes import Me, SubjectLimits
from chatproxy_platform.clock import rfc3339
from chatproxy_platform.identity.current import identity_of
from chatproxy_platform.identity.records import Identity


def me_routes() -> list[HTTPRouteHandler]:
    """``GET …/me``."""

    @get(
        platform_paths("me"),
        opt=for_role("user"),
        operation_class=operation(),
        summary="Show who asks, and may do what.",
    )
    async def show_me(request: AnyRequest) -> Me:
        """The caller's own identity, role and limits."""
        identity = identity_of(context_of(request))
        if identity is None:
            raise PermissionDenied("Another plugin has let you in; the platform does not know you.")
        return _shown(identity)

    return [show_me]


def _shown(identity: Identity) -> Me:
    return Me(
        id=identity.id,
        key_id=identity.key_id,
        user_id=identity.user_id,
        organization_id=identity.organization_id,
        org_id=identity.organization_id,
        role=identity.role,
        models=None if identity.models is None else list(identity.models),
        surfaces=None if identity.surfaces is None else sorted(identity.surfaces),
        expires_at=rfc3339(identity.expires_at),
        limits=[
            SubjectLimits(subject=subject.name, limits=subject.limits, budget=subject.budget)
            for subject in identity.subjects
        ],
    )
