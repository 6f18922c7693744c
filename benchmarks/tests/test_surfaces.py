"""The series of surfaces measures what it says: every surface's bytes, what an answer says, the comparison with chat."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from benchmarks import report, targets
from benchmarks.cases import CASES, SURFACES, Case
from benchmarks.http1 import connect
from benchmarks.load import Plan, Result, Tally, measure
from benchmarks.payloads import PATHS, render_request, surface_url
from benchmarks.readers import reader
from benchmarks.series import Record, upstream_events
from benchmarks.upstream import Stats, UpstreamProtocol

pytestmark = pytest.mark.anyio

JSON, STREAM = False, True


@pytest.fixture
async def port() -> AsyncIterator[int]:
    stats = Stats()
    server = await asyncio.get_running_loop().create_server(lambda: UpstreamProtocol(stats), "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def ask(port: int, surface: str, *, stream: bool, **fields: object) -> bytes:
    url = surface_url(port, surface)
    connection = await connect(url)
    payload = render_request(url, surface=surface, model="mock", stream=stream, fields=fields)
    answer = await connection.exchange(payload, timeout_s=5)
    connection.transport.abort()
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize("stream", [JSON, STREAM], ids=["json", "stream"])
@pytest.mark.parametrize("surface", PATHS)
async def test_unchanged_bodies_are_exact_on_every_surface(port: int, surface: str, stream: bool) -> None:
    url = surface_url(port, surface)
    result = await measure(
        Plan(url=url, reference_url=url, surface=surface, requests=6, in_flight=2, stream=stream, upstream_events=7)
    )
    assert (result.ok, result.exact, result.errors, result.events) == (6, 6, {}, 6 * 7)


@pytest.mark.parametrize("surface", PATHS)
async def test_every_surface_streams_the_same_words(port: int, surface: str) -> None:
    body = await ask(port, surface, stream=True)
    said = reader(surface, stream=True)(body)
    assert isinstance(said, tuple)
    assert said[0] == "".join(f" word{index:05d}" for index in range(100))
    assert body.count(b"data:") >= upstream_events(Case(surface, "native", STREAM)) - 1  # token counts unasked for


@pytest.mark.parametrize(("given", "shown"), [({}, True), ({"store": False}, False)], ids=["unsaid", "not stored"])
@pytest.mark.parametrize("stream", [JSON, STREAM], ids=["json", "stream"])
async def test_a_response_says_whether_it_is_stored(
    port: int, given: dict[str, object], shown: bool, stream: bool
) -> None:
    body = await ask(port, "responses", stream=stream, **given)
    assert (b'"store":true' in body.replace(b": ", b":")) is shown
    assert (b'"store":false' in body.replace(b": ", b":")) is not shown


CHANGES = {
    "ids": (b"_mock", b"_other", True),
    "a word": (b"word00007", b"word", False),
    "a word of JSON": (b"lazy", b"eager", False),
}


@pytest.mark.parametrize("surface", SURFACES)
async def test_translated_streams_are_judged_by_what_they_say(port: int, surface: str) -> None:
    body = await ask(port, surface, stream=True)
    tally = Tally(body, stream=True, surface=surface)
    other = body.replace(b"msg_", b"item_").replace(b"cmpl-", b"id-")
    last = body.rstrip().rfind(b"\n\n") + 2
    wrong = [
        body.replace(b" word00007", b"", 1),
        body[:last],
        body[: len(body) // 2],
        body.replace(b"data: {", b"data: {{", 1),
        b"",
    ]
    async for answer in answers(port, [other, *wrong]):
        tally.add(answer, answer.first_byte_s)
    assert (tally.exact, tally.same_text(), tally.wrong()) == (0, 1, len(wrong))


@pytest.mark.parametrize("surface", SURFACES)
async def test_translated_bodies_are_judged_by_what_they_say(port: int, surface: str) -> None:
    body = await ask(port, surface, stream=False)
    tally = Tally(body, stream=False, surface=surface)
    other = msgspec.json.encode({**msgspec.json.decode(body), "id": "other", "extra": 1})
    wrong = [body.replace(b"lazy", b"eager", 1), body.replace(b'"stop"', b'"length"').replace(b"end_turn", b"x"), b"{}"]
    wrong[1] = wrong[1].replace(b'"completed"', b'"incomplete"')
    async for answer in answers(port, [other, *wrong]):
        tally.add(answer, answer.first_byte_s)
    assert (tally.exact, tally.same_text(), tally.wrong()) == (0, 1, len(wrong))


async def test_an_event_out_of_order_is_wrong(port: int) -> None:
    body = await ask(port, "responses", stream=True)
    said = reader("responses", stream=True)
    assert said(body) != said(body.replace(b'"sequence_number":9,', b'"sequence_number":8,'))
    frames = body.split(b"\n\n")
    assert said(body) != said(b"\n\n".join([*frames[:2], frames[3], frames[2], *frames[4:]]))
