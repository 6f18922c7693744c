"""Exchanges cancelled twice in a row, inside of the whole gateway: every slot, task and socket is given back."""

import asyncio

import pytest

from chatproxy import ProxyConfig
from chatproxy.app import ChatproxyApp, create_app
from chatproxy.handlers.transport import Http1Transport
from chatproxy.server import ServerOptions, running
from tests.server.rawclient import RawClient

from .gateway import chat, post, until
from .replies import begun, either
from .upstream import Exchange, FaultUpstream

AT_ONCE = 50


async def cancel_all(app: ChatproxyApp, *, turns: int) -> None:
    """Cancel every running exchange, let it run on for some turns of the event loop, and cancel it again."""
    tasks = [live.task for live in app.gateway.engine.live]
    assert len(tasks) == AT_ONCE
    for task in tasks:
        task.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=20)


async def mixed(exchange: Exchange) -> None:
    """Streams that have begun, and replies that never come; a request of the model ``ok`` is answered."""
    if b'"ok"' in exchange.request.body:
        await either()(exchange)
    elif b'"stream":true' in exchange.request.body:
        await exchange.send(begun("one"))
        await exchange.until_client_leaves()
    else:
        await exchange.until_client_leaves()


@pytest.fixture
def transport() -> Http1Transport:
    """With few slots, so that one that is lost is missed."""
    return Http1Transport(max_connections=AT_ONCE)


async def test_thousand_double_cancels_leave_every_slot_free(transport: Http1Transport) -> None:
    """S-15."""
    async with FaultUpstream(mixed) as up:
        config = ProxyConfig(upstream_url=up.url, log_level="warning", environ={})
        app = create_app(config, transport=transport)
        async with running(app, app.gateway, ServerOptions(port=0)) as server:
            port = int(server.urls[0].rsplit(":", 1)[1])
            before = len(asyncio.all_tasks())
            for turns in range(20):
                clients = [RawClient(*await asyncio.open_connection("127.0.0.1", port)) for _ in range(AT_ONCE)]
                for n, client in enumerate(clients):
                    await client.send(post(chat(stream=bool(n % 2)).replace(b": ", b":")))
                async with asyncio.timeout(20):
                    await up.until(lambda: len(up.requests) % AT_ONCE == 0 and up.open_connections == AT_ONCE)
                await cancel_all(app, turns=turns % 4)
                for client in clients:
                    await client.read_to_end()
                    client.close()
                async with asyncio.timeout(20):
                    await up.all_left()
                assert transport.stats() == (0, 0, 0)
                assert app.gateway.engine.live == set()
            client = RawClient(*await asyncio.open_connection("127.0.0.1", port))
            await client.send(post(chat(model="ok")))
            assert (await client.read_answer()).status == 200
            client.close()
            assert await server.state.wait_empty(20)
            await until(lambda: len(asyncio.all_tasks()) <= before + transport.stats().open)
