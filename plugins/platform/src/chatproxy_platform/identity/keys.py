"""KeyService: keys are made, listed, changed, rotated and revoked.

Rule: what an actor may see and touch is `_scope`; what it may give is `grants`. A key's secret leaves this module once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import PermissionDenied
from chatproxy.errors import InvalidRequest
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.clock import MICRO, micros_of, now_us, rfc3339, time_of
from chatproxy_platform.config import Budget, Config, Limits
from chatproxy_platform.errors import Conflict
from chatproxy_platform.identity.acts import (
    Acts,
    check_rank,
    check_spec,
    check_text,
    forbidden,
    not_found,
    storable,
)
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.effective import stored
from chatproxy_platform.identity.grants import FIELDS, check_grant, completed
from chatproxy_platform.identity.ownership import owner_for, parent_for
from chatproxy_platform.identity.records import RANKS, Actor
from chatproxy_platform.identity.refusals import AuditTrail
from chatproxy_platform.identity.specs import KeyChanges, KeySpec
from chatproxy_platform.identity.tokens import Hasher, is_key_id
from chatproxy_platform.identity.views import KeyFilter, KeyView, Page, key_view
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key

_COLUMNS = {"user_id": "owner_id", "metadata": "attributes", "disabled": "is_disabled"}


class KeyService:
    """What is done with keys."""

    def __init__(self, database: Database, cache: KeyCache, audit: AuditTrail, hasher: Hasher, config: Config) -> None:
        self._database = database
        self._acts = Acts(database, cache, audit)
        self._audit = audit
        self._hasher = hasher
        self._config = config
        self._default_limits = config.limits.key

    # -- what is there --------------------------------------------------------------------------------------------

    async def list(self, actor: Actor, wanted: KeyFilter, page: Page) -> tuple[list[KeyView], int]:
        """The keys that an actor may see, the newest first, and how many there are in all."""
        condition = and_(_scope(actor), *_conditions(wanted))
        query = select(Key).where(condition).order_by(Key.created_at.desc(), Key.id.desc())
        async with self._database.read() as session:
            total = await session.scalar(select(func.count()).select_from(Key).where(condition))
            rows = await session.scalars(query.limit(page.size).offset(page.offset))
            now = now_us()
            return [key_view(row, now) for row in rows], total or 0

    async def get(self, actor: Actor, key_id: str) -> KeyView:
        """One key; raises `NotFound` where there is none that the actor may see (404)."""
        async with self._database.read() as session:
            return key_view(await _find(session, actor, key_id), now_us())

    # -- what is done ---------------------------------------------------------------------------------------------

    async def create(self, actor: Actor, spec: KeySpec) -> tuple[KeyView, str]:
        """Make a key.

        Returns:
            The key, and its text, which nobody can see again.

        Raises:
            InvalidRequest: a field is wrong by itself, or names what is not there (400).
            PermissionDenied: the key would exceed the actor's own (403).
        """
        check_spec(spec)
        with self._watched(actor, None):
            spec = completed(actor, spec, self._default_limits)
            check_grant(actor, spec, default_limits=self._default_limits)
            new = self._hasher.new_key()
            async with self._acts.change(actor) as change:
                user, organization_id = await owner_for(change, actor, spec)
                row = Key(
                    id=new.id,
                    secret_hash=new.secret_hash,
                    owner_id=None if user is None else user.id,
                    organization_id=organization_id,
                    parent_id=await parent_for(change.session, actor),
                    is_disabled=False,
                    created_at=now_us(),
                    created_by=actor.name,
                )
                given = msgspec.structs.asdict(spec)
                _set(row, {name: value for name, value in given.items() if name not in {"user_id", "organization_id"}})
                change.session.add(row)
                view = key_view(row, row.created_at)
                change.note("key.created", row.id, row.organization_id, **_described(view))
        return view, new.text

    async def update(self, actor: Actor, key_id: str, changes: KeyChanges) -> KeyView:
        """Change what was said of a key; raises as `create`, `NotFound` (404), `Conflict` (409: it is revoked)."""
        check_spec(changes)
        said = changes.said()
        with self._watched(actor, key_id):
            async with self._acts.change(actor) as change:
                row = await _find(change.session, actor, key_id, unrevoked=True)
                self._check_changes(actor, row, said)
                spec = completed(actor, _spec_of(row, said), self._default_limits)
                check_grant(actor, spec, default_limits=self._default_limits, only=said)
                if "role" in said:
                    await owner_for(change, actor, spec)
                _set(row, {name: getattr(spec, name) if name in FIELDS else said[name] for name in said})
                view = key_view(row, now_us())
                shown = {name: getattr(view, name) for name in said if name != "metadata"}
                change.note("key.updated", row.id, row.organization_id, fields=sorted(said), **shown)
        return view

    async def rotate(self, actor: Actor, key_id: str) -> tuple[KeyView, str]:
        """Give a key a new secret; the old one works for ``rotation_grace_s`` more. Raises as `update`.

        Whoever gets the new secret can use the key, so this is a grant as making it would be.
        """
        grace_s = self._config.keys.rotation_grace_s
        with self._watched(actor, key_id):
            async with self._acts.change(actor) as change:
                row = await _find(change.session, actor, key_id, unrevoked=True)
                self._check_grant_of(actor, row)
                new = self._hasher.new_key(row.id)
                now = now_us()
                row.previous_hash = row.secret_hash if grace_s else None
                row.previous_until = now + round(grace_s * MICRO) if grace_s else None
                row.secret_hash = new.secret_hash
                change.note("key.rotated", row.id, row.organization_id, previous_until=rfc3339(row.previous_until))
                view = key_view(row, now)
        return view, new.text

    async def revoke(self, actor: Actor, key_id: str) -> KeyView:
        """End a key for good; once more does nothing. Raises `NotFound` (404)."""
        with self._watched(actor, key_id):
            async with self._acts.change(actor) as change:
                row = await _find(change.session, actor, key_id)
                self._check_touch(actor, row)
                if row.revoked_at is None:
                    row.revoked_at = now_us()
                    change.note("key.revoked", row.id, row.organization_id, name=row.name, user_id=row.owner_id)
                return key_view(row, now_us())

    async def set_disabled(self, actor: Actor, key_id: str, *, disabled: bool) -> KeyView:
        """Close a key for a while, or open it again, which is an administrator's. Raises as `update`."""
        return await self.update(actor, key_id, KeyChanges(disabled=disabled))

    # -- rules ----------------------------------------------------------------------------------------------------

    def _check_changes(self, actor: Actor, row: Key, said: dict[str, Any]) -> None:
        self._check_touch(actor, row)
        if "role" in said and _is_own_key(actor, row):
            raise forbidden("role")
        if said.get("disabled") is False and row.is_disabled:
            if actor.role == "user":
                raise PermissionDenied("An administrator must enable a key that is disabled.")
            self._check_grant_of(actor, row)

    def _check_grant_of(self, actor: Actor, row: Key) -> None:
        """Refuse to hand out a key that could do more than the actor."""
        if not _is_own_key(actor, row):
            check_grant(actor, _spec_of(row), default_limits=self._default_limits)

    def _check_touch(self, actor: Actor, row: Key) -> None:
        if RANKS[actor.role] > 0:  # a user's own keys are theirs, whatever they may do
            check_rank(actor, row.role)

    @contextmanager
    def _watched(self, actor: Actor, key_id: str | None) -> Iterator[None]:
        """Have a refused act in the audit log."""
        try:
            yield
        except PermissionDenied as refusal:
            metadata = {"reason": refusal.message, "param": refusal.param}
            self._audit.note(
                AuditEvent("key.refused", "key", key_id, actor.name, actor.organization_id, metadata=metadata)
            )
            raise


def _is_own_key(actor: Actor, row: Key) -> bool:
    return actor.identity is not None and actor.identity.key_id == row.id


def _scope(actor: Actor) -> ColumnElement[bool]:
    """The keys that an actor may see."""
    identity = actor.identity
    if identity is None or identity.role == "platform_admin":
        return true()
    if identity.role == "org_admin":
        own = identity.organization_id
        return false() if own is None else Key.organization_id == own
    mine = Key.id == identity.key_id
    return mine if identity.user_id is None else or_(mine, Key.owner_id == identity.user_id)


def _conditions(wanted: KeyFilter) -> list[ColumnElement[bool]]:
    pairs = ((Key.owner_id, "user_id"), (Key.organization_id, "organization_id"), (Key.role, "role"))
    found = []
    for column, name in pairs:
        value = getattr(wanted, name)
        if value is not None:
            check_text(name, value)
            found.append(column == value)
    if wanted.revoked is not None:
        found.append(Key.revoked_at.is_not(None) if wanted.revoked else Key.revoked_at.is_(None))
    return found


async def _find(session: AsyncSession, actor: Actor, key_id: str, *, unrevoked: bool = False) -> Key:
    if not is_key_id(key_id):
        raise not_found("key")
    row = await session.scalar(select(Key).where(Key.id == key_id, _scope(actor)))
    if row is None:
        raise not_found("key")
    if unrevoked and row.revoked_at is not None:
        raise Conflict("This key has been revoked.")
    return row


def _spec_of(row: Key, said: dict[str, Any] | None = None) -> KeySpec:
    """A stored key as a wish, with what is to be changed of it."""
    kept: dict[str, Any] = {
        "role": row.role,
        "user_id": row.owner_id,
        "organization_id": row.organization_id,
        "models": row.models,
        "surfaces": row.surfaces,
        "limits": stored(row.limits, Limits),
        "budget": stored(row.budget, Budget),
        "expires_at": None if row.expires_at is None else time_of(row.expires_at),
    }
    changed = {name: value for name, value in (said or {}).items() if name in FIELDS}
    return KeySpec(**{**kept, **changed})


def _set(row: Key, values: dict[str, Any]) -> None:
    for name, value in values.items():
        if name == "expires_at" and value is not None:
            micros = micros_of(value)
            if micros <= now_us():
                raise InvalidRequest("'expires_at' is in the past.", param="expires_at")
            row.expires_at = micros
        else:
            setattr(row, _COLUMNS.get(name, name), storable(name, value))


def _described(view: KeyView) -> dict[str, Any]:
    """What the audit log says of a new key."""
    names = ("name", "user_id", "role", "models", "surfaces", "limits", "budget", "expires_at")
    return {name: value for name in names if (value := getattr(view, name)) not in (None, "")}
