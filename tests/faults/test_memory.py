"""What failed exchanges leave in memory: nothing, long before a full garbage collection would come."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import MakeUpstream, borrow
from .gateway import Gateway, chat, post, settings
from .replies import Departures, answers, begun, completion
from .upstream import Script, chunk, gzip_body, never_answer, ok, raw, reset, stall, truncate

MIB = 2**20
BODY_MIB = 8
ROUNDS = 12
MOST_MIB = 48  # of at least 96 that went through
BAD = str(Path(__file__).with_name("badplugin.py"))


@pytest.fixture(scope="module")
def shared_large(tmp_path_factory: pytest.TempPathFactory, upstream_url: str) -> Iterator[Gateway]:
    config = settings(upstream_url, first_byte_timeout_s=0.2, idle_timeout_s=0.2)
    policy = "[plugins.badplugin]\nquarantine_after = 1000\n"
    gateway = Gateway(tmp_path_factory.mktemp("large"), config + policy, "--plugin", BAD)
    yield gateway
    gateway.stop()


@pytest.fixture
def large(shared_large: Gateway) -> Iterator[Gateway]:
    """A gateway with little patience and a plugin that can be told to raise."""
    yield from borrow(shared_large)


FAILURES: dict[str, tuple[Script, bool]] = {
    "status": (ok(b"{}", status=500), False),
    "gone": (truncate(b""), False),
    "silence": (never_answer(), False),
    "no-json": (ok(b"{"), False),
    "stream-reset": (reset(begun("one")), True),
    "stream-json": (raw(begun("one") + chunk(b"data: {\n\n") + chunk(b"")), True),
    "stream-stalled": (stall(begun("one")), True),
    "plugin": (answers(), False),
}


@pytest.mark.parametrize(("script", "stream"), FAILURES.values(), ids=FAILURES)
async def test_body_of_a_failed_request_is_let_go(
    large: Gateway, upstream: MakeUpstream, request: pytest.FixtureRequest, script: Script, stream: bool
) -> None:
    """P1: a traceback leads from the error to the body, and from the body's exchange to the error."""
    body = chat(stream=stream, x="a" * BODY_MIB * MIB)
    fault = ["x-fault: raise:before_response"] if request.node.callspec.id == "plugin" else []
    async with upstream(script):
        await large.ask(*fault, data=body)
        before = large.memory_bytes()
        for _ in range(ROUNDS):
            answer = await large.ask(*fault, data=body)
            assert answer.status >= 500 or b'"error"' in answer.body
        assert large.memory_bytes() - before < MOST_MIB * MIB


async def test_body_of_a_client_that_left_is_let_go(large: Gateway, upstream: MakeUpstream) -> None:
    """P1, S-01."""
    body = post(chat(stream=True, x="a" * BODY_MIB * MIB))
    async with upstream(Departures(begun("one")).script):
        before = large.memory_bytes()
        for _ in range(ROUNDS):
            client = await large.connect()
            await client.send(body)
            async with asyncio.timeout(20):
                await client.reader.readuntil(b"one")
            client.reset()
        await large.exchanges(ROUNDS)
        assert large.memory_bytes() - before < MOST_MIB * MIB


@pytest.mark.parametrize("kind", ["bomb", "broken", "long"])
async def test_answer_that_was_refused_is_let_go(large: Gateway, upstream: MakeUpstream, kind: str) -> None:
    """P1, U-07."""
    long = json.dumps({"a": "b" * BODY_MIB * MIB}).encode()
    scripts = {
        "bomb": gzip_body(b'{"a":"' + b" " * 3 * BODY_MIB * MIB),
        "broken": ok(long[:-1]),
        "long": ok(completion("a" * 3 * BODY_MIB * MIB)),
    }
    async with upstream(scripts[kind]):
        await large.ask()
        before = large.memory_bytes()
        for _ in range(ROUNDS):
            assert (await large.ask()).status == 502
        assert large.memory_bytes() - before < MOST_MIB * MIB
