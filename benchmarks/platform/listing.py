"""A client that asks for pages one after the other: ``python -m benchmarks.platform.listing '{…}'``, JSON out."""

from __future__ import annotations

import http.client
import sys
import time

import msgspec

from benchmarks.load import Percentiles
from benchmarks.platform.results import Listed

_WARM_UP = 5


class Page(msgspec.Struct, frozen=True):
    """Only how many there are in all."""

    total: int = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and how often."""

    listing: str
    engine: str
    port: int
    path: str
    key: str
    stored: int
    requests: int


def listed(plan: Plan) -> Listed:
    """Ask, on one connection.

    Raises:
        RuntimeError: an answer was none.
    """
    connection = http.client.HTTPConnection("127.0.0.1", plan.port, timeout=60)
    took_ms: list[float] = []
    total = 0
    for number in range(_WARM_UP + plan.requests):
        begin_s = time.perf_counter()
        connection.request("GET", plan.path, headers={"authorization": f"Bearer {plan.key}"})
        answer = connection.getresponse()
        body = answer.read()
        if number >= _WARM_UP:
            took_ms.append((time.perf_counter() - begin_s) * 1000)
        if answer.status != 200:
            raise RuntimeError(f"{plan.listing}: {answer.status} {body[:300]!r}")
        total = msgspec.json.decode(body, type=Page).total
    connection.close()
    return Listed(
        listing=plan.listing, engine=plan.engine, stored=plan.stored, total=total, latency_ms=percentiles(took_ms)
    )


def percentiles(values: list[float]) -> Percentiles:
    """Of at least one value."""
    ranked = sorted(values)
    p50, p95, p99 = (ranked[min(len(ranked) - 1, int(len(ranked) * share))] for share in (0.5, 0.95, 0.99))
    return Percentiles(p50, p95, p99, ranked[-1])


if __name__ == "__main__":
    print(msgspec.json.encode(listed(msgspec.json.decode(sys.argv[1], type=Plan))).decode())
