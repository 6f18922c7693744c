"""A key that was made for some surfaces: what else it may not ask."""

from __future__ import annotations

import pytest

from .opened import opened

OWN = ["/v1/sessions", "/atoms/chat/sessions", "/v1/sessions/s", "/v1/platform/keys", "/api/v1/platform/usage"]


async def test_key_for_one_job_reads_neither_conversations_nor_keys_of_its_owner(sqlite_url: str) -> None:
    async with opened(sqlite_url) as found:
        await found.new_user("ann")
        key = await found.new_key(user_id="ann", surfaces=["embeddings"])
        await found.chat(key=await found.new_key(user_id="ann"), session_id="s")
        refused = [await found.ask(path, key) for path in OWN]
        allowed = [await found.ask(path, key) for path in ("/v1/models", "/v1/platform/me")]
        asked = await found.ask("/v1/embeddings", key, json={"model": "demo", "input": "x"})
    assert {answer.json()["error"]["code"] for answer in refused} == {"surface_not_allowed"}
    assert [answer.status_code for answer in (*allowed, asked)] == [200, 200, 200]


@pytest.mark.parametrize(("surface", "statuses"), [("sessions", [200, 403]), ("platform", [403, 200])])
async def test_own_routes_are_surfaces_too(sqlite_url: str, surface: str, statuses: list[int]) -> None:
    async with opened(sqlite_url) as found:
        await found.new_user("ann")
        key = await found.new_key(user_id="ann", surfaces=[surface])
        answers = [await found.ask(path, key) for path in ("/v1/sessions", "/v1/platform/keys")]
        chat = await found.chat(key=key)
    assert [answer.status_code for answer in answers] == statuses
    assert chat.status_code == 403
