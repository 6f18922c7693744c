"""The client that checks share, against a real server on loopback."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from chatproxy_guardrails.checks.base import CheckFailedError
from chatproxy_guardrails.checks.remote import CircuitBreaker, RemoteOptions, RemoteService, ServiceError, in_batches
from hypothesis import given, settings
from hypothesis import strategies as st

HIDDEN = "hush"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
LENGTH = re.compile(rb"content-length: (\d+)", re.IGNORECASE)
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Answers with the scripted bytes, the last of them again and again; None: never."""

    def __init__(self, *replies: bytes | None) -> None:
        self.replies = list(replies) or [OK]
        self.heads: list[bytes] = []
        self.bodies: list[Any] = []
        self.now, self.peak = 0, 0
        self.asked = asyncio.Semaphore(0)
        self.done = asyncio.Event()
        self.gone = asyncio.Event()
        self.url = ""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self.answer(head, reader, writer)
                if writer.is_closing():
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            writer.close()

    async def answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found = LENGTH.search(head)
        assert found is not None
        self.heads.append(head)
        self.bodies.append(json.loads(await reader.readexactly(int(found[1]))))
        self.now += 1
        self.peak = max(self.peak, self.now)
        self.asked.release()
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        if reply is None:
            await self.done.wait()
            writer.close()
        else:
            writer.write(reply)
            if b"content-length: 2\r\n" not in reply:
                writer.close()
        self.now -= 1


@asynccontextmanager
async def serving(*replies: bytes | None) -> AsyncIterator[Server]:
    own = Server(*replies)
    async with await asyncio.start_server(own.talk, "127.0.0.1", 0) as server:
        own.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/{HIDDEN}?key={HIDDEN}"
        try:
            yield own
        finally:
            own.done.set()


def service_at(url: str, clock: Callable[[], float] = lambda: 0.0, **options: Any) -> RemoteService:
    return RemoteService("probe", RemoteOptions(url=url, **{"timeout_s": 5.0, **options}), clock=clock)


async def failure_of(service: RemoteService, read: Callable[[bytes], Any] = json.loads) -> CheckFailedError:
    with pytest.raises(CheckFailedError) as failed:
        await service.ask({"text": HIDDEN}, read)
    return failed.value


async def test_question_is_posted_as_json_with_the_configured_headers() -> None:
    async with serving() as server:
        service = service_at(server.url, headers={"X-Team": "blue"})
        async with service.lifespan():
            assert await service.ask({"text": "é"}, json.loads) == {}
    assert server.bodies == [{"text": "é"}]
    head = server.heads[0].lower()
    assert head.startswith(f"post /{HIDDEN}?key={HIDDEN} ".encode())
    assert b"x-team: blue\r\n" in head
    assert b"content-type: application/json\r\n" in head


NO_VERDICTS = {
    "500": b'HTTP/1.1 500 hush\r\ncontent-length: 6\r\n\r\n"hush"',
    "401": b'HTTP/1.1 401 hush\r\ncontent-length: 6\r\n\r\n"hush"',
    "201": b'HTTP/1.1 201 hush\r\ncontent-length: 6\r\n\r\n"hush"',
    "redirect": b'HTTP/1.1 307 x\r\nlocation: /hush\r\ncontent-length: 6\r\n\r\n"hush"',
    "no JSON": b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhush",
    "not UTF-8": b'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"\xff"',
    "cut off": b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{}",
    "deep": b"HTTP/1.1 200 OK\r\ncontent-length: 3000\r\n\r\n" + b"[" * 3000,
    "huge": b"HTTP/1.1 200 OK\r\ncontent-length: 4001\r\n\r\n[" + b" " * 3999 + b"]",
    "huge, in chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1388\r\n["
    + b" " * 4998
    + b"]\r\n0\r\n\r\n",
    "said to be compressed": b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 6\r\n\r\n{    }",
    "no HTTP": b"hush hush hush\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("reply", NO_VERDICTS.values(), ids=NO_VERDICTS.keys())
async def test_what_is_no_verdict_fails_the_check_and_shows_nothing(reply: bytes) -> None:
    async with serving(reply) as server:
        service = service_at(server.url, headers={"x-key": HIDDEN}, max_reply_bytes=4000)
        async with service.lifespan():
            failed = await failure_of(service)
    assert isinstance(failed, ServiceError)
    assert HIDDEN not in "".join(traceback.format_exception(failed))
    assert len(server.bodies) == 1


async def test_what_is_wrong_with_a_reply_is_not_shown() -> None:
    def read(body: bytes) -> None:
        raise ValueError(body.decode())

    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhush") as server:
        service = service_at(server.url)
        async with service.lifespan():
            failed = await failure_of(service, read)
    assert HIDDEN not in "".join(traceback.format_exception(failed))


async def test_reply_may_be_as_long_as_the_limit() -> None:
    async with serving(b"HTTP/1.1 200 OK\r\ncontent-length: 4000\r\n\r\n" + b"7" * 4000) as server:
        service = service_at(server.url, max_reply_bytes=4000)
        async with service.lifespan():
            assert await service.ask([], len) == 4000


async def test_service_that_is_down_fails_the_check() -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        service = service_at(f"http://127.0.0.1:{unheard.getsockname()[1]}/")
        async with service.lifespan():
            assert "could not be asked: ConnectError" in str(await failure_of(service))


async def test_silent_service_fails_the_check_at_the_deadline() -> None:
    async with serving(None) as server:
        service = service_at(server.url, timeout_s=0.05)
        async with service.lifespan():
            assert "gave no answer in 0.05 s" in str(await failure_of(service))


async def test_service_that_stops_within_its_answer_fails_the_check_at_the_deadline() -> None:
    async def stalled(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{")
            await done.wait()
        finally:
            writer.close()

    done = asyncio.Event()
    async with await asyncio.start_server(stalled, "127.0.0.1", 0) as server:
        service = service_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", timeout_s=0.05)
        async with service.lifespan():
            assert "gave no answer" in str(await failure_of(service))
        done.set()


async def test_no_more_questions_are_on_their_way_than_allowed() -> None:
    async with serving(None, None, OK) as server:
        service = service_at(server.url, max_concurrency=2)
        async with service.lifespan():
            tasks = [asyncio.create_task(service.ask(number, len)) for number in range(6)]
            for _ in range(2):
                await server.asked.acquire()
            server.done.set()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert len(server.bodies) == 6
    assert server.peak == 2


async def test_wait_for_a_place_has_a_deadline_and_is_not_the_services_fault() -> None:
    async with serving(None) as server:
        service = service_at(server.url, max_concurrency=1, timeout_s=0.1)
        async with service.lifespan():
            failed = await asyncio.gather(*(failure_of(service) for _ in range(3)))
    busy = [each for each in failed if not isinstance(each, ServiceError)]
    # the second may get the place that the first leaves; the third then has waited too long
    assert busy
    assert all("busy with 1 questions" in str(each) for each in busy)
    assert len(server.bodies) == 3 - len(busy)


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


DOWN = b"HTTP/1.1 500 x\r\ncontent-length: 2\r\n\r\n{}"
TEXT_REFUSED = b"HTTP/1.1 413 x\r\ncontent-length: 2\r\n\r\n{}"


async def test_failing_service_is_left_alone_and_tried_again_later() -> None:
    clock = Clock()
    async with serving(DOWN, DOWN, DOWN, OK) as server:
        service = service_at(server.url, clock, failure_limit=2, open_s=10.0)
        async with service.lifespan():
            for _ in range(2):
                assert "status 500" in str(await failure_of(service))
            assert "left alone after 2 failures" in str(await failure_of(service))
            assert len(server.bodies) == 2
            clock.s = 10.0
            assert "status 500" in str(await failure_of(service))
            assert "left alone after 3 failures" in str(await failure_of(service))
            clock.s = 20.0
            assert await service.ask({}, json.loads) == {}
            assert await service.ask({}, json.loads) == {}
    assert len(server.bodies) == 5


async def test_one_question_at_a_time_tries_a_service_that_failed() -> None:
    clock = Clock()
    async with serving(DOWN, None, OK) as server:
        service = service_at(server.url, clock, failure_limit=1, open_s=1.0)
        async with service.lifespan():
            await failure_of(service)
            await server.asked.acquire()
            clock.s = 1.0
            probe = asyncio.create_task(service.ask({}, json.loads))
            await server.asked.acquire()
            assert "left alone" in str(await failure_of(service))
            probe.cancel()
            with pytest.raises(asyncio.CancelledError):
                await probe
            assert await service.ask({}, json.loads) == {}


async def test_texts_that_a_service_refuses_do_not_open_the_circuit() -> None:
    async with serving(TEXT_REFUSED, TEXT_REFUSED, OK) as server:
        service = service_at(server.url, failure_limit=1)
        async with service.lifespan():
            for _ in range(2):
                assert "refused the question with status 413" in str(await failure_of(service))
            assert await service.ask({}, json.loads) == {}


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=40), st.integers(1, 3))
@settings(max_examples=100, deadline=None)
def test_circuit_opens_after_the_limit_and_closes_with_a_success(steps: list[tuple[bool, int]], limit: int) -> None:
    clock, in_a_row, closed_until = Clock(), 0, 0.0
    breaker = CircuitBreaker(limit, 2.0, clock)
    for is_up, waited_s in steps:
        clock.s += waited_s
        is_admitted = False
        try:
            with breaker.attempt("probe"):
                is_admitted = True
                if not is_up:
                    raise ServiceError
        except CheckFailedError:
            assert not (is_admitted and is_up)
        assert is_admitted == (in_a_row < limit or clock.s >= closed_until)
        if is_admitted:
            in_a_row = 0 if is_up else in_a_row + 1
            closed_until = clock.s + 2.0 if in_a_row >= limit else 0.0


@given(st.lists(st.integers()), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_batches_are_answered_in_order(items: list[int], size: int) -> None:
    sizes: list[int] = []

    async def ask(batch: Sequence[int]) -> list[int]:
        sizes.append(len(batch))
        return [2 * item for item in batch]

    assert asyncio.run(in_batches(items, size, ask)) == [2 * item for item in items]
    assert all(0 < asked <= size for asked in sizes)


async def test_one_batch_without_a_verdict_fails_them_all() -> None:
    async def ask(batch: Sequence[int]) -> list[int]:
        if 3 in batch:
            raise CheckFailedError("down")
        return list(batch)

    with pytest.raises(CheckFailedError, match="down"):
        await in_batches([1, 2, 3, 4], 1, ask)


async def test_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with serving() as server:
        service = service_at(server.url)
        async with service.lifespan():
            assert await service.ask({}, json.loads) == {}


async def test_nothing_of_an_exchange_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        service = service_at(server.url, headers={"x-key": HIDDEN})
        async with service.lifespan():
            await service.ask({"text": HIDDEN}, json.loads)
    assert HIDDEN not in caplog.text


async def test_text_that_is_not_unicode_is_not_sent() -> None:
    async with serving() as server:
        service = service_at(server.url)
        async with service.lifespan():
            with pytest.raises(CheckFailedError, match="not Unicode") as failed:
                await service.ask({"text": f"{HIDDEN}\ud800"}, json.loads)
    assert server.bodies == []
    assert HIDDEN not in "".join(traceback.format_exception(failed.value))


async def test_connections_are_closed_with_the_lifespan() -> None:
    async with serving() as server:
        service = service_at(server.url)
        async with service.lifespan():
            await service.ask({}, json.loads)
            assert not server.gone.is_set()
        await asyncio.wait_for(server.gone.wait(), 5)
        with pytest.raises(RuntimeError, match="not open"):
            await service.ask({}, json.loads)


URL = "http://127.0.0.1/"
WRONG = {
    "no scheme": {"url": "127.0.0.1/x"},
    "other scheme": {"url": "file:///etc/hosts"},
    "no host": {"url": "http:///x"},
    "user": {"url": f"http://me:{HIDDEN}@127.0.0.1/"},
    "not a port": {"url": f"http://127.0.0.1:{HIDDEN}/"},
    "header name": {"url": URL, "headers": {"a b": HIDDEN}},
    "header value": {"url": URL, "headers": {"x-key": f"{HIDDEN}\r\nx: y"}},
    "framing": {"url": URL, "headers": {"Content-Length": "5"}},
    "overlap": {"url": URL, "window": 5, "overlap": 5},
    "bundle": {"url": URL, "verify": "/does/not/exist"},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_wrong_options_are_refused_without_showing_secrets(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"url|header|overlap|verify") as refused:
        service_at(**options)
    assert HIDDEN not in str(refused.value)


def test_bundle_without_certificates_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    with pytest.raises(ValueError, match="verify"):
        service_at(URL, verify=str(tmp_path / "ca.pem"))


def test_options_do_not_show_their_values() -> None:
    assert HIDDEN not in repr(RemoteOptions(url=URL + HIDDEN, headers={"x-key": HIDDEN}))
