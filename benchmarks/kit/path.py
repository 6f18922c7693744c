"""Exchanges with a kit, and with a bare handler that says the same, in memory.

Rule: CPU time of one thread; all gateways are alive and take turns. ``python -m benchmarks.kit.path`` says a run in
JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from chatproxy_kit import ChatKit, State

from benchmarks.kit.cases import CASES, NAMES, Case, Name, Path
from chatproxy import ChatRequest, Completed, Reply, RequestContext, Stream, hookimpl
from chatproxy.testing import Gateway, make_app

Message = MutableMapping[str, Any]

_BATCHES = 5
_WORD = "word "
_WORDS = 80
_BODY = {"model": "echo", "messages": [{"role": "user", "content": "p" * 400}], "temperature": 0.5}


class _Count(State):
    turns: int = 0


class _Bare:
    """A handler without a kit: the least that can be said to be an answer."""

    chatproxy_name = "bare"
    name = "bare"

    def __init__(self, events: int) -> None:
        self._events = events

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> Any:
        return self if request.model == "echo" else None

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


def _plugin(name: Name, events: int) -> object:
    if name == "bare":
        return _Bare(events)
    ck = ChatKit(model="echo")

    async def whole(messages: Any, context: Any, state: Any = None) -> str:
        return _WORD * _WORDS

    async def pieces(messages: Any, context: Any, state: Any = None) -> AsyncIterator[str]:
        for _ in range(events):
            yield _WORD

    function: Callable[..., Any] = pieces if events else whole
    ck.handler(state_class=_Count if name == "kit with state" else None)(function)
    if name == "kit with auth":

        async def accept(request: Any) -> dict[str, str]:
            return {"user_id": request.headers["authorization"]}

        ck.auth()(accept)
    return ck.plugin


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
    headers = [
        (b"host", b"gateway"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % size),
        (b"authorization", b"Bearer ann"),
    ]
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
        "headers": headers,
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 9),
        "state": {},
    }


async def measure(case: Case, rounds: int) -> list[Path]:
    """All gateways in turns; of each round the cheapest of several batches."""
    found: list[Path] = []
    async with AsyncExitStack() as stack:
        made: dict[Name, Gateway] = {
            name: make_app(plugins=[_plugin(name, case.events)], log_level="critical") for name in NAMES
        }
        gateways = {name: await stack.enter_async_context(gateway) for name, gateway in made.items()}
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
    parser = argparse.ArgumentParser(description="Measure exchanges with a kit in memory.")
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = [path for case in CASES for path in asyncio.run(measure(case, rounds))]
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


if __name__ == "__main__":
    main()
