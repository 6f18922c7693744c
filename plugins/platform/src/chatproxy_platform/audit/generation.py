"""Which configuration the gateway runs with, on record whenever it is another one."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from chatproxy import App
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.store import append, lock_head
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import AuditEntry

ACTION = "config.loaded"


async def record_generation(database: Database, app: App, note: Callable[[AuditEvent], None]) -> None:
    """Write the row ``config.loaded``, once for all processes that start with the same configuration.

    The row holds hashes of the settings by section (``file`` is the whole file, tables of plugins included), and which
    sections changed; never a setting. A database that is down does not stop the start: the row is written later then,
    changed or not.
    """
    sections = {name: _hash(value) for name, value in app.settings.items()}
    sections["file"] = await asyncio.to_thread(_file_hash, app.config_file)
    metadata: dict[str, Any] = {"version": app.version, "sections": sections}
    event = AuditEvent(ACTION, "config", _hash([app.version, sections]), metadata=metadata)
    try:
        async with database.write(durable=True) as session:
            await lock_head(session)
            query = select(AuditEntry.resource_id, AuditEntry.details).where(AuditEntry.action == ACTION)
            last = (await session.execute(query.order_by(AuditEntry.seq.desc()).limit(1))).one_or_none()
            if last is None or last.resource_id != event.resource_id:
                metadata["changed"] = [] if last is None else _changed(last.details, sections)
                await append(session, [event])
    except StorageUnavailable:
        note(event)


def _file_hash(file: Path | None) -> str:
    """Empty where there is no file (any more)."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file is not None else ""
    except OSError:
        return ""


def _hash(value: Any) -> str:
    encoded = msgspec.json.encode(value, enc_hook=str, order="deterministic")
    return hashlib.sha256(encoded).hexdigest()


def _changed(details: str, sections: Mapping[str, str]) -> list[str]:
    """Names of the sections whose hash is another one than in the row before."""
    try:
        before = msgspec.json.decode(details, type=dict[str, Any]).get("sections", {})
    except msgspec.DecodeError:
        before = {}
    return sorted(name for name in {*before, *sections} if before.get(name) != sections.get(name))
