"""Authenticator: from a request's credential to who asks, and whether they may come in.

Rule: a key that is cached costs no wait. What is malformed, or was never made here, is refused without the database.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Protocol

from chatproxy import ApiError, PermissionDenied, Principal, RequestContext, Unauthenticated
from chatproxy_platform.administration import access
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.config import PLUGIN, Config
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.credentials import CredentialRefused, credential_of, malformed
from chatproxy_platform.identity.current import set_identity
from chatproxy_platform.identity.effective import Entry
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.identity.refusals import AuditTrail, Refusals
from chatproxy_platform.identity.tokens import MARK, parse

NAMELESS = frozenset({"files", "batches"})
"""Surfaces whose requests do not say which model they will use."""


class TokenSource(Protocol):
    """What verifies bearer tokens that are no keys."""

    async def verify(self, token: str) -> Identity:
        """Whom a token stands for; raises `Unauthenticated`."""


class Authenticator:
    """Lets requests in by key or token.

    Args:
        tokens: for bearer tokens of an issuer; None: keys only.
    """

    def __init__(self, cache: KeyCache, tokens: TokenSource | None, audit: AuditTrail, config: Config) -> None:
        self._cache = cache
        self._tokens = tokens
        self._refusals = Refusals(audit, config.keys.max_refusals_per_minute)

    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        """Who asks; known to `identity_of` from now on.

        Raises:
            Unauthenticated: no credential, more than one, or one that lets nobody in (401).
            PermissionDenied: theirs is not for this surface or route (403).
            StorageUnavailable: it cannot be known whether the credential is still good (503).
        """
        identity: Identity | None = None
        try:
            identity = await self._identify(credential_of(headers))
            _check_surface(ctx, identity)
            access.check(ctx, identity)
        except (Unauthenticated, PermissionDenied) as refusal:
            self._note(ctx, identity, refusal)
            raise
        set_identity(ctx, identity)
        return Principal(
            id=identity.id,
            organization_id=identity.organization_id,
            user_id=identity.user_id,
            plugin=PLUGIN,
            models=identity.models,
            attributes={"role": identity.role, "key_id": identity.key_id, "owner": identity.owner},
        )

    def close(self) -> None:
        """Have refusals written that were only counted so far; before the audit log is closed."""
        self._refusals.flush()

    async def _identify(self, text: str) -> Identity:
        if text.startswith(MARK):
            return await self._identify_key(text)
        if self._tokens is None:
            raise malformed()
        identity, refusal = await self._cache.known(await self._tokens.verify(text))
        if refusal is not None:
            raise CredentialRefused(f"This token {refusal}.", refusal)
        return identity

    async def _identify_key(self, text: str) -> Identity:
        key_id = parse(text)
        if key_id is None:
            raise malformed()
        cache = self._cache
        entry = cache.peek(key_id)
        if entry is None and cache.hasher.made(key_id):
            entry = await cache.find(key_id)
        now = time.time_ns() // 1000
        if not self._fits(text, entry, now) or entry is None:
            raise CredentialRefused("Incorrect API key.", "wrong secret" if entry else "unknown key", key_id=key_id)
        if entry.refusal is not None:
            raise CredentialRefused(f"This API key {entry.refusal}.", entry.refusal, key_id=key_id)
        expires_at = entry.identity.expires_at
        if expires_at is not None and expires_at <= now:
            raise CredentialRefused("This API key has expired.", "has expired", key_id=key_id)
        return entry.identity

    def _fits(self, text: str, entry: Entry | None, now: int) -> bool:
        """Whether a key's text is the stored one; as much work for an unknown key as for a wrong secret."""
        hasher = self._cache.hasher
        digest = hasher.digest(text)
        if hasher.matches(digest, None if entry is None else entry.secret_hash):
            return True
        previous = None if entry is None or entry.previous_until <= now else entry.previous_hash
        return hasher.matches(digest, previous)

    def _note(self, ctx: RequestContext, identity: Identity | None, refusal: ApiError) -> None:
        exchange = ctx.exchange
        metadata = {"client": exchange.client, "method": exchange.method, "route": _template(ctx)}
        if identity is not None:
            metadata["reason"] = refusal.message
            event = AuditEvent(
                "access.refused",
                "route",
                resource_id=_template(ctx),
                user_id=identity.user_id or identity.id,
                org_id=identity.organization_id,
                metadata=metadata,
            )
        else:
            metadata["reason"] = refusal.reason if isinstance(refusal, CredentialRefused) else refusal.message
            key_id = refusal.key_id if isinstance(refusal, CredentialRefused) else None
            event = AuditEvent("authentication.refused", "authentication", resource_id=key_id, metadata=metadata)
        self._refusals.note(exchange.client, event)


def _template(ctx: RequestContext) -> str:
    """The route's template; a path may hold anything."""
    return ctx.exchange.route or (ctx.route.paths[0] if ctx.route.paths else "")


def _check_surface(ctx: RequestContext, identity: Identity) -> None:
    """Refuse a surface that an identity may not use; what is stored by a surface belongs to it.

    The platform's own routes count as ``sessions`` and ``platform``: a key that was made for one job must not read its
    owner's conversations. Who may see models and oneself is not asked. A batch may run any model: who is held to some
    may use batches only where that is said.
    """
    surface, surfaces = _surface_of(ctx), identity.surfaces
    if surfaces is None:
        is_allowed = surface not in NAMELESS or identity.models is None
    else:
        is_allowed = surface is None or surface in surfaces
    if not is_allowed:
        raise PermissionDenied(f"This key may not use {surface}.", code="surface_not_allowed")


def _surface_of(ctx: RequestContext) -> str | None:
    """The surface that a request is for; None where it is for none, as the list of models."""
    if ctx.route.plugin == PLUGIN:
        template = _template(ctx)
        if template.endswith("/me"):
            return None
        return "sessions" if "/sessions" in template else "platform"
    return ctx.surface if ctx.is_exchange or ctx.surface != "chat" else None
