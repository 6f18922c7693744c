"""The request path: what an exchange costs from its request to its last byte, in memory.

Rule: CPU time of one thread. Background work is measured apart: exchanges run in batches, and hooks that are called
once an answer is out are not before the whole batch is. ``python -m benchmarks.otel.path`` says a run in JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from types import FrameType
from typing import Any

import chatproxy_otel
import msgspec
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON

from benchmarks.otel import empty
from benchmarks.otel.cases import MEASURED, PATHS, PathCase
from benchmarks.otel.gateways import Name
from benchmarks.otel.results import Calls, InMemory, Path
from chatproxy import App, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app, reply, stream_reply

_BATCHES = 5
_FEW, _MANY = 100, 300
_TURNS = 40  # of the event loop, in which all that is left of a batch is done
_BODY = {
    "model": "mock",
    "messages": [{"role": "system", "content": "Answer briefly."}, {"role": "user", "content": "p" * 400}],
    "temperature": 0.5,
}
_TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Message = MutableMapping[str, Any]


class _Unexported:
    """Provides a tracer provider that exports nothing: its thread would take turns with the one that is measured."""

    def __init__(self, *, is_sampled: bool) -> None:
        sampler = DEFAULT_ON if is_sampled else ALWAYS_OFF
        self._provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.provide(self._provider)
        yield


def _gateway(name: Name, events: int) -> Gateway:
    upstream = ScriptedUpstream(stream_reply(["word"] * events) if events else reply("word " * 80))
    settings: dict[str, Any] = {"metrics": "none", "logs": "none", "log_level": None}
    plugins: list[object] = []
    if name == "empty hooks":
        plugins = [empty]
    elif name != "without":
        plugins = [_Unexported(is_sampled=name != "unsampled"), chatproxy_otel]
        if name == "content":
            settings["capture_content"] = "span_only"
    tables = {"otel": settings} if chatproxy_otel in plugins else {}
    return make_app(plugins=plugins, plugin_settings=tables, upstream=upstream)


class _Batch:
    """Exchanges that run at once.

    Attributes:
        first_ns: when the first began; the others are moments of each exchange, all in the thread's CPU time.
    """

    def __init__(self, case: PathCase) -> None:
        body: dict[str, Any] = {**_BODY, "stream": True} if case.events else _BODY
        self._body = json.dumps(body).encode()
        self._case = case
        self.first_ns = 0
        self._said_ns: list[int] = []
        self._over_ns: list[int] = []

    async def run(self, gateway: Gateway) -> tuple[float, float, float]:
        """CPU µs of an exchange: up to its last byte, after that, and in the background."""
        tasks = [asyncio.ensure_future(self._exchange(gateway)) for _ in range(self._case.batch)]
        await asyncio.gather(*tasks)
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        done_ns, last_ns = time.thread_time_ns(), self._over_ns[-1]
        after_ns = sum(over - said for said, over in zip(self._said_ns, self._over_ns, strict=True))
        path_ns = last_ns - self.first_ns - after_ns
        each = 1_000 * self._case.batch
        return path_ns / each, after_ns / each, (done_ns - last_ns) / each

    async def _exchange(self, gateway: Gateway) -> None:
        pending: list[Message] = [{"type": "http.request", "body": self._body, "more_body": False}]

        async def receive() -> Message:
            return pending.pop() if pending else await asyncio.get_running_loop().create_future()

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body" and not message.get("more_body"):
                self._said_ns.append(time.thread_time_ns())

        scope = _scope(len(self._body), is_traced=self._case.traced)
        self.first_ns = self.first_ns or time.thread_time_ns()
        await gateway.app(scope, receive, send)
        self._over_ns.append(time.thread_time_ns())


def _scope(size: int, *, is_traced: bool) -> Message:
    path = b"/v1/chat/completions"
    headers = [(b"host", b"gateway"), (b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
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
        "headers": [*headers, (b"traceparent", _TRACEPARENT)] if is_traced else headers,
        "client": ("127.0.0.1", 9),
        "server": ("127.0.0.1", 9),
        "state": {},
    }


async def measure(case: PathCase, names: Sequence[Name], rounds: int) -> list[Path]:
    """All gateways alive, in turns; of each round the cheapest of several batches."""
    found: list[Path] = []
    async with AsyncExitStack() as stack:
        gateways = {name: await stack.enter_async_context(_gateway(name, case.events)) for name in names}
        for gateway in gateways.values():
            await _Batch(case).run(gateway)
        for number in range(rounds):
            lowest: dict[Name, list[tuple[float, float, float]]] = {name: [] for name in names}
            for _ in range(_BATCHES):
                for name, gateway in gateways.items():
                    lowest[name].append(await _apart(case, gateway))
            for name, runs in lowest.items():
                path_us, after_us, background_us = map(min, zip(*runs, strict=True))
                found.append(
                    Path(
                        case=case.name, gateway=name, round=number,
                        path_us=path_us, after_us=after_us, background_us=background_us,
                    )
                )  # fmt: skip
    return found


async def _apart(case: PathCase, gateway: Gateway) -> tuple[float, float, float]:
    """A batch in which the garbage of others is not collected."""
    upstream = gateway.upstream
    if isinstance(upstream, ScriptedUpstream):
        upstream.requests.clear()
    gc.collect()
    gc.disable()
    try:
        return await _Batch(case).run(gateway)
    finally:
        gc.enable()


async def calls_per_event(name: Name) -> Calls:
    """Functions that run for each event of a stream; those of the request itself cancel out."""
    counted: list[int] = []
    for events in (_FEW, _MANY):
        async with _gateway(name, events) as gateway:
            case = PathCase(name="counted", events=events, batch=1)
            await _Batch(case).run(gateway)
            counter = _Counter()
            sys.setprofile(counter)
            await _Batch(case).run(gateway)
            sys.setprofile(None)
            counted.append(counter.count)
    return Calls(gateway=name, per_event=round((counted[1] - counted[0]) / (_MANY - _FEW), 1))  # a timer may run


class _Counter:
    """Counts calls of Python and C functions, resumed generators and coroutines among them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _frame: FrameType, event: str, _argument: object) -> None:
        self.count += event in {"call", "c_call"}


def main() -> None:
    parser = argparse.ArgumentParser(description="What an exchange costs in memory.")
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    gc.freeze()
    paths = [path for case in PATHS for path in asyncio.run(measure(case, MEASURED, rounds))]
    calls = [asyncio.run(calls_per_event(name)) for name in MEASURED]
    print(msgspec.json.encode(InMemory(paths=paths, calls=calls)).decode())


if __name__ == "__main__":
    main()
