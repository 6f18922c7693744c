"""The number by which every process learns that keys or people have changed."""

from __future__ import annotations

from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncSession

from chatproxy_platform.storage.tables import Revision

KEYS = "keys"


async def raise_revision(session: AsyncSession) -> None:
    """Announce a change, first of all in its transaction: changes in all processes follow each other from here on."""
    insert = postgresql_insert if session.get_bind().dialect.name == "postgresql" else sqlite_insert
    row = insert(Revision).values(name=KEYS, value=1)
    await session.execute(row.on_conflict_do_update(index_elements=[Revision.name], set_={"value": Revision.value + 1}))
