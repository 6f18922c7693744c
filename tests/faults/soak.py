"""Long runs against the real gateway, with numbers; not part of the test run.

    python -m tests.faults.soak streams --count 1000 --duration 60    many slow streams at once (R-01)
    python -m tests.faults.soak mixed --duration 3600                 every fault in turn, for an hour (R-03)

Prints a JSON object; the exit code is 1 where a limit of the scenario was passed.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil

from .gateway import Gateway, chat, listening, post, settings
from .replies import answers, begun, events, says
from .upstream import CHUNKED_HEAD, Exchange, FaultUpstream, Script, chunk, gzip_body, raw, reset, stall, truncate

_random = SystemRandom()
KIB, MIB = 1024, 2**20
EVENT_EVERY_S = 0.25
AT_ONCE = 16
SAMPLE_S = 2.0
SAMPLES_PER_FLOOR = 5
WARM_UP = 0.3  # of the duration
MOST_KIB_PER_STREAM = 150
MOST_MIB_PER_10_MIN = 1.0


def slope(samples: list[tuple[float, float]]) -> float:
    """How fast the values grow, per second, by least squares."""
    middle = sum(at for at, _ in samples) / len(samples)
    spread = sum((at - middle) ** 2 for at, _ in samples)
    return sum((at - middle) * value for at, value in samples) / spread


def floors(samples: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The least of every few samples: what a leak raises, and a large body on its way through does not."""
    groups = [samples[at : at + SAMPLES_PER_FLOOR] for at in range(0, len(samples), SAMPLES_PER_FLOOR)]
    return [(group[0][0], min(value for _, value in group)) for group in groups]


def slow_stream(duration_s: float) -> Script:
    """A stream with an event now and then."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD)
        ends_at = time.monotonic() + duration_s
        await asyncio.sleep(_random.random() * EVENT_EVERY_S)
        while time.monotonic() < ends_at:
            await exchange.send(chunk(events("text ")[0]))
            await asyncio.sleep(EVENT_EVERY_S)
        await exchange.send(b"".join(map(chunk, events("end"))) + chunk(b""))

    return script


async def follow(gateway: Gateway, errors: Counter[str]) -> int:
    """Read one stream to its end; the number of its events."""
    client = await gateway.connect()
    await client.send(post(chat(stream=True)))
    count, last = 0, b""
    try:
        await client.reader.readuntil(b"\r\n\r\n")
        while (line := await client.reader.readline()) != b"0\r\n":
            if not line:
                errors["cut off"] += 1
                break
            count += line.startswith(b"data: ")
            last = line if line.startswith(b"data: ") else last
    except (OSError, EOFError) as exc:
        errors[repr(exc)] += 1
    finally:
        client.close()
    if last != b"data: [DONE]\n":
        errors[f"ended with {last[:80]!r}"] += 1
    return count


async def run_streams(gateway: Gateway, sock: Any, count: int, duration_s: float) -> tuple[dict[str, Any], bool]:
    """R-01."""
    errors: Counter[str] = Counter()
    process = psutil.Process(gateway.pid)
    async with FaultUpstream(slow_stream(duration_s), sock=sock):
        before, memory, spent = gateway.holds(), gateway.memory_bytes(), process.cpu_times()
        tasks = []
        for _ in range(count):
            tasks.append(asyncio.create_task(follow(gateway, errors)))
            if len(tasks) % 50 == 0:
                await asyncio.sleep(0.05)
        most = memory
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0.5)
            most = max(most, gateway.memory_bytes())
        received = sum(await asyncio.gather(*tasks))
        now = process.cpu_times()
        cpu_s = now.user + now.system - spent.user - spent.system
    left = gateway.holds_more_than(before, 5.0)
    each_kib = (most - memory) / KIB / count
    report = {
        "streams": count,
        "events": received,
        "errors": dict(errors),
        "kib_per_stream": round(each_kib, 1),
        "gateway_cpu_us_per_event": round(cpu_s / received * 1e6, 1),
        "left_behind": left,
    }
    return report, not errors and each_kib <= MOST_KIB_PER_STREAM and not left


SCRIPTS: dict[str, Script] = {
    "buffered": answers(),
    "stream": says("Hello ", "world"),
    "reset": reset(begun("one")),
    "truncated": truncate(begun("one")),
    "no-finish": raw(begun("one") + chunk(b"")),
    "malformed": raw(begun("one") + chunk(b"data: {\n\n") + chunk(b"")),
    "stall": stall(begun("one")),
    "silence": stall(b""),
    "html": raw(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"),
    "gone": truncate(b""),
    "bomb": gzip_body(b'{"a":"' + b" " * (24 * MIB)),
    "leaves": stall(begun("one")),
    "leaves-early": stall(b""),
}
STREAMS = {"stream", "reset", "truncated", "no-finish", "malformed", "stall", "leaves"}
WANTED = {
    "buffered": b"HTTP/1.1 200", "stream": b"[DONE]", "reset": b'"upstream_disconnected"',
    "truncated": b'"upstream_protocol_error"', "no-finish": b'"upstream_incomplete"',
    "malformed": b'"upstream_invalid_json"', "stall": b'"upstream_idle_timeout"', "silence": b"HTTP/1.1 504",
    "html": b"HTTP/1.1 502", "gone": b"HTTP/1.1 502", "bomb": b"HTTP/1.1 502",
}  # fmt: skip


async def by_model(exchange: Exchange) -> None:
    """Do what the request's model is named after."""
    await SCRIPTS[json.loads(exchange.request.body)["model"]](exchange)


async def ask(gateway: Gateway, name: str) -> str:
    """One exchange of a kind; what was wrong with its end, or nothing."""
    client = await gateway.connect()
    try:
        await client.send(post(chat(model=name, stream=name in STREAMS), "connection: close"))
        if name == "leaves":
            await client.reader.readuntil(b"one")
        if name.startswith("leaves"):
            client.reset()
            return ""
        data = await client.read_to_end()
        return "" if WANTED[name] in data else f"{name}: {data[-200:]!r}"
    finally:
        client.close()


async def throw(gateway: Gateway, data: bytes, status: bytes) -> str:
    """Send what must be refused."""
    client = await gateway.connect()
    try:
        client.writer.write(data)
        got = await client.read_to_end()
        return "" if got.startswith(b"HTTP/1.1 " + status) else f"{status!r}: {got[:200]!r}"
    finally:
        client.reset()


def kinds(gateway: Gateway) -> list[Callable[[], Awaitable[str]]]:
    """Everything that is done in turn."""
    bomb = b"GET /livez HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 200_000 + b"\r\n\r\n"
    large = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 90000000\r\n\r\n"
    refused = [(bomb, b"431"), (large, b"413"), (b"GET / HTTP/1.1\r\n\r\n", b"400"), (b"\x16\x03\x01", b"400")]
    named: list[Callable[[], Awaitable[str]]] = [partial(ask, gateway, name) for name in SCRIPTS]
    return named + [partial(throw, gateway, data, status) for data, status in refused]


async def run_mixed(gateway: Gateway, sock: Any, duration_s: float) -> tuple[dict[str, Any], bool]:
    """R-03."""
    wrong: Counter[str] = Counter()
    done = Counter[str]()
    started = time.monotonic()
    ends_at = started + duration_s
    todo = kinds(gateway)

    async def work() -> None:
        while time.monotonic() < ends_at:
            fault = await _random.choice(todo)()
            done["all"] += 1
            if fault:
                wrong[fault] += 1

    async with FaultUpstream(by_model, sock=sock):
        for do in todo:
            await do()
        before = gateway.holds()
        samples: list[tuple[float, float]] = []
        tasks = [asyncio.create_task(work()) for _ in range(AT_ONCE)]
        descriptors = []
        while time.monotonic() < ends_at:
            await asyncio.sleep(SAMPLE_S)
            descriptors.append(gateway.descriptors())
            if time.monotonic() > started + WARM_UP * duration_s:
                samples.append((time.monotonic() - started, gateway.memory_bytes() / MIB))
        await asyncio.gather(*tasks)
    left = gateway.holds_more_than(before, 5.0)
    samples = floors(samples)
    grows = slope(samples) * 600
    report = {
        "duration_s": duration_s,
        "exchanges": done["all"],
        "wrong": dict(wrong.most_common(5)),
        "mib_after_warm_up": round(samples[0][1], 1),
        "mib_at_end": round(samples[-1][1], 1),
        "mib_per_10_min": round(grows, 2),
        "descriptors": [min(descriptors), max(descriptors)],
        "left_behind": left,
    }
    return report, not wrong and grows < MOST_MIB_PER_10_MIN and not left


async def main() -> int:
    """Run what the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("streams", "mixed"))
    parser.add_argument("--count", type=int, default=1000, help="streams at once")
    parser.add_argument("--duration", type=float, default=60.0, help="in seconds")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, listening() as sock, contextlib.ExitStack() as stack:
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/v1"
        patience = {} if args.kind == "streams" else {"idle_timeout_s": 2.0, "first_byte_timeout_s": 2.0}
        gateway = Gateway(Path(folder) / "gateway", settings(url, **patience))
        stack.callback(gateway.stop)
        if args.kind == "streams":
            report, is_good = await run_streams(gateway, sock, args.count, args.duration)
        else:
            report, is_good = await run_mixed(gateway, sock, args.duration)
    sys.stdout.write(json.dumps(report, indent=2) + "\n")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
