"""Exchanges with a graph, and with a bare handler that says the same, in memory.

Rule: CPU time of one thread; all gateways are alive and take turns. ``python -m benchmarks.graphs.path`` says a run in
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import AsyncExitStack
from typing import Any, Literal

import chatproxy_graphs
import msgspec
from chatproxy_graphs import END, Context, Graph, GraphRegistry, Worker
from chatproxy_graphs.serve import Registered

from chatproxy import ChatRequest, Completed, Reply, RequestContext, Stream, hookimpl
from chatproxy.testing import Gateway, make_app

Name = Literal["bare", "one node", "ten nodes", "fork of two"]
NAMES: tuple[Name, ...] = ("bare", "one node", "ten nodes", "fork of two")
Message = MutableMapping[str, Any]

_MODEL = "echo"
_BATCHES = 5
_WORD = "word "
_WORDS = 80
_BODY = {"model": _MODEL, "messages": [{"role": "user", "content": "p" * 400}], "temperature": 0.5}


class Case(msgspec.Struct, frozen=True):
    """An exchange.

    Attributes:
        events: texts of its stream; 0: it is buffered.
        batch: exchanges that run at once.
    """

    name: str
    events: int
    batch: int


CASES = (Case("JSON", 0, 64), Case("stream of 100 texts", 100, 16), Case("stream of 1,000 texts", 1_000, 2))


class Path(msgspec.Struct, frozen=True):
    """What an exchange took on average, in µs of CPU."""

    case: str
    gateway: Name
    round: int
    cpu_us: float


class _Bare:
    """A handler without a graph: the least that can be said to be an answer."""

    chatproxy_name = "bare"
    name = "bare"

    def __init__(self, events: int) -> None:
        self._events = events

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> Any:
        return self if request.model == _MODEL else None

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        head = {"id": ctx.request_id, "created": 1, "model": request.model}
        if request.stream:
            return Stream.of(self._chunks({**head, "object": "chat.completion.chunk"}))
        choice = {"index": 0, "message": {"role": "assistant", "content": _WORD * _WORDS}, "finish_reason": "stop"}
        return Completed({**head, "object": "chat.completion", "choices": [choice]})

    async def _chunks(self, head: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for _ in range(self._events):
            yield {**head, "choices": [{"index": 0, "delta": {"content": _WORD}, "finish_reason": None}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


class _Whole(Worker):
    async def arun(self, ctx: Context) -> None:
        ctx.response = _WORD * _WORDS


class _Texts(Worker):
    def __init__(self, events: int) -> None:
        super().__init__()
        self._events = events

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        for _ in range(self._events):
            yield _WORD


class _Nothing(Worker):
    async def arun(self, ctx: Context) -> None:
        return None


def _plugins(name: Name, events: int) -> list[object]:
    if name == "bare":
        return [_Bare(events)]
    graph = Graph("echo").add_node("last", _Texts(events) if events else _Whole()).add_edge("last", END)
    if name == "ten nodes":
        names = [f"n{number}" for number in range(9)]
        for own, following in zip(names, [*names[1:], "last"], strict=True):
            graph.add_node(own, _Nothing()).add_edge(own, following)
        graph.set_entry("n0")
    elif name == "fork of two":
        for own in ("begin", "left", "right"):
            graph.add_node(own, _Nothing())
        graph.add_parallel("begin", ["left", "right"], join="last").set_entry("begin")
    registry = GraphRegistry()
    registry.register(_MODEL, graph)
    return [chatproxy_graphs, Registered(registry)]


class _Batch:
    """Exchanges that run at once."""

    def __init__(self, case: Case) -> None:
        self._body = json.dumps({**_BODY, "stream": True} if case.events else _BODY).encode()
        self._case = case

    async def run(self, gateway: Gateway) -> float:
        """CPU µs of an exchange."""
        gc.collect()
        gc.disable()
        began_ns = time.thread_time_ns()
        tasks = [asyncio.ensure_future(self._exchange(gateway)) for _ in range(self._case.batch)]
        sizes = await asyncio.gather(*tasks)
        took_ns = time.thread_time_ns() - began_ns
        gc.enable()
        if min(sizes) < len(_WORD) * (self._case.events or _WORDS):
            raise RuntimeError("an answer is too short")
        return took_ns / 1_000 / self._case.batch

    async def _exchange(self, gateway: Gateway) -> int:
        pending: list[Message] = [{"type": "http.request", "body": self._body, "more_body": False}]
        size = 0

        async def receive() -> Message:
            return pending.pop() if pending else await asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            nonlocal size
            size += len(message.get("body", b""))
            if message.get("status", 200) != 200:
                raise RuntimeError(f"an exchange failed: {message}")

        await gateway.app(_scope(len(self._body)), receive, send)
        return size


def _scope(size: int) -> Message:
    path = b"/v1/chat/completions"
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"gateway"), (b"content-type", b"application/json"), (b"content-length", b"%d" % size)],
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 9),
        "state": {},
    }


async def measure(case: Case, rounds: int) -> list[Path]:
    """All gateways in turns; of each round the cheapest of several batches."""
    found: list[Path] = []
    async with AsyncExitStack() as stack:
        gateways: dict[Name, Gateway] = {}
        for name in NAMES:
            made = make_app(plugins=_plugins(name, case.events), log_level="critical")
            gateways[name] = await stack.enter_async_context(made)
        batch = _Batch(case)
        for gateway in gateways.values():
            await batch.run(gateway)
        for number in range(rounds):
            taken: dict[Name, list[float]] = {name: [] for name in NAMES}
            for _ in range(_BATCHES):
                for name, gateway in gateways.items():
                    taken[name].append(await batch.run(gateway))
            found += [Path(case.name, name, number, min(times_us)) for name, times_us in taken.items()]
    return found


def main() -> None:
    """Run every case."""
    parser = argparse.ArgumentParser(description="Measure exchanges with a graph in memory.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = [path for case in CASES for path in asyncio.run(measure(case, rounds))]
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
