"""The first start: one administrator's key is made and shown once; and the pepper is checked against the database.

Rule: the key's text goes to a terminal or into a file that only its owner can read; never to a log.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import TextIO

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy.errors import ConfigError
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.clock import now_us
from chatproxy_platform.config import Config
from chatproxy_platform.identity.ownership import new_user
from chatproxy_platform.identity.pepper import home_of
from chatproxy_platform.identity.refusals import AuditTrail
from chatproxy_platform.identity.revision import raise_revision
from chatproxy_platform.identity.tokens import Hasher, NewKey
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key, Revision, User

logger = logging.getLogger("chatproxy.platform")

USER = "admin"
FILE_NAME = "chatproxy-admin-key"
PEPPER = "pepper"


async def bootstrap(
    database: Database, audit: AuditTrail, hasher: Hasher, config: Config, *, terminal: TextIO | None = None
) -> None:
    """Make an administrator's key where there is no key at all; of several processes, one does.

    Args:
        terminal: None: standard error.

    Raises:
        ConfigError: the database's keys were made with another pepper, or the key could not be shown.
        StorageUnavailable: the database does not answer (503).
    """
    async with database.read() as session:
        is_new = await _needs_key(session, config) or await _fingerprint(session) != hasher.fingerprint()
    if not is_new:
        return
    terminal = sys.stderr if terminal is None else terminal
    new: NewKey | None = None
    async with database.write(durable=True) as session:
        await raise_revision(session)  # the others wait here
        await _check_pepper(session, hasher)
        if await _needs_key(session, config):
            new = await _make_key(session, audit, hasher)
            if not terminal.isatty():
                await asyncio.to_thread(_write_file, home_of(config), new)
    if new is not None and terminal.isatty():
        terminal.write(f"\nThe administrator's API key, shown this once:\n\n    {new.text}\n\n")
        terminal.flush()


async def _needs_key(session: AsyncSession, config: Config) -> bool:
    return config.keys.bootstrap and await session.scalar(select(Key.id).limit(1)) is None


async def _fingerprint(session: AsyncSession) -> int | None:
    found: int | None = await session.scalar(select(Revision.value).where(Revision.name == PEPPER))
    return found


async def _check_pepper(session: AsyncSession, hasher: Hasher) -> None:
    """Keep a number of the pepper beside the first keys, so that another one is noticed before it refuses them all."""
    found = await _fingerprint(session)
    if found is None or (found != hasher.fingerprint() and await session.scalar(select(Key.id).limit(1)) is None):
        await session.merge(Revision(name=PEPPER, value=hasher.fingerprint()))
    elif found != hasher.fingerprint():
        raise ConfigError(
            "plugins.platform.keys: the keys in the database were made with another pepper; set 'pepper' or "
            "'pepper_file' to the one that was used (on every node), since none of the keys works without it"
        )


async def _make_key(session: AsyncSession, audit: AuditTrail, hasher: Hasher) -> NewKey:
    user = await session.get(User, USER)
    if user is None:
        user = new_user(USER, "platform_admin", None, "bootstrap")
        session.add(user)
        await session.flush()
    owner_id = USER if user.role == "platform_admin" else None  # somebody else of this name: a token's user
    new = hasher.new_key()
    session.add(
        Key(
            id=new.id,
            name="bootstrap",
            secret_hash=new.secret_hash,
            owner_id=owner_id,
            role="platform_admin",
            is_disabled=False,
            attributes={},
            created_at=now_us(),
            created_by="bootstrap",
        )
    )
    await session.flush()
    metadata = {"name": "bootstrap", "user_id": owner_id, "role": "platform_admin"}
    await audit.append(session, AuditEvent("key.created", "key", new.id, "bootstrap", metadata=metadata))
    return new


def _write_file(directory: Path, new: NewKey) -> None:
    """Within the transaction: a key that nobody can learn is not made."""
    path = directory / FILE_NAME
    if path.exists():  # of another database; perhaps nobody has read it yet
        path = directory / f"{FILE_NAME}-{new.id}"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
            file.write(new.text + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as exc:
        raise ConfigError(
            f"plugins.platform: the administrator's key cannot be written to {path}: {exc}; set keys.bootstrap = false "
            "and make one with 'chatproxy keys create'"
        ) from exc
    logger.warning("an administrator's API key was made and written to %s; use it, then remove the file", path)
