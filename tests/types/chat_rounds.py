"""Chat completions in rounds, as events and whole; for the tests of what joins them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from chatproxy.types import Stream, StreamEvent
from chatproxy.types.assembly import assembly_for
from chatproxy.types.chat import CHAT
from chatproxy.types.rounds import Rounds

Json = dict[str, Any]
USAGE = {"prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 4}}
TWICE = {"prompt_tokens": 20, "completion_tokens": 4, "total_tokens": 24, "prompt_tokens_details": {"cached_tokens": 8}}


def hides(name: str) -> bool:
    return name.startswith("own__")


def chunk(*choices: Json, number: int = 0, **fields: Any) -> Json:
    head = {"id": f"c{number}", "object": "chat.completion.chunk", "created": 100 + number, "model": f"m{number}"}
    return {**head, "choices": list(choices), **fields}


def said(number: int = 0, *, index: int = 0, **delta: Any) -> Json:
    return chunk({"index": index, "delta": delta, "finish_reason": None}, number=number)


def over(reason: str, number: int = 0, *, index: int = 0, **delta: Any) -> Json:
    return chunk({"index": index, "delta": delta, "finish_reason": reason}, number=number)


def counted(number: int = 0, **usage: Any) -> Json:
    return chunk(number=number, usage=usage or USAGE)


def piece(index: int, name: str | None = None, arguments: str | None = None, **fields: Any) -> Json:
    function = {"name": name, "arguments": arguments}
    return {"index": index, **fields, "function": {key: value for key, value in function.items() if value is not None}}


def call(name: str, arguments: str = "{}", call_id: str = "x") -> Json:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


async def source(events: Iterable[Json]) -> AsyncIterator[Json]:
    for event in events:
        yield event


async def taken(rounds: Rounds, events: Iterable[Json]) -> list[StreamEvent]:
    return [event async for event in rounds.streamed(Stream.of(source(events)))]


class Exchange:
    """Rounds of streams, what of them went out, and what the model said in each."""

    def __init__(self, *streams: list[Json], finish: str | None = None) -> None:
        rounds = Rounds(CHAT, hides=hides)
        self.events: list[StreamEvent] = []
        self.turns: list[Json] = []
        for number, stream in enumerate(streams):
            if number:
                rounds.go_on()
            self.events += asyncio.run(taken(rounds, stream))
            self.turns.append(rounds.turn().to_dict())
        self.events += rounds.end(finish)
        self.out: list[Json] = [json.loads(event.encode().partition(b"data: ")[2]) for event in self.events]

    @property
    def deltas(self) -> list[Json]:
        return [choice["delta"] for event in self.out for choice in event["choices"]]

    @property
    def whole(self) -> Json:
        assembly = assembly_for("chat")
        for event in self.out:
            assembly.add(event)
        return assembly.result("none")

    @property
    def message(self) -> Json:
        message: Json = self.whole["choices"][0]["message"]
        return message

    @property
    def reasons(self) -> list[str]:
        return [c["finish_reason"] for event in self.out for c in event["choices"] if c["finish_reason"]]

    def said_by_model(self, number: int = 0) -> Json:
        message: Json = self.turns[number]["choices"][0]["message"]
        return message
