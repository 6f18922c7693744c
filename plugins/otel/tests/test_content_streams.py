"""Contents of streams: no frame changes, what came before a break is captured, and what is kept is bounded."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from chatproxy_otel.content.frames import Frames

from chatproxy import StreamEvent, hookimpl
from chatproxy.testing import Fault, Scripted, ScriptedUpstream, raw_reply, stream_reply
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .captured import captured, capturing, layout, post
from .tracing import traced

SAID = Said(content="It is noon, or so.", reasoning="The sun is high.", calls=(("brush", '{"cat": "Kater Murr"}'),))
STREAMS = [cell for cell in cells_with(calls=True, reasoning=True) if cell.is_streamed and cell.is_native]


def cut(cell: Cell, said: Said, keep: int) -> Scripted:
    """A stream that breaks off after some of its parts."""
    whole = scripted(cell.upstream_dialect, said, is_streamed=True)
    return Scripted(parts=whole.parts[:keep], status=200, headers=whole.headers, fault=Fault.RESET)


@pytest.mark.parametrize("cell", STREAMS, ids=str)
async def test_no_byte_of_a_stream_changes(cell: Cell) -> None:
    said = scripted(cell.upstream_dialect, SAID, is_streamed=True)
    odd = tuple(part.replace(b"data: ", b"data:").replace(b"\n", b"\r\n") for part in said.parts)
    upstream = ScriptedUpstream(Scripted(parts=odd, headers=said.headers))
    body = {"model": "scripted", "stream": True, **cell.dialect.question("Hello")}
    heard = []
    for capture in ("no_content", "span_only"):
        async with traced(upstream=upstream, upstreams=cell.upstreams, otel={"capture_content": capture}) as gateway:
            heard.append((await post(gateway, cell.dialect.path, body)).content)
    assert heard[0] == heard[1]
    assert b"\r\n" in heard[1]


@pytest.mark.parametrize("cell", STREAMS, ids=str)
async def test_what_came_before_a_break_is_captured(cell: Cell) -> None:
    parts = scripted(cell.upstream_dialect, SAID, is_streamed=True).parts
    breaks = [cut(cell, SAID, keep) for keep in range(1, len(parts) - 1)]
    seen = []
    async with capturing(upstream=ScriptedUpstream(*breaks), upstreams=cell.upstreams) as gateway:
        for count in range(1, len(breaks) + 1):
            await cell.ask(gateway.gateway, "Hello")
            for answer in captured(await gateway.tree(count)).get("output", []):
                if answer["finish_reason"] == "error":
                    said = [(part["type"], part.get("content", part.get("arguments"))) for part in answer["parts"]]
                    seen.append(said)
    assert [("reasoning", "The sun ")] in seen
    assert [("reasoning", "The sun is high."), ("text", "It is noon, ")] in seen
    calls = [parts[-1][1] for parts in seen if parts[-1][0] == "tool_call"]
    assert '{"cat":"Kater' in [call.replace(" ", "") for call in calls if isinstance(call, str)]


async def test_a_client_that_leaves_has_what_it_got_captured() -> None:
    upstream = ScriptedUpstream(stream_reply(["One ", "two "], fault=Fault.STALL, finish_reason=None))
    async with capturing(upstream=upstream) as gateway:
        body = {"model": "scripted", "stream": True, "messages": [{"role": "user", "content": "Count"}]}
        async with gateway.gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for chunk in answer.aiter_bytes():
                if b"two " in chunk:
                    break
        found = captured(await gateway.tree())
    text = {"type": "text", "content": "One two "}
    assert found["output"] == [{"role": "assistant", "parts": [text], "finish_reason": "incomplete"}]


def event(text: str, reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    return b"data: " + json.dumps({"id": "1", "model": "m", "choices": [choice]}).encode() + b"\n\n"


async def test_a_long_stream_is_captured_as_far_as_it_is_kept() -> None:
    texts = [f"{number} " for number in range(2_000)]
    async with capturing(upstream=ScriptedUpstream(stream_reply(texts)), max_content_bytes=1_000) as gateway:
        await gateway.gateway.chat("Count", stream=True)
        (answer,) = captured(await gateway.tree())["output"]
    assert answer["finish_reason"] == "stop"
    assert answer["parts"][0]["content"].startswith("0 1 2 3 ")
    assert answer["parts"][0]["content"].endswith("more characters)")
    assert len(msgspec.json.encode([answer])) <= 1_000


def test_kept_frames_are_bounded_and_tell_the_end() -> None:
    frames = Frames(10)
    for number in range(10_000):
        frames.take(event(f"{number} "))
    frames.take(event("last", "stop"))
    assert frames.size < 300_000
    body, missing = frames.answer(layout("chat"))
    (choice,) = body["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].startswith("0 1 2 ")
    assert "last" not in choice["message"]["content"]
    said = choice["message"]["content"].split()
    unsaid = [event(f"{number} ") for number in range(len(said), 10_000)]
    assert missing == sum(map(len, unsaid)) + len(event("last", "stop"))


@pytest.mark.parametrize("surface", ["chat", "responses", "messages", "completions"])
@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n", b"data: []\n\n", b"data: [DONE]\n\n", b": nothing\n\n", b'data: {"choices":[1],"output":2}\n\n',
        b'data: {"type":"response.output_item.done","item":[],"output_index":{}}\n\n',
        b'data: {"type":"content_block_delta","index":[],"delta":7}\n\n', b'data: {"response":{"output":[7,{}]}}\n\n',
    ],
    ids=range(8),
)  # fmt: skip
async def test_odd_events_cost_no_trace(surface: str, data: bytes) -> None:
    cell = Cell(surface, is_streamed=True, spoken=surface)
    said = scripted(cell.dialect, Said(content="Hello."), is_streamed=True)
    upstream = ScriptedUpstream(raw_reply(data, *said.parts, content_type="text/event-stream"))
    async with capturing(upstream=upstream, upstreams=cell.upstreams) as gateway:
        await post(gateway, cell.dialect.path, {"model": "scripted", "stream": True, **cell.dialect.question("Hello")})
        assert captured(await gateway.tree())["input"]


class Odd:
    """A plugin that makes an event that cannot be sent."""

    chatproxy_name = "odd"

    @hookimpl
    async def transform_stream(self) -> Any:
        async def events(source: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
            async for event in source:
                yield event
                yield StreamEvent.of({"choices": [], "odd": object()})

        return events


async def test_an_event_that_cannot_be_sent_fails_as_it_does_without_capture() -> None:
    heard = []
    for capture in ("no_content", "span_only"):
        upstream = ScriptedUpstream(stream_reply(["Hi"]))
        async with traced(Odd(), upstream=upstream, otel={"capture_content": capture}) as gateway:
            heard.append((await gateway.gateway.chat("Hello", stream=True)).content)
    assert heard[0] == heard[1]
    assert b'"error"' in heard[1]
