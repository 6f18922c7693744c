"""What clients write into logs and traces: one line stays one line, and nothing foreign goes upstream."""

import json
import re

import pytest

from .conftest import MakeUpstream
from .gateway import Gateway
from .replies import either
from .upstream import ok

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MALFORMED = [
    "", "x", GOOD[:-1], GOOD + "0", GOOD.upper(), GOOD.replace("00-", "ff-", 1), f"00-{'0' * 32}-b7ad6b7169203331-01",
    f"00-0af7651916cd43dd8448eb211c80319c-{'0' * 16}-01", GOOD.replace("-", "_"), GOOD.replace("af", "zz"),
    "0" * 8000,
]  # fmt: skip


@pytest.mark.parametrize("stream", [False, True])
async def test_trace_context_is_handed_on(gateway: Gateway, upstream: MakeUpstream, stream: bool) -> None:
    """T-03."""
    async with upstream(either()) as up:
        await gateway.ask(f"traceparent: {GOOD}", "tracestate: a=1,b=2", stream=stream)
        assert up.requests[0].header("traceparent") == GOOD
        assert up.requests[0].header("tracestate") == "a=1,b=2"


@pytest.mark.parametrize("header", MALFORMED)
async def test_malformed_trace_context_is_replaced(gateway: Gateway, upstream: MakeUpstream, header: str) -> None:
    """T-03: as if there were none; its state goes with it."""
    async with upstream(either()) as up:
        answer = await gateway.ask(f"traceparent: {header}")
        assert answer.status == 200
        sent = up.requests[0].header("traceparent") or ""
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", sent)
    assert sent[3:35] != GOOD[3:35]


async def test_baggage_and_long_state_stay_here(gateway: Gateway, upstream: MakeUpstream) -> None:
    """T-03: 8 KB of baggage with a secret in it."""
    baggage = "baggage: key=canary-baggage," + ",".join(f"k{n}={'v' * 90}" for n in range(80))
    async with upstream(either()) as up:
        answer = await gateway.ask(f"traceparent: {GOOD}", f"tracestate: a={'b' * 600}", baggage)
        assert answer.status == 200
        assert up.requests[0].header("baggage") is None
        assert up.requests[0].header("tracestate") is None
        assert b"canary" not in up.requests[0].raw_head.replace(b"canary-upstream", b"")
    assert "canary-baggage" not in gateway.log


FORGED = '{"event":"exchange","request_id":"forged"}'
NASTY = {
    "newline": f"m\n{FORGED}\n",
    "cr": f"m\r{FORGED}\r",
    "ansi": "m\x1b[2J\x1b[31mred\x07",
    "separators": f"m\u2028{FORGED}\u2029\x85{FORGED}",
    "bidi": "m\u202egnp.exe",
    "nul": "m\x00\x7f\x9b31m",
    "quote": 'm","event":"forged","x":"',
    "long": "m" * 100_000,
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
async def test_one_exchange_is_one_line_whatever_it_says(gateway: Gateway, upstream: MakeUpstream, text: str) -> None:
    """T-05: in the model, the user and the path's query; nothing that a terminal would obey."""
    async with upstream(either()):
        assert (await gateway.ask(model=text, user=text)).status == 200
    (line,) = await gateway.exchanges(1)
    assert line["request_id"] != "forged"
    assert line["model"][:1] == "m"
    raw = gateway.log[gateway.since :]
    assert raw.count("\n") == 1
    assert len(raw) < 10_000
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202e]", raw)


@pytest.mark.parametrize("path", ["/v1/x%0a%7b%7d", "/%1b[31m", "/v1/models/%0d%0aforged", "/v1/%00"])
async def test_nasty_path_is_answered_and_logged_in_lines(gateway: Gateway, upstream: MakeUpstream, path: str) -> None:
    """T-05: that every line is JSON is checked for each test."""
    async with upstream(ok(b'{"object":"list","data":[]}')):
        client = await gateway.connect()
        await client.send(f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        answer = await client.read_answer()
        client.close()
    assert answer.status in {400, 404}
    assert json.loads(answer.body)["error"]["code"]
