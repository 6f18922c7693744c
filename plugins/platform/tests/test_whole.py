"""The platform as a whole: one exchange through all its parts, on every surface, buffered and streamed."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from chatproxy_platform.storage.tables import UsageRow
from sqlalchemy import select

from chatproxy.testing import ScriptedUpstream, error_reply, reply
from chatproxy.testing.matrix import CELLS, Cell, Said

from .opened import Opened, opened

SAID = Said(content="Hello there.", usage=(70, 30))
PRICED = {"prices": {"models": {"*": {"input": 10.0, "output": 100.0}}}}
STREAMED = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


async def rows(found: Opened) -> list[UsageRow]:
    """What is stored of the exchanges so far."""
    await found.platform.usage.flush()
    async with found.platform.database.read() as session:
        return list(await session.scalars(select(UsageRow).order_by(UsageRow.at)))


class Keyed:
    """A gateway's client with a key, for cells that ask by themselves."""

    def __init__(self, found: Opened) -> None:
        self.client = found.gateway.client
        self.client.headers["authorization"] = f"Bearer {found.key}"


async def test_without_a_key_nobody_comes_in(sqlite_url: str) -> None:
    async with opened(sqlite_url) as found:
        answer = await found.gateway.chat("Hello", model="demo")
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "authentication_error"


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_exchange_is_one_row_with_its_tokens_and_money_on_every_surface(cell: Cell, sqlite_url: str) -> None:
    upstream = cell.upstream(SAID)
    async with opened(sqlite_url, tables=PRICED, upstream=upstream, upstreams=cell.upstreams) as found:
        heard = await cell.ask(Keyed(found), "Hi")  # type: ignore[arg-type]
        (row,) = await rows(found)
    assert heard.status == 200
    assert (row.surface, row.model, row.outcome, row.status) == (cell.surface, "scripted", "completed", 200)
    assert (row.prompt_tokens, row.completion_tokens, row.source) == (70, 30, "provider")
    assert row.cost_nanousd == 70 * 10_000 + 30 * 100_000
    assert row.is_stream is cell.is_streamed
    assert row.key_id is not None


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_limits_of_tokens_and_requests_hold_on_every_surface(cell: Cell, sqlite_url: str) -> None:
    tables = {"limits": {"key": {"requests_per_minute": 2}}}
    upstream = cell.upstream(SAID)
    async with opened(sqlite_url, tables=tables, upstream=upstream, upstreams=cell.upstreams) as found:
        statuses = [(await cell.ask(Keyed(found), "Hi")).status for _ in range(3)]  # type: ignore[arg-type]
    assert statuses == [200, 200, 429]


@STREAMED
async def test_answer_tells_what_is_left_and_a_refusal_when_to_come_back(sqlite_url: str, stream: bool) -> None:
    tables = {"limits": {"key": {"requests_per_minute": 1, "tokens_per_minute": 100_000}}}
    async with opened(sqlite_url, tables=tables) as found:
        first, second = await found.chat(stream=stream), await found.chat(stream=stream)
    assert (first.status_code, second.status_code) == (200, 429)
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    assert first.headers["x-ratelimit-remaining-requests"] == "0"
    assert first.headers["x-ratelimit-limit-tokens"] == "100000"
    assert int(first.headers["x-ratelimit-remaining-tokens"]) < 100_000
    assert second.json()["error"]["code"] == "rate_limit_exceeded"
    assert int(second.headers["retry-after"]) >= 1


@STREAMED
async def test_budget_that_is_spent_stops_the_key(database_url: str, stream: bool) -> None:
    async with opened(database_url, tables=PRICED) as found:
        key = await found.new_key(budget={"usd": 0.02})
        statuses = []
        for _ in range(30):
            answer = await found.chat("x" * 400, key=key, stream=stream, max_tokens=20)
            statuses.append(answer.status_code)
            if answer.status_code != 200:
                break
        others = await found.chat(stream=stream)
    assert statuses[0] == 200
    assert statuses[-1] == 429
    assert answer.json()["error"]["code"] == "insufficient_quota"
    assert others.status_code == 200


@STREAMED
async def test_failed_exchange_is_accounted_as_failed(database_url: str, stream: bool) -> None:
    async with opened(database_url, upstream=ScriptedUpstream(error_reply(503), reply())) as found:
        await found.chat(model="scripted", stream=stream)
        (row,) = await rows(found)
    assert (row.outcome, row.status, row.total_tokens) == ("failed", 503, 0)


async def test_what_passes_through_counts_as_a_request(database_url: str) -> None:
    tables = {"limits": {"key": {"requests_per_minute": 2}}}
    upstream = ScriptedUpstream(reply(), reply(), reply())
    upstreams = {"default": {"base_url": "http://upstream/v1", "surfaces": ["files", "images", "audio"]}}
    async with opened(database_url, tables=tables, upstream=upstream, upstreams=upstreams) as found:
        listed = await found.ask("/v1/files")
        image = await found.ask("/v1/images/generations", json={"model": "m", "prompt": "A cat"})
        refused = await found.ask("/v1/audio/transcriptions", method="POST", files={"file": b"x"}, data={"model": "m"})
        kept = await rows(found)
    assert (listed.status_code, image.status_code, refused.status_code) == (200, 200, 429)
    assert len(upstream.requests) == 2
    assert sorted(row.surface for row in kept) == ["audio", "files", "images"]


@STREAMED
async def test_session_is_listed_right_after_its_stream(database_url: str, stream: bool) -> None:
    async with opened(database_url) as found:
        answer = await found.chat("Draft a mail.\nBe brief.", user="ann", stream=stream)
        session_id = fingerprint(answer)
        listed = (await found.ask("/v1/sessions?user_id=ann")).json()
        await found.chat("And now shorter.", user="ann", stream=stream, session_id=session_id)
        detail = (await found.ask(f"/atoms/chat/sessions/{session_id}?user_id=ann")).json()
        other = await found.new_key()
        foreign = await found.ask(f"/v1/sessions/{session_id}?user_id=ann", other)
        missing = await found.ask("/v1/sessions/none?user_id=ann", other)
    (session,) = listed["sessions"]
    assert (session["id"], session["title"], session["message_count"]) == (session_id, "Draft a mail.", 2)
    assert [message["role"] for message in detail["messages"]] == ["user", "assistant", "user", "assistant"]
    assert (foreign.status_code, missing.status_code) == (404, 404)
    assert foreign.json()["error"]["message"].replace(session_id, "none") == missing.json()["error"]["message"]


async def test_readiness_tells_of_every_part(database_url: str) -> None:
    async with opened(database_url) as found:
        ready = (await found.gateway.client.get("/readyz")).json()
    parts = ready["plugins"]["platform"]
    assert parts["database"]["state"] == "closed"
    assert {"limits", "usage", "audit", "spool"} <= parts.keys()


async def test_provider_is_never_sent_a_key_of_ours(sqlite_url: str) -> None:
    upstream = ScriptedUpstream(reply())
    async with opened(sqlite_url, upstream=upstream) as found:
        await found.chat(model="scripted")
    (request,) = upstream.requests
    assert found.key not in str(request.headers) + str(request.body)


def fingerprint(answer: httpx.Response) -> str:
    """The session's id, the same in every chunk."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return str(answer.json()["system_fingerprint"])
    chunks: list[Any] = [
        msgspec.json.decode(line[6:])
        for line in answer.text.splitlines()
        if line.startswith("data: ") and line != "data: [DONE]"
    ]
    (found,) = {chunk["system_fingerprint"] for chunk in chunks}
    return str(found)
