"""Processes that are killed in the middle of their work."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import ChatMessage, ChatSession
from sqlalchemy import func, select

PROCESS = Path(__file__).parent / "sessions_process.py"


@pytest.mark.timeout(150)  # the process imports all of it, maybe without compiled files
@pytest.mark.parametrize("turns", [40])
async def test_no_acknowledged_turn_is_lost_by_a_kill(
    database: Database, database_url: str, tmp_path: Path, turns: int
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROCESS, database_url, tmp_path / "spool", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    async with asyncio.timeout(120):
        acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(turns)]
        process.kill()
        acknowledged += (await process.stdout.read()).decode().split("\n")[:-1]
        await process.wait()
    async with database.read() as session:
        stored = set((await session.execute(select(ChatMessage.turn_id))).scalars())
        counted = (await session.execute(select(ChatSession.row_id, ChatSession.message_count))).all()
        for row_id, count in counted:
            query = select(func.count(), func.max(ChatMessage.message_index)).where(ChatMessage.session_row == row_id)
            assert (await session.execute(query)).one() == (count, count - 1)
    assert set(acknowledged) - {""} <= stored
