"""A gateway whose collector fails answers as ever, and says what became of its telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import chatproxy_otel
import grpc
import pytest

from chatproxy.testing import Gateway, ScriptedUpstream, make_app

from .sink import Sink, running_sink

FAULTS: dict[str, tuple[str, dict[str, Any] | None]] = {
    "http-silent": ("http/protobuf", {"is_silent": True}),
    "http-500": ("http/protobuf", {"status": 500}),
    "http-503": ("http/protobuf", {"status": 503}),
    "http-down": ("http/protobuf", None),
    "grpc-silent": ("grpc", {"is_silent": True}),
    "grpc-internal": ("grpc", {"code": grpc.StatusCode.INTERNAL}),
    "grpc-down": ("grpc", None),
}
SPANS_OF_ONE = 3
EXCHANGES = 10
CAPACITY = 12
WAIT_S = 20.0


@asynccontextmanager
async def gateway_for(sink: Sink, protocol: str, **settings: Any) -> AsyncIterator[Gateway]:
    otel = {
        "endpoint": sink.url(protocol),
        "protocol": protocol,
        "logs": "none",
        "log_level": None,
        "metrics": "none",
        "delay_s": 0.01,
        "flush_timeout_s": 0.2,
        **settings,
    }
    upstream = ScriptedUpstream()
    async with make_app(plugins=[chatproxy_otel], upstream=upstream, plugin_settings={"otel": otel}) as gateway:
        yield gateway


async def counts(gateway: Gateway, count: int) -> dict[str, int]:
    """What the gateway says of its traces, once it has made as many spans."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = (await gateway.client.get("/readyz")).json()
            found: dict[str, int] = answer["plugins"]["otel"]["traces"]
            if sum(found.values()) >= count:
                return found


@pytest.mark.parametrize(("protocol", "how"), FAULTS.values(), ids=FAULTS.keys())
async def test_exchanges_are_answered_and_telemetry_is_counted(protocol: str, how: dict[str, Any] | None) -> None:
    with running_sink() as sink:
        if how is None:
            sink.stop()
        else:
            sink.answer(**how)
        async with gateway_for(sink, protocol, queue_size=CAPACITY, batch_size=3) as gateway:
            for _ in range(EXCHANGES):
                assert (await gateway.chat("hi")).status_code == 200
            found = await counts(gateway, EXCHANGES * SPANS_OF_ONE)
        assert sum(found.values()) == EXCHANGES * SPANS_OF_ONE
        assert found["exported"] == 0
        assert found["waiting"] <= CAPACITY
        assert found["dropped"] >= EXCHANGES * SPANS_OF_ONE - CAPACITY
