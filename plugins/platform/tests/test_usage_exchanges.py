"""Every exchange of a gateway is one row, on every surface and however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from chatproxy_platform.config import Price, PricesConfig
from chatproxy_platform.storage.database import Database
from chatproxy_platform.usage.prices import Prices
from chatproxy_platform.usage.recorder import UsageRecorder

from chatproxy import Exchange, Principal, Reject, RequestContext, hookimpl
from chatproxy.testing import Fault, Gateway, ScriptedUpstream, error_reply, make_app, raw_reply, reply, stream_reply
from chatproxy.testing.matrix import CELLS, Cell, Said

from .usages import assert_exact, recorder, somebody

PRICES = Prices(PricesConfig(models={"scripted": Price(input=1, output=2)}))
BODY = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}


class Recording:
    """What the platform does for usage, and nothing else of it."""

    def __init__(self, found: UsageRecorder) -> None:
        self.recorder = found
        self.is_over = asyncio.Event()

    @hookimpl
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        if ctx.is_exchange:
            ctx.at_end(self.end)
        return Principal(id="key_k1")

    def end(self, exchange: Exchange) -> None:
        cost = PRICES.cost(exchange.model, exchange.usage, upstream_model=exchange.upstream_model)
        self.recorder.record(exchange, somebody(), cost)
        self.is_over.set()


class Recorded:
    """A gateway, and what is stored of its exchanges."""

    def __init__(self, database: Database, spool: Path) -> None:
        self.database = database
        self.recorder = recorder(database, spool)
        self.plugin = Recording(self.recorder)

    @asynccontextmanager
    async def gateway(self, *scripts: Any, plugins: tuple[object, ...] = (), **options: Any) -> AsyncIterator[Gateway]:
        upstream = options.pop("upstream", None) or ScriptedUpstream(*scripts)
        async with make_app(plugins=[self.plugin, *plugins], upstream=upstream, **options) as app:
            yield app

    async def row(self) -> Mapping[str, Any]:
        """The only one."""
        await self.recorder.aclose()
        (row,) = await assert_exact(self.database)
        return row


@pytest.fixture
def recorded(database: Database, tmp_path: Path) -> Recorded:
    return Recorded(database, tmp_path)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_answer_of_every_surface_is_one_row_with_tokens_and_money(recorded: Recorded, cell: Cell) -> None:
    said = Said(content="Hello there.", usage=(7, 5))
    async with recorded.gateway(upstream=cell.upstream(said), upstreams=cell.upstreams) as app:
        assert (await cell.ask(app, "Hi")).status == 200
    row = await recorded.row()
    assert (row["surface"], row["stream"], row["source"]) == (cell.surface, cell.is_streamed, "provider")
    assert (row["prompt_tokens"], row["completion_tokens"], row["total_tokens"]) == (7, 5, 12)
    assert (row["cost_nanousd"], row["outcome"], row["status"]) == (17_000, "completed", 200)
    assert row["duration_us"] > 0


async def test_upstream_without_usage_is_counted_as_estimated(recorded: Recorded) -> None:
    async with recorded.gateway(reply(usage=None)) as app:
        await app.chat("Hello")
    row = await recorded.row()
    assert row["source"] in {"counted", "estimated"}
    assert row["total_tokens"] == row["prompt_tokens"] + row["completion_tokens"] > 0


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "stream"])
async def test_failed_upstream_is_a_row_and_an_error(recorded: Recorded, stream: bool) -> None:
    async with recorded.gateway(error_reply(500)) as app:
        answer = await app.chat("Hello", stream=stream)
    row = await recorded.row()
    assert (row["outcome"], row["status"]) == ("failed", answer.status_code)
    assert row["error_code"]


async def test_stream_that_broke_off_is_a_row(recorded: Recorded) -> None:
    parts = stream_reply().parts[:2]
    async with recorded.gateway(raw_reply(*parts, content_type="text/event-stream", fault=Fault.RESET)) as app:
        await app.chat("Hello", stream=True)
    assert (await recorded.row())["outcome"] == "failed"


async def test_client_that_left_is_a_row_and_no_error(recorded: Recorded) -> None:
    async with recorded.gateway(stream_reply(fault=Fault.STALL)) as app:
        async with app.client.stream("POST", "/v1/chat/completions", json=BODY):
            pass
        async with asyncio.timeout(5):
            await recorded.plugin.is_over.wait()
    row = await recorded.row()
    assert (row["outcome"], row["stream"]) == ("client_disconnected", True)


async def test_refused_request_is_a_row_without_cost(recorded: Recorded) -> None:
    class Refusing:
        @hookimpl
        async def before_request(self, ctx: RequestContext) -> None:
            raise Reject("No.", status=403, code="no")

    async with recorded.gateway(plugins=(Refusing(),)) as app:
        await app.chat("Hello")
    row = await recorded.row()
    assert (row["outcome"], row["error_code"], row["cost_nanousd"], row["total_tokens"]) == ("rejected", "no", None, 0)


async def test_what_passes_through_is_a_row(recorded: Recorded) -> None:
    async with recorded.gateway(reply()) as app:
        await app.client.get("/v1/files")
    assert (await recorded.row())["surface"] == "files"


@pytest.mark.parametrize(
    ("path", "surface"),
    [("/v1/completions", "completions"), ("/v1/embeddings", "embeddings"), ("/v1/moderations", "moderations")],
)
async def test_other_surfaces_are_rows_too(recorded: Recorded, path: str, surface: str) -> None:
    async with recorded.gateway(reply()) as app:
        await app.client.post(path, json={"model": "scripted", "prompt": "Hi", "input": "Hi"})
    assert (await recorded.row())["surface"] == surface


async def test_many_exchanges_at_once_are_as_many_rows(recorded: Recorded) -> None:
    await recorded.recorder.open()
    async with recorded.gateway(lambda _: reply()) as app:
        await asyncio.gather(*(app.chat("Hello", stream=bool(number % 2)) for number in range(60)))
        await app.client.get("/v1/models")
    await recorded.recorder.aclose()
    assert len(await assert_exact(recorded.database)) == 60
