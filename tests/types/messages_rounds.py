"""Rounds on messages for tests: turns of a model, cut into events, and what is put together of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from chatproxy.types import ChatResponse, Stream, StreamEvent
from chatproxy.types.assembly import assembly_for
from chatproxy.types.messages import MESSAGES
from chatproxy.types.rounds import Rounds

Json = dict[str, Any]
HEAD: Json = {"type": "message", "role": "assistant", "model": "m", "stop_sequence": None}


def hides(name: str) -> bool:
    return name.startswith("own__")


def text(value: str) -> Json:
    return {"type": "text", "text": value}


def thinking(value: str) -> Json:
    return {"type": "thinking", "thinking": value, "signature": "c2ln"}


def call(call_id: str, name: str, kind: str = "tool_use", **arguments: Any) -> Json:
    return {"type": kind, "id": call_id, "name": name, "input": arguments}


def result_of(call_id: str, content: Any = "r") -> Json:
    return {"type": "tool_result", "tool_use_id": call_id, "content": content}


def said(number: int, *blocks: Json, stop: str = "end_turn", **usage: Any) -> Json:
    """A round, whole."""
    return {**HEAD, "id": f"msg_{number}", "content": [*blocks], "stop_reason": stop, "usage": {**usage}}


def events_of(body: Json, size: int = 3) -> Iterator[Json]:
    """A round as events: texts and inputs in pieces of so many letters."""
    usage = body["usage"]
    begun = {**body, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1} if usage else None}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, block in enumerate(body["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": begun_of(block)}
        for delta in deltas_of(block, size):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    last = {"delta": {"stop_reason": body["stop_reason"], "stop_sequence": body["stop_sequence"]}}
    counts = {key: usage[key] for key in ("output_tokens", "server_tool_use") if key in usage}
    yield {"type": "message_delta", **last, **({"usage": counts} if counts else {})}
    yield {"type": "message_stop"}


def begun_of(block: Json) -> Json:
    empty: Json = {"text": "", "thinking": "", "signature": "", "input": {}}
    return {key: empty.get(key, value) for key, value in block.items() if key != "citations"}


def deltas_of(block: Json, size: int) -> Iterator[Json]:
    for kind, key, value in (
        ("text_delta", "text", block.get("text", "")),
        ("thinking_delta", "thinking", block.get("thinking", "")),
        ("input_json_delta", "partial_json", msgspec.json.encode(block["input"]).decode() if "input" in block else ""),
    ):
        yield from ({"type": kind, key: value[i : i + size]} for i in range(0, len(value), size))
    yield from ({"type": "citations_delta", "citation": citation} for citation in block.get("citations", ()))
    if "signature" in block:
        yield {"type": "signature_delta", "signature": block["signature"]}


async def source(events: Any) -> AsyncIterator[Json]:
    for event in events:
        yield event


async def taken(rounds: Rounds, events: Any) -> list[StreamEvent]:
    return [event async for event in rounds.streamed(Stream.of(source(events), layout=MESSAGES))]


def streamed(bodies: list[Json], size: int = 3, finish: str | None = None) -> tuple[list[StreamEvent], list[Json]]:
    """(what goes out, the turns) of rounds."""

    async def run() -> tuple[list[StreamEvent], list[Json]]:
        rounds, out, turns = Rounds(MESSAGES, hides=hides), [], []
        for number, body in enumerate(bodies):
            if number:
                rounds.go_on()
            out += await taken(rounds, events_of(body, size))
            turns.append(rounds.turn().plain())
        return out + rounds.end(finish), turns

    return asyncio.run(run())


def whole(bodies: list[Json], finish: str | None = None) -> tuple[Json, list[Json]]:
    rounds, turns = Rounds(MESSAGES, hides=hides), []
    for number, body in enumerate(bodies):
        if number:
            rounds.go_on()
        rounds.add(ChatResponse(body, layout=MESSAGES))
        turns.append(rounds.turn().plain())
    return rounds.result(finish).plain(), turns


def assembled(events: list[StreamEvent]) -> Json:
    assembly = assembly_for("messages")
    for event in events:
        assembly.add(event.snapshot())
    return assembly.result("")


CITED = {**text("Cited."), "citations": [{"type": "char_location", "cited_text": "c", "document_index": 0}]}
ROUNDS = [
    said(
        1, thinking("hm"), text("First."), call("a", "own__x", q=[1, {"z": "ä"}]), text("And."), call("b", "own__y"),
        stop="tool_use", input_tokens=10, output_tokens=5, cache_read_input_tokens=3, service_tier="standard",
    ),
    said(2, call("c", "own__x"), stop="tool_use", input_tokens=20, output_tokens=6, service_tier="standard"),
    said(
        3, {"type": "redacted_thinking", "data": "ZGF0YQ"}, call("s", "web_search", "server_tool_use", query="q"),
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}, CITED, call("d", "own__y", n=1),
        call("e", "theirs", n=2), stop="tool_use", input_tokens=30, output_tokens=7, cache_read_input_tokens=4,
        server_tool_use={"web_search_requests": 1}, service_tier="standard",
    ),
]  # fmt: skip
JOINED = {
    **HEAD,
    "id": "msg_1",
    "stop_reason": "tool_use",
    "content": [
        block for body in ROUNDS for block in body["content"] if not hides(block.get("name", ""))
    ],
    "usage": {
        "input_tokens": 60,
        "output_tokens": 18,
        "cache_read_input_tokens": 7,
        "server_tool_use": {"web_search_requests": 1},
        "service_tier": "standard",
    },
}  # fmt: skip
