"""How long one exchange waits for its vendor: until the answer begins, and from piece to piece."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from chatproxy.errors import UpstreamTimeout
from chatproxy_providers.config import Entry

T = TypeVar("T")


class Waiting:
    """The deadlines of one exchange; time counts only while somebody waits."""

    __slots__ = ("_began", "_first_s", "_idle_s", "_left_s", "_loop", "_name")

    def __init__(self, entry: Entry) -> None:
        self._loop = asyncio.get_running_loop()
        self._name = entry.provider
        self._first_s = self._left_s = entry.first_byte_timeout_s
        self._idle_s = entry.idle_timeout_s
        self._began = False

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await something of the vendor.

        Raises:
            UpstreamTimeout: it took too long (504).
        """
        started = self._loop.time()
        deadline = asyncio.timeout(self._left_s)
        try:
            async with deadline:
                return await awaitable
        except TimeoutError as exc:
            if not deadline.expired():
                raise
            raise self._late() from exc
        finally:
            self._left_s -= self._loop.time() - started

    def alive(self) -> None:
        """A piece of the answer has come; the next wait starts anew."""
        self._began = True
        self._left_s = self._idle_s

    def _late(self) -> UpstreamTimeout:
        if self._began:
            message = f"'{self._name}' went silent for {self._idle_s:g} s."
            return UpstreamTimeout(message, code="upstream_idle_timeout")
        message = f"'{self._name}' sent nothing for {self._first_s:g} s."
        return UpstreamTimeout(message, code="upstream_first_byte_timeout")
