"""Clients that leave: marked, and no errors, on every surface that streams."""

from __future__ import annotations

import asyncio

import pytest

from chatproxy import ToolCall, ToolResult
from chatproxy.testing import Fault, ScriptedUpstream, assert_semconv, stream_reply, tool_calls_reply
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted

from .beside import Clock
from .tracing import Traced, traced

SAID = Said(content="It is noon, and the sun is high.")
STREAMED = [cell for cell in CELLS if cell.is_streamed]


async def leave_after(running: Traced, path: str, body: dict[str, object], *, chunks: int) -> None:
    """Read so much of a stream and hang up."""
    async with running.gateway.client.stream("POST", path, json=body) as answer:
        seen = 0
        async for _ in answer.aiter_bytes():
            seen += 1
            if seen >= chunks:
                break


@pytest.mark.parametrize("cell", STREAMED, ids=str)
async def test_client_that_leaves_a_stream_is_marked_and_no_error(cell: Cell) -> None:
    whole = scripted(cell.upstream_dialect, SAID, is_streamed=True)
    half = type(whole)(parts=whole.parts[:4], headers=whole.headers, fault=Fault.STALL)
    upstream = ScriptedUpstream(half)
    async with traced(upstream=upstream, upstreams=cell.upstreams) as running:
        body = {"model": "scripted", **cell.dialect.question("hi"), "stream": True}
        await leave_after(running, cell.dialect.path, body, chunks=1)
        tree = await running.tree()
        await upstream.wait_closed()
        assert_semconv(running.spans.finished)
    assert tree.attributes["chatproxy.outcome"] == "client_disconnected"
    assert tree.attributes["chatproxy.client_disconnected"] is True
    assert tree.attributes["http.response.status_code"] == 200
    assert [span.status for span in tree.walk()] == ["UNSET"] * 3
    assert not any(event.name == "exception" for span in tree.walk() for event in span.events)


async def test_client_that_leaves_before_the_answer_has_no_status() -> None:
    upstream = ScriptedUpstream(stream_reply(fault=Fault.STALL_BEFORE))
    async with traced(upstream=upstream) as running:
        asking = asyncio.ensure_future(running.gateway.chat("hi"))
        await upstream.wait_asked()
        asking.cancel()
        await asyncio.wait([asking])
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert tree.attributes["chatproxy.client_disconnected"] is True
    assert "http.response.status_code" not in tree.attributes
    assert [span.status for span in tree.walk()] == ["UNSET"] * 3


class SlowClock(Clock):
    """A tool that never answers."""

    def __init__(self) -> None:
        super().__init__()
        self.is_running = asyncio.Event()

    async def run(self, call: ToolCall) -> ToolResult:
        self.is_running.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody answers")


async def test_client_that_leaves_while_a_tool_runs_is_no_error_of_the_tool() -> None:
    clock = SlowClock()
    async with traced(clock, upstream=ScriptedUpstream(tool_calls_reply(("now", "{}")))) as running:
        asking = asyncio.ensure_future(running.gateway.chat("hi"))
        await clock.is_running.wait()
        asking.cancel()
        await asyncio.wait([asking])
        tree = await running.tree()
        assert_semconv(running.spans.finished)
    assert tree.attributes["chatproxy.client_disconnected"] is True
    assert [(span.name, span.status) for span in tree.children] == [
        ("chat scripted", "UNSET"),
        ("execute_tool now", "UNSET"),
    ]
