"""The core's own session store: in memory, bounded, lost at the end.

Rule: no task and no timer; what is over is dropped while something else is stored or read.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from heapq import heapify, heappop, heappush
from typing import NamedTuple

Key = tuple[str, str]
_HEAP_SLACK = 64


class _Entry(NamedTuple):
    value: bytes
    expires_at: float
    size_bytes: int


class _Lock:
    """A lock with the number of tasks that hold it or wait for it, so that the last one removes it."""

    __slots__ = ("lock", "users")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0


class MemorySessionStore:
    """`SessionStore` in memory: what was used least recently leaves first.

    Args:
        max_entries: how many values are kept.
        max_bytes: of values and their keys (UTF-8), all together.
        ttl_s: seconds a value lives that was stored without a time of its own.
        clock: seconds that never go back.
    """

    durable = False

    def __init__(
        self,
        *,
        max_entries: int = 10_000,
        max_bytes: int = 64 << 20,
        ttl_s: float = 24 * 3600.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._ends: list[tuple[float, Key]] = []  # a heap; an entry stored again leaves its earlier end behind
        self._locks: dict[Key, _Lock] = {}
        self._size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size_bytes(self) -> int:
        """Bytes of all values and keys."""
        return self._size_bytes

    @property
    def lock_count(self) -> int:
        """How many keys are locked or waited for."""
        return len(self._locks)

    async def get(self, namespace: str, key: str) -> bytes | None:
        """The stored value; None where there is none or its time is over."""
        self._drop_ended()
        entry = self._entries.get((namespace, key))
        if entry is None:
            return None
        self._entries.move_to_end((namespace, key))
        return entry.value

    async def put(self, namespace: str, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, replacing an earlier one.

        Args:
            ttl_s: seconds it lives; None is the store's own time, 0 or less removes it.

        Raises:
            ValueError: the value alone is larger than the whole store; an earlier one stays.
        """
        place = (namespace, key)
        size_bytes = len(value) + len(namespace.encode()) + len(key.encode())
        if size_bytes > self._max_bytes:
            raise ValueError(f"a value of {size_bytes} bytes does not fit into a store of {self._max_bytes}")
        self._drop_ended()
        self._remove(place)
        expires_at = self._clock() + (self._ttl_s if ttl_s is None else ttl_s)
        if ttl_s is not None and ttl_s <= 0:
            return
        self._entries[place] = _Entry(value, expires_at, size_bytes)
        self._size_bytes += size_bytes
        heappush(self._ends, (expires_at, place))
        while len(self._entries) > self._max_entries or self._size_bytes > self._max_bytes:
            self._remove(next(iter(self._entries)))
        self._trim_ends()

    async def delete(self, namespace: str, key: str) -> bool:
        """Remove a value; whether there was one whose time was not over."""
        self._drop_ended()
        return self._remove((namespace, key))

    @asynccontextmanager
    async def lock(self, namespace: str, key: str) -> AsyncIterator[None]:
        """Held by one task at a time for this key, in the order they asked; it is not reentrant."""
        place = (namespace, key)
        shared = self._locks.setdefault(place, _Lock())
        shared.users += 1
        try:
            async with shared.lock:
                yield
        finally:
            shared.users -= 1
            if shared.users == 0:
                del self._locks[place]

    def _remove(self, place: Key) -> bool:
        entry = self._entries.pop(place, None)
        if entry is None:
            return False
        self._size_bytes -= entry.size_bytes
        return True

    def _drop_ended(self) -> None:
        now = self._clock()
        while self._ends and self._ends[0][0] <= now:
            _, place = heappop(self._ends)
            entry = self._entries.get(place)
            if entry is not None and entry.expires_at <= now:
                self._remove(place)

    def _trim_ends(self) -> None:
        if len(self._ends) > 2 * len(self._entries) + _HEAP_SLACK:
            self._ends = [(entry.expires_at, place) for place, entry in self._entries.items()]
            heapify(self._ends)
