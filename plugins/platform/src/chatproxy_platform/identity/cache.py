"""KeyCache: keys in memory, as long as it is known that nothing about keys and people has changed.

Rule: what is cached is used only while the number `Revision` ``keys`` was seen unchanged within ``revocation_s``. Every
change raises it in the change's own transaction. Where it cannot be read, authentication closes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import func, select

from chatproxy_platform.config import Config
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.identity.effective import Entry, Standing, entry_of, with_standing
from chatproxy_platform.identity.loading import Loader
from chatproxy_platform.identity.records import Identity
from chatproxy_platform.identity.revision import KEYS
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Key, Organization, Revision, User

logger = logging.getLogger("chatproxy.platform")

POLLS = 2.5
"""Within the time in which a revocation must act."""
MAX_PARENTS = 5
"""Keys above a key that count what it does."""


class KeyCache:
    """Keys by id, and what is stored of the people whom tokens name.

    Args:
        clock: monotonic seconds.

    Attributes:
        hasher: compares secrets with what is stored.
    """

    def __init__(
        self, database: Database, config: Config, hasher: Hasher, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.hasher = hasher
        self._database = database
        self._config = config
        self._clock = clock
        self._size = config.keys.cache_size
        self._entries: dict[str, Entry | None] = {}
        self._people: dict[str, tuple[Identity, Identity, str | None]] = {}
        self._generation = 0
        self._revision: int | None = None
        self._valid_until = float("-inf")
        self._keys: Loader[Entry] = Loader(self._read_keys)
        self._standings: Loader[Standing] = Loader(self._read_standings)
        self._revisions: Loader[int] = Loader(self._read_revisions)
        self._poller: asyncio.Task[None] | None = None

    # -- its life -------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Begin to watch for changes; a database that is down closes authentication, and does not fail the start."""
        await self._poll()
        self._poller = asyncio.create_task(self._keep_polling(), name="platform keys")

    async def aclose(self) -> None:
        """Stop watching, and forget everything."""
        if self._poller is not None:
            self._poller.cancel()
            await asyncio.wait([self._poller])
        for loader in (self._keys, self._standings, self._revisions):
            await loader.aclose()
        self._valid_until = float("-inf")
        self.clear()

    def clear(self) -> None:
        """Forget what is cached; after every change of this process."""
        self._generation += 1
        self._entries.clear()
        self._people.clear()

    @property
    def is_valid(self) -> bool:
        """Whether what is cached may be used."""
        return self._clock() < self._valid_until

    # -- keys -----------------------------------------------------------------------------------------------------

    def peek(self, key_id: str) -> Entry | None:
        """A key that is cached; None: ask `find`."""
        return self._entries.get(key_id) if self._clock() < self._valid_until else None

    async def find(self, key_id: str) -> Entry | None:
        """A key; None where there is none.

        Raises:
            StorageUnavailable: what is cached is too old, or the key is not, and the database does not answer (503).
        """
        await self._confirm_if_due()
        if key_id in self._entries:
            return self._entries[key_id]
        generation = self._generation
        entry = await self._keys.get(key_id)
        if generation == self._generation:  # else it may have been read before a change
            if len(self._entries) >= self._size:
                self._entries.pop(next(iter(self._entries)))
            self._entries[key_id] = entry
        return entry

    # -- people whom tokens name ----------------------------------------------------------------------------------

    async def known(self, identity: Identity) -> tuple[Identity, str | None]:
        """A token's identity with what is stored of its user and organization, and why it is refused, if it is.

        Raises:
            StorageUnavailable: as `find` (503).
        """
        await self._confirm_if_due()
        cached = self._people.get(identity.id)
        if cached is not None and cached[0] is identity:
            return cached[1], cached[2]
        generation = self._generation
        names = [identity.user_id, identity.organization_id]
        standing = await self._standings.get(msgspec.json.encode(names).decode())
        found = with_standing(identity, standing or Standing(None, None))
        if generation == self._generation:
            if len(self._people) >= self._size:
                self._people.pop(next(iter(self._people)))
            self._people[identity.id] = (identity, *found)
        return found

    # -- changes --------------------------------------------------------------------------------------------------

    async def _confirm_if_due(self) -> None:
        if self._clock() >= self._valid_until:
            await self._confirm()

    async def _confirm(self) -> None:
        started = self._clock()
        revision = await self._revisions.get(KEYS)
        if revision != self._revision:
            self.clear()
            self._revision = revision
        self._valid_until = max(self._valid_until, started + self._config.keys.revocation_s)

    async def _poll(self) -> None:
        was_valid = self.is_valid
        try:
            await self._confirm()
        except StorageUnavailable:
            if was_valid or self._revision is None:
                logger.warning("changes of keys cannot be read; authentication closes until they can")

    async def _keep_polling(self) -> None:
        while True:
            await asyncio.sleep(self._config.keys.revocation_s / POLLS)
            await self._poll()

    # -- the database ---------------------------------------------------------------------------------------------

    async def _read_revisions(self, names: Sequence[str]) -> dict[str, int]:
        async with self._database.read() as session:
            rows = await session.execute(select(Revision.name, Revision.value).where(Revision.name.in_(names)))
            return dict(rows.tuples().all())

    async def _read_keys(self, ids: Sequence[str]) -> dict[str, Entry]:
        organization_id = func.coalesce(Key.organization_id, User.organization_id)
        query = (
            select(Key, User, Organization)
            .outerjoin(User, User.id == Key.owner_id)
            .outerjoin(Organization, Organization.id == organization_id)
            .where(Key.id.in_(ids))
        )
        async with self._database.read() as session:
            rows = (await session.execute(query)).tuples().all()
            above = {key.id: key for key, _, _ in rows}
            for _ in range(MAX_PARENTS):
                missing = {key.parent_id for key in above.values() if key.parent_id} - above.keys()
                if not missing:
                    break
                above.update({key.id: key for key in await session.scalars(select(Key).where(Key.id.in_(missing)))})
            limits = self._config.limits
            return {row[0].id: entry_of(*row, _parents(row[0], above), limits) for row in rows}

    async def _read_standings(self, names: Sequence[str]) -> dict[str, Standing]:
        asked = {name: msgspec.json.decode(name, type=tuple[str | None, str | None]) for name in names}
        async with self._database.read() as session:
            user_ids = {user_id for user_id, _ in asked.values() if user_id}
            found = await session.scalars(select(User).where(User.id.in_(user_ids)))
            users = {user.id: user for user in found}
            wanted = {organization_id for _, organization_id in asked.values()}
            wanted |= {user.organization_id for user in users.values()}
            known = await session.scalars(select(Organization).where(Organization.id.in_(wanted - {None})))
            organizations = {organization.id: organization for organization in known}
        standings = {}
        for name, (user_id, organization_id) in asked.items():
            user = users.get(user_id or "")
            home = organization_id or (None if user is None else user.organization_id)
            standings[name] = Standing(user, organizations.get(home or ""))
        return standings


def _parents(key: Key, known: dict[str, Key]) -> list[Key]:
    found: list[Key] = []
    parent = known.get(key.parent_id or "")
    while parent is not None and parent not in found and len(found) < MAX_PARENTS:
        found.append(parent)
        parent = known.get(parent.parent_id or "")
    return found
