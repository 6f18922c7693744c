"""A burst: spans of 10,000 exchanges at once, then the end: ``python -m benchmarks.otel.burst --help``.

Rule: in a process of its own, whose memory is measured. The spans are made by the SDK, with about as many attributes as
the plugin gives them, and put by as many calls as fit into the time.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time

import msgspec
from chatproxy_otel.config import Config
from chatproxy_otel.export.providers import Providers, open_providers

from benchmarks import proc
from benchmarks.otel.cases import BURST, FLUSH_S, SPANS
from benchmarks.otel.results import Burst
from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.types import App

_ATTRIBUTES = {f"attribute.{number}": f"value {number} of a usual length" for number in range(25)}


def put(providers: Providers, exchanges: int) -> float:
    """Make spans and end them; the highest resident size meanwhile, in bytes."""
    if providers.tracer_provider is None:
        raise RuntimeError("traces are off; is OTEL_SDK_DISABLED set?")
    tracer = providers.tracer_provider.get_tracer("bench")
    highest = 0
    for number in range(exchanges):
        for _ in range(SPANS):
            tracer.start_span("chat mock", attributes={**_ATTRIBUTES, "number": number}).end()
        if number % 500 == 0:
            highest = max(highest, proc.rss_bytes(os.getpid()))
    return max(highest, proc.rss_bytes(os.getpid()))


async def burst(collector: str, port: int) -> Burst:
    """Put a burst, flush, and count."""
    app = App(version="0", session_store=MemorySessionStore(), settings={})
    config = Config(endpoint=f"http://127.0.0.1:{port}", metrics="none", logs="none", global_provider="ignore")
    providers = open_providers(config, {}, app)
    put(providers, 10)
    before, begun_s = proc.rss_bytes(os.getpid()), time.perf_counter()
    highest = put(providers, BURST)
    put_s = time.perf_counter() - begun_s
    begun_s = time.perf_counter()
    await providers.aclose(FLUSH_S)
    close_s = time.perf_counter() - begun_s
    (pipe,) = providers.pipes
    return Burst(
        collector=collector,
        produced=(BURST + 10) * SPANS,
        exported=pipe.exported,
        dropped=pipe.dropped,
        rate_per_s=BURST / put_s,
        growth_mib=(highest - before) / 2**20,
        close_s=close_s,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Put the spans of many exchanges at once.")
    parser.add_argument("--collector", required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    print(msgspec.json.encode(asyncio.run(burst(options.collector, options.port))).decode())


if __name__ == "__main__":
    main()
