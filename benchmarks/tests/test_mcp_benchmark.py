"""The benchmark of the mcp plugin measures what it says: the tools, the upstream that calls them, the differences.

Rule: without the plugin and the SDK, which this environment does not have.
"""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, get_args

import pytest
from benchmarks.http1 import connect
from benchmarks.mcp import gateways, profile, report
from benchmarks.mcp.cases import CASES
from benchmarks.mcp.measure import Cost, Start
from benchmarks.mcp.tools import client_tools, shares, tools
from benchmarks.mcp.upstream import CALLS, REPEATS, SHORT, CallingProtocol, Seen
from benchmarks.payloads import render_request
from benchmarks.readers import reader
from benchmarks.upstream import Stats

from chatproxy.config import ProxyConfig

pytestmark = pytest.mark.anyio

ANSWERED: list[dict[str, Any]] = [
    {"role": "user", "content": "Go."},
    {
        "role": "assistant",
        "tool_calls": [{"id": "call_1", "type": "function", "function": {"name": "one", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call_1", "content": "hello"},
]


@asynccontextmanager
async def upstream() -> AsyncIterator[tuple[str, Seen]]:
    stats, seen = Stats(), Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: CallingProtocol(stats, seen), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/chat/completions", seen


async def said(url: str, model: str, *, stream: bool, surface: str = "chat", fields: Any = None) -> bytes:
    connection = await connect(url)
    payload = render_request(url, model=model, stream=stream, surface=surface, fields=fields)
    answer = await connection.exchange(payload, timeout_s=5)
    connection.transport.abort()
    assert answer.status == 200
    return answer.body


def test_the_tools_are_fifty_of_usual_size_and_dealt_out_whole() -> None:
    made = tools(50)
    assert len({tool["name"] for tool in made}) == 50
    assert 400 <= sum(len(json.dumps(tool)) for tool in made) / 50 <= 600
    assert sorted(tool["name"] for share in shares(made, 5) for tool in share) == sorted(tool["name"] for tool in made)


@pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
async def test_the_upstream_calls_the_first_tool_and_then_answers(stream: bool) -> None:
    offered = client_tools()
    async with upstream() as (url, seen):
        first = await said(url, CALLS, stream=stream, fields={"tools": offered})
        assert (seen.tools, seen.results) == (3, 0)
        second = await said(url, CALLS, stream=stream, fields={"tools": offered, "messages": ANSWERED})
        assert (seen.tools, seen.results) == (3, 1)
        plain = await said(url, SHORT, stream=stream)
    assert offered[0]["function"]["name"].encode() in first
    assert (b"data: [DONE]" in first) is stream
    read = reader("chat", stream=stream)
    assert read(second) == read(plain) is not None


async def test_the_upstream_repeats_tools_where_it_is_asked_to() -> None:
    async with upstream() as (url, seen):
        at = url.replace("/chat/completions", "/responses")
        body = await said(at, REPEATS, stream=False, surface="responses", fields={"tools": client_tools()})
    assert json.loads(body)["tools"] == client_tools()
    assert seen.tools == 3


@pytest.mark.parametrize("name", get_args(gateways.Name))
def test_every_gateway_has_a_configuration_that_the_gateway_reads(name: gateways.Name) -> None:
    written = tomllib.loads(gateways.config(name, 9, range(gateways.SERVERS + 1)))
    servers = written["plugins"].get("mcp", {}).get("servers", {})
    assert len(servers) == {"off": 5, "50 tools": 5, "http": 1, "stdio": 1}.get(name, 0)
    config = ProxyConfig(environ={}, **written)
    assert config.plugins.disabled_all is (name in {"without", "twice"})


def _costs(name: str, *cpu_us: float, series: str = "injection") -> list[Cost]:
    return [Cost(series=series, name=name, round=number, cpu_us=one) for number, one in enumerate(cpu_us)]


def _row(results: report.Results, words: str) -> str:
    return next(line for line in report.render(results, "here").splitlines() if words in line)


def test_differences_are_taken_round_by_round() -> None:
    costs = [*_costs("chat, without", 100, 900, 110), *_costs("chat, 50 tools", 160, 970, 250)]
    assert _row(report.Results(costs=costs), "into a request, chat: CPU").endswith("| ≤ 150 µs | 70 µs | yes |")


def test_a_tool_round_is_what_is_left_without_the_second_request() -> None:
    names = {"plain chat": 100.0, "asked twice": 180.0, "http, not called": 120.0, "http, called": 1300.0}
    costs = [cost for name, cpu_us in names.items() for cost in _costs(name, cpu_us, cpu_us, series="rounds")]
    results = report.Results(costs=costs)
    assert _row(results, "over http, beside").endswith("| ≤ 1000 µs | 1,100 µs | **no** |")
    assert _row(results, "over http, all of it: CPU |").endswith("| 1,180 µs |")
    assert _row(results, "over stdio, beside").endswith("| not measured | |")


def test_what_a_failed_run_measured_does_not_count() -> None:
    failed = Cost(series="injection", name="chat, 50 tools", round=0, failure="the upstream saw nothing")
    results = report.Results(costs=[*_costs("chat, without", 100), failed])
    assert _row(results, "into a request, chat: CPU").endswith("| not measured | |")
    assert _row(results, "Runs that failed").endswith("| 0 | 1 | **no** |")
    assert "the upstream saw nothing" in report.render(results, "here")


def test_more_functions_per_event_are_a_goal_missed() -> None:
    results = report.Results(calls={"without": 300.0, "no servers": 300.0, "off": 302.0})
    assert _row(results, "plugin without servers: functions").endswith("| 0 | 0 | yes |")
    assert _row(results, "mode off: functions").endswith("| 0 | 2 | **no** |")


def test_memory_and_start_are_told_as_what_is_added() -> None:
    starts = [
        Start(name=name, round=0, cpu_s=cpu_s, rss_mib=rss_mib)
        for name, cpu_s, rss_mib in (("without", 0.5, 60.0), ("no servers", 1.25, 100.0))
    ]
    results = report.Results(starts=starts)
    assert _row(results, "Start: CPU added, plugin without servers").endswith("| 0.750 s |")
    assert _row(results, "Idle memory added, plugin without servers").endswith("| 40 MiB |")


def test_cases_of_a_series_have_names_of_their_own() -> None:
    assert len({(case.series, case.name) for case in CASES}) == len(CASES)


@pytest.mark.parametrize(
    ("frame", "owner"),
    [
        ("Wire.start (chatproxy_mcp/connect/wire.py:55)", "the plugin, connections"),
        ("Loop.run (chatproxy_mcp/loop/loop.py:66)", "the plugin, all else"),
        ("Engine.answer (chatproxy/engine/core.py:86)", "the gateway"),
        ("ClientSession.send_request (mcp/client/session.py:540)", "the MCP SDK"),
        ("current_task (asyncio/tasks.py:35)", "Python's library, and others"),
    ],
    ids=["connections", "loop", "gateway", "sdk", "library"],
)
def test_samples_are_told_apart_by_file(frame: str, owner: str) -> None:
    assert profile.owner(frame) == owner
