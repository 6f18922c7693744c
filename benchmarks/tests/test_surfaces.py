"""The series of surfaces measures what it says: each surface's bytes, what answers say, how they compare with chat."""

import asyncio
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from benchmarks import report, targets
from benchmarks.cases import CASES, SURFACES, Case
from benchmarks.http1 import Answer, connect
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


def judged(tally: Tally, *bodies: bytes) -> tuple[int, int, int]:
    """How many bodies are exact, say the same, are wrong."""
    for body in bodies:
        tally.add(Answer(status=200, body=body, first_byte_s=1.0, last_byte_s=2.0), 0.0)
    return tally.exact, tally.same_text(), tally.wrong()


@pytest.mark.parametrize("surface", SURFACES)
async def test_translated_streams_are_judged_by_what_they_say(port: int, surface: str) -> None:
    body = await ask(port, surface, stream=True)
    other = body.replace(b"msg_", b"item_").replace(b"cmpl-", b"id-").replace(b"event: ping", b"event: pong")
    last = body.rstrip().rfind(b"\n\n") + 2
    wrong = [body.replace(b" word00007", b"", 1), body[:last], body.replace(b"data: {", b"data: {{", 1), b""]
    assert judged(Tally(body, stream=True, surface=surface), body, other, *wrong) == (1, 1, len(wrong))


@pytest.mark.parametrize("surface", SURFACES)
async def test_translated_bodies_are_judged_by_what_they_say(port: int, surface: str) -> None:
    body = await ask(port, surface, stream=False)
    other = msgspec.json.encode({**msgspec.json.decode(body), "id": "other", "extra": 1})
    cut = body.replace(b'"stop"', b'"length"').replace(b'"end_turn"', b'"max_tokens"').replace(b"completed", b"failed")
    wrong = [body.replace(b"lazy", b"eager", 1), cut, b"{}", b""]
    assert judged(Tally(body, stream=False, surface=surface), body, other, *wrong) == (1, 1, len(wrong))


async def test_an_event_out_of_order_is_wrong(port: int) -> None:
    body = await ask(port, "responses", stream=True)
    frames = body.split(b"\n\n")
    swapped = b"\n\n".join([*frames[:2], frames[3], frames[2], *frames[4:]])
    twice = body.replace(b'"sequence_number":9,', b'"sequence_number":8,')
    assert judged(Tally(body, stream=True, surface="responses"), swapped, twice) == (0, 0, 2)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_case_is_configured_to_be_native_or_translated(case: Case, tmp_path: Path) -> None:
    target = targets.surfaces_gateway(tmp_path, 1, 2)
    config = tomllib.loads((target.folder / "chatproxy.toml").read_text())
    upstreams = {"default": {"surfaces": ["chat"]}, **config["upstreams"]}
    spoken = upstreams[config["models"][case.model]["upstream"]]["surfaces"]
    assert (case.surface in spoken) is (case.way == "native")


@pytest.mark.parametrize(
    ("case", "events"),
    [
        (Case("chat", "native", STREAM), 104),
        (Case("responses", "native", STREAM), 108),
        (Case("messages", "native", STREAM), 106),
        (Case("messages", "translated", STREAM), 104),
    ],
    ids=lambda value: value.name if isinstance(value, Case) else "",
)
def test_events_are_counted_at_the_upstream(case: Case, events: int) -> None:
    assert upstream_events(case) == events


def record(case: Case, cost_us: float, number: int = 0, **fields: Any) -> Record:
    result = Result(
        ok=10, errors={}, exact=10, same_text=0, wrong=0, events=100 if case.stream else 0, wall_s=1,
        client_cpu_share=0.1, peak_in_flight=64, latency_ms=None, ttft_ms=None,
        cpu_us_per_request=None if case.stream else cost_us, cpu_us_per_event=cost_us if case.stream else None,
    )  # fmt: skip
    changed = msgspec.structs.replace(result, **fields)
    return Record(series="surfaces", target="chatproxy", case=case.name, size=64, round=number, result=changed)


def line(start: str, *records: Record) -> str:
    return next(line for line in report.render(records, "here").splitlines() if line.startswith(f"| {start}"))


CHAT, NATIVE = Case("chat", "native", JSON), Case("messages", "native", JSON)
CHAT_STREAM, TRANSLATED = Case("chat", "native", STREAM), Case("messages", "translated", STREAM)


def test_a_case_is_compared_with_chat_of_the_same_round() -> None:
    rounds = [(100.0, 105.0), (300.0, 318.0), (200.0, 260.0)]
    records = [
        record(case, us, n) for n, pair in enumerate(rounds) for case, us in zip((CHAT, NATIVE), pair, strict=True)
    ]
    assert line("messages, JSON: CPU per request, native", *records).endswith("| ≤ 1.1 | 1.06 | yes |")
    assert line("messages, native", *records).startswith("| messages, native | 260 | × 1.06, +18.0 |")


@pytest.mark.parametrize(("cost_us", "met"), [(53.9, "yes"), (54.1, "**no**")], ids=["met", "missed"])
def test_a_translation_may_add_so_much(cost_us: float, met: str) -> None:
    records = [record(CHAT_STREAM, 40), record(TRANSLATED, cost_us)]
    assert line("messages, 64 streams: CPU per upstream event, translated", *records).endswith(f" {met} |")


@pytest.mark.parametrize("fields", [{"exact": 9}, {"errors": {"status 500": 1}}], ids=["changed", "error"])
def test_native_answers_must_be_exact(fields: dict[str, Any]) -> None:
    goal = "Surfaces, native: errors"
    assert line(goal, record(NATIVE, 1)).endswith("| 0 | 0 | yes |")
    assert line(goal, record(NATIVE, 1), record(NATIVE, 1, 1, **fields)).endswith("| 0 | 1 | **no** |")


@pytest.mark.parametrize("fields", [{"wrong": 1}, {"errors": {"status 500": 1}}], ids=["wrong", "error"])
def test_translated_answers_must_say_the_same(fields: dict[str, Any]) -> None:
    goal = "Surfaces, translated: errors"
    assert line(goal, record(TRANSLATED, 1, exact=0)).endswith("| 0 | 0 | yes |")
    assert line(goal, record(TRANSLATED, 1, exact=0, **fields)).endswith("| 0 | 1 | **no** |")


def test_a_series_that_was_not_run_has_no_table() -> None:
    assert "Surfaces, CPU" not in report.render([], "here")
