"""Stops, restarts and crashes under load: what runs is finished, or ended in words; nothing new is lost."""

import asyncio
import signal
import time
from typing import Any, Self

import psutil
import pytest

from chatproxy.testing.sse import events_of, text_of
from tests.server.rawclient import Answer, RawClient

from .conftest import MakeUpstream, StartGateway
from .gateway import Gateway, chat, post, settings, until
from .replies import Departures, answers, begun, either, event, events, gated
from .upstream import CHUNKED_HEAD, Exchange, chunk

READ_BYTES = 2**16


async def refused(gateway: Gateway) -> None:
    """Wait until nobody listens any more."""
    async with asyncio.timeout(20):
        while True:
            try:
                client = await gateway.connect()
            except ConnectionError:
                return
            client.reset()
            await asyncio.sleep(0.01)


async def open_streams(gateway: Gateway, count: int) -> list[RawClient]:
    """Streams whose head has come."""
    clients = [await gateway.open(stream=True) for _ in range(count)]
    async with asyncio.timeout(20):
        for client in clients:
            await client.reader.readuntil(b"\r\n\r\n")
    return clients


async def rest_of(client: RawClient) -> bytes:
    """The body of a stream whose head was read; that it ends as a chunked body must is checked."""
    data = await client.read_to_end()
    client.close()
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        assert data[length : length + 2] == b"\r\n"
        if not length:
            assert data == b"\r\n"
            return body
        body, data = body + data[:length], data[length + 2 :]
    raise AssertionError("the body has no end")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_streams_shorter_than_the_drain_all_complete(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream, workers: str
) -> None:
    """S-16: 50 streams, no error, exit code 0; new connections are refused, a buffered exchange is answered."""
    gateway = start_gateway(settings(upstream_url), "--workers", workers)
    gate = asyncio.Event()

    async def buffered(exchange: Exchange) -> None:
        await gate.wait()
        await answers("late")(exchange)

    stream = gated(gate, [event("begun ")], events("and done"))

    async def script(exchange: Exchange) -> None:
        await (stream if b'"stream":true' in exchange.request.body else buffered)(exchange)

    async with upstream(script) as up:
        clients = await open_streams(gateway, 50)
        waiting = await gateway.open()
        await up.until(lambda: len(up.requests) == 51)
        gateway.signal(signal.SIGTERM)
        await refused(gateway)
        gate.set()
        for client in clients:
            body = await rest_of(client)
            assert text_of(body) == "begun and done"
            assert events_of(body)[-1] == "[DONE]"
        assert b'"late"' in (await waiting.read_answer()).body
        waiting.close()
        assert await asyncio.to_thread(gateway.wait) == 0
    lines = await gateway.exchanges(51)
    assert {line["outcome"] for line in lines} == {"completed"}


async def test_connection_whose_stream_ends_in_the_drain_may_bring_one_more_request(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """S-19: the stream's head said that the connection is kept, so that a request may be on its way."""
    gateway = start_gateway(settings(upstream_url))
    gate = asyncio.Event()
    other = Departures(begun("one"))
    scripts = [gated(gate, [event("begun ")], events("and done")), other.script, either()]
    async with upstream(*scripts):
        client = await gateway.open(stream=True)
        async with asyncio.timeout(20):
            await client.reader.readuntil(b"begun ")
        (holder,) = await open_streams(gateway, 1)
        gateway.signal(signal.SIGTERM)
        await refused(gateway)
        gate.set()
        async with asyncio.timeout(20):
            await client.reader.readuntil(b"\r\n0\r\n\r\n")
        await client.send(post(chat()))
        answer = await client.read_answer()
        client.close()
        holder.reset()
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_streams_longer_than_the_drain_are_ended_in_words(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream, workers: str
) -> None:
    """S-17: at the limit; streams by an event and a proper end, a buffered exchange by a 503."""
    gateway = start_gateway(settings(upstream_url, drain_timeout_s=1.0), "--workers", workers)
    departures = Departures()

    async def script(exchange: Exchange) -> None:
        if b'"stream":true' in exchange.request.body:
            await exchange.send(begun("one"))
        await departures.script(exchange)

    async with upstream(script) as up:
        clients = await open_streams(gateway, 10)
        waiting = await gateway.open()
        await up.until(lambda: len(up.requests) == 11)
        started = time.monotonic()
        gateway.signal(signal.SIGTERM)
        for client in clients:
            *said, last = events_of(await rest_of(client))
            assert [each["choices"][0]["delta"]["content"] for each in said] == ["one"]
            assert last["error"]["code"] == "server_shutdown"
        assert 0.9 <= time.monotonic() - started <= 4
        answer = await waiting.read_answer()
        waiting.close()
        assert (answer.status, answer.error["code"]) == (503, "server_shutdown")
        assert answer.headers["retry-after"]
        assert await asyncio.to_thread(gateway.wait) == 0
        async with asyncio.timeout(20):
            await up.all_left()
    lines = await gateway.exchanges(11)
    assert {line["error_code"] for line in lines} == {"server_shutdown"}


async def test_client_that_does_not_read_cannot_stop_the_stop(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """S-17, S-13: it is given a moment for the last words, and dropped."""

    async def flood(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD)
        while True:
            await exchange.send(chunk(event("a" * 10_000)))

    gateway = start_gateway(settings(upstream_url, drain_timeout_s=0.5))
    async with upstream(flood):
        (client,) = await open_streams(gateway, 1)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        gateway.signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.wait) == 0
        client.reset()
    (line,) = await gateway.exchanges(1)
    assert line["outcome"] in {"failed", "client_disconnected"}


async def test_second_signal_stops_now(start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream) -> None:
    """S-17's sibling: whoever asks twice does not wait."""
    gateway = start_gateway(settings(upstream_url))
    departures = Departures(begun("one"))
    async with upstream(departures.script):
        (client,) = await open_streams(gateway, 1)
        gateway.signal(signal.SIGTERM)
        await refused(gateway)
        gateway.signal(signal.SIGTERM)
        assert await asyncio.to_thread(gateway.wait) == 128 + signal.SIGTERM
        await departures.left.wait()
        client.close()


class Load:
    """Requests one after another, on kept connections and on new ones in turn."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.answered = 0
        self.failures: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(keeps=bool(n % 2), stream=n > 1)) for n in range(4)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def more(self, count: int) -> None:
        """Let this many more be answered."""
        wanted = self.answered + count
        await until(lambda: self.answered >= wanted)

    async def _run(self, *, keeps: bool, stream: bool) -> None:
        client: RawClient | None = None
        try:
            while True:
                client = client or await self.gateway.connect()
                answer = await self._ask(client, stream=stream)
                self.answered += 1
                if not keeps or answer is None or answer.headers.get("connection") == "close":
                    client.close()
                    client = None
                await asyncio.sleep(0.04)
        finally:
            if client is not None:
                client.reset()

    async def _ask(self, client: RawClient, *, stream: bool) -> Answer | None:
        try:
            await client.send(post(chat(stream=stream)))
            answer = await client.read_answer()
        except (OSError, EOFError) as exc:
            self.failures.append(repr(exc))
            return None
        if answer.status != 200 or (stream and not answer.body.endswith(b"[DONE]\n\n")):
            self.failures.append(repr(answer))
        return answer


async def renewed(gateway: Gateway, before: set[int]) -> set[int]:
    """Wait until none of these workers is left and as many others are there."""

    def lives(worker: psutil.Process) -> bool:
        try:
            return bool(worker.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:  # it ended since it was listed
            return False

    def now() -> set[int]:
        return {worker.pid for worker in gateway.workers if lives(worker)}

    await until(lambda: now().isdisjoint(before) and len(now()) == len(before))
    return now()


async def test_rolling_restart_under_load_fails_no_request(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """S-19: two restarts of both workers under about 80 requests a second."""
    gateway = start_gateway(settings(upstream_url), "--workers", "2")
    async with upstream(either()), Load(gateway) as load:
        before = {worker.pid for worker in gateway.workers}
        for _ in range(2):
            await load.more(10)
            gateway.signal(signal.SIGHUP)
            before = await renewed(gateway, before)
        await load.more(20)
    assert load.failures == []


async def test_killed_worker_is_replaced_while_requests_go_on(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """``kill -9`` of one of two: only what ran in it is lost."""
    gateway = start_gateway(settings(upstream_url), "--workers", "2")
    killed, other = sorted(worker.pid for worker in gateway.workers)
    async with upstream(either()):
        psutil.Process(killed).kill()
        for _ in range(50):
            assert (await gateway.ask()).status == 200
        await until(lambda: len(gateway.workers) == 2 and killed not in {worker.pid for worker in gateway.workers})
        assert other in {worker.pid for worker in gateway.workers}
        assert (await gateway.ask()).status == 200
    told = [line for line in gateway.lines if "replacing it" in line.get("message", "")]
    assert len(told) == 1
    assert f"pid {killed}" in told[0]["message"]


async def test_process_that_is_full_waits_quietly_and_recovers(
    start_gateway: StartGateway, upstream_url: str, upstream: MakeUpstream
) -> None:
    """Few descriptors: clients wait in the backlog, each has its upstream connection, and the log stays short."""
    gateway = start_gateway(settings(upstream_url), descriptors=80)
    started = time.monotonic()
    async with upstream(either()):
        clients = [await gateway.connect() for _ in range(40)]
        for client in clients:
            await client.send(post(chat()))
        await until(lambda: "no new connection is accepted" in gateway.log)
        for client in clients:
            assert (await client.read_answer()).status == 200
            client.close()
        assert (await gateway.ask()).status == 200
        lines = await gateway.exchanges(41)
    warnings = [line for line in gateway.lines if "no new connection is accepted" in line.get("message", "")]
    assert 1 <= len(warnings) <= 2 + (time.monotonic() - started)
    assert {line["status"] for line in lines} == {200}


async def test_overload_is_503_with_retry_after_while_the_rest_goes_on(
    impatient: Gateway, upstream: MakeUpstream
) -> None:
    """R-05: four at a time; health and models still answer, and whoever is in is finished."""
    gate = asyncio.Event()

    async def script(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD + chunk(event("one ")))
        while not gate.is_set():
            await exchange.send(chunk(event("more ")))
            await asyncio.sleep(0.05)
        await exchange.send(b"".join(map(chunk, events("done"))) + chunk(b""))

    async with upstream(script):
        clients = await open_streams(impatient, 4)
        for n in range(40):
            answer = await impatient.ask(stream=bool(n % 2))
            assert (answer.status, answer.error["code"]) == (503, "overloaded")
            assert int(answer.headers["retry-after"]) >= 1
            assert await asyncio.to_thread(impatient.get, "/livez")
        assert await asyncio.to_thread(impatient.get, "/readyz")
        gate.set()
        for client in clients:
            data: Any = await client.reader.readuntil(b"\r\n0\r\n\r\n")
            assert b"[DONE]" in data
            client.close()
        assert (await impatient.ask(stream=True)).status == 200
