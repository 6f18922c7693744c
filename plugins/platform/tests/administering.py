"""The whole platform in a gateway in memory, for all tests of a file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from .tenants import Company, company, new_schema


@asynccontextmanager
async def own_company(kind: str, folders: pytest.TempPathFactory) -> AsyncIterator[Company]:
    """A gateway over a new database of a kind: ``sqlite`` or ``postgresql``."""
    folder = folders.mktemp("platform")
    with ExitStack() as stack:
        is_sqlite = kind == "sqlite"
        url = f"sqlite+aiosqlite:///{folder / 'platform.db'}" if is_sqlite else stack.enter_context(new_schema())
        # a deadline that no busy machine passes
        async with company(url, usage={"spool_dir": str(folder / "spool")}, database={"deadline_s": 30.0}) as found:
            yield found
