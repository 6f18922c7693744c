"""Acts: changes of keys and people, each one transaction with its rows of the audit log, known everywhere soon after.

Rule: whatever changes what `KeyCache` holds goes through `Acts.change`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NoReturn

import msgspec
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy import NotFound, PermissionDenied
from chatproxy.errors import InvalidRequest
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.config import Budget, Limits
from chatproxy_platform.errors import Conflict
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.records import RANKS, Actor
from chatproxy_platform.identity.refusals import AuditTrail
from chatproxy_platform.identity.revision import raise_revision
from chatproxy_platform.identity.specs import MAX_METADATA_BYTES, Spec
from chatproxy_platform.storage.database import Database

MOST_USD = 1e12
MOST_COUNT = 10**15


class Change:
    """One act while it is done.

    Attributes:
        session: of its transaction.
        events: what the audit log will hold of it.
    """

    def __init__(self, session: AsyncSession, actor: Actor) -> None:
        self.session = session
        self.events: list[AuditEvent] = []
        self._actor = actor

    def note(self, action: str, resource_id: str, org_id: str | None, **metadata: Any) -> None:
        """Have a row in the audit log; ``action`` is ``<resource>.<done>``."""
        resource = action.partition(".")[0]
        self.events.append(AuditEvent(action, resource, resource_id, self._actor.name, org_id, metadata))


class Acts:
    """What changes of keys and of people have in common."""

    def __init__(self, database: Database, cache: KeyCache, audit: AuditTrail) -> None:
        self._database = database
        self._cache = cache
        self._audit = audit

    @asynccontextmanager
    async def change(self, actor: Actor) -> AsyncIterator[Change]:
        """A transaction; changes in all processes follow each other, so what is read in it stays true.

        Raises:
            Conflict: another row has a value that must be unique (409).
            StorageUnavailable: it may or may not be done (503).
        """
        try:
            async with self._database.write(durable=True) as session:
                await raise_revision(session)
                change = Change(session, actor)
                yield change
                await session.flush()
                await self._audit.append(session, *change.events)
        except IntegrityError as exc:
            raise Conflict("There is one with this id or email already.") from exc
        finally:
            self._cache.clear()


def check_spec(spec: Spec) -> None:
    """Refuse what the types of a spec cannot tell.

    Raises:
        InvalidRequest: names the field (400).
    """
    for name, value in spec.said().items():
        if isinstance(value, str):
            check_text(name, value)
        elif name in {"models", "surfaces"} and value is not None:
            for text in value:
                check_text(name, text)
                if "[" in text:
                    _refuse(name, "takes '*' and '?' as wildcards, and no '['")
        elif isinstance(value, Limits):
            if any(count is not None and count > MOST_COUNT for count in msgspec.structs.astuple(value)):
                _refuse(name, f"must not be more than {MOST_COUNT}")
        elif isinstance(value, Budget) and not value.usd <= MOST_USD:
            _refuse(name, f"must not be more than {MOST_USD:.0f}")
        elif name == "metadata" and len(msgspec.json.encode(value)) > MAX_METADATA_BYTES:
            _refuse(name, f"must not be longer than {MAX_METADATA_BYTES} bytes of JSON")


def check_text(name: str, value: str) -> None:
    """Refuse control characters and halves of characters, which databases do not take alike."""
    if not value.isprintable():
        _refuse(name, "must hold printable characters only")


def storable(name: str, value: Any) -> Any:
    """A field's value as its column takes it."""
    if isinstance(value, Limits | Budget):
        given: Mapping[str, Any] = msgspec.to_builtins(value)
        return {key: part for key, part in given.items() if part is not None}
    return value


def check_rank(actor: Actor, role: str) -> None:
    """Refuse to touch somebody or something of a higher role."""
    if RANKS[role] > RANKS[actor.role]:
        raise PermissionDenied(f"This needs the role {role}.")


def not_found(kind: str) -> NotFound:
    """Of what is not there, and of what is none of the actor's business: the same."""
    return NotFound(f"No such {kind}.")


def forbidden(name: str) -> InvalidRequest:
    """Of a field that the actor cannot set there."""
    return InvalidRequest(f"'{name}' cannot be set by you here.", param=name, code="forbidden_parameter")


def _refuse(name: str, fault: str) -> NoReturn:
    raise InvalidRequest(f"'{name}' {fault}.", param=name)
