"""What the tests of the export share: providers opened for a sink, and telemetry put into them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from chatproxy_otel.config import Config
from chatproxy_otel.export.pipe import PipeStats
from chatproxy_otel.export.providers import Providers, open_providers

from chatproxy.types import App, SessionStore

from .sink import Sink

QUICK: dict[str, Any] = {"delay_s": 0.01, "metrics": "none"}
"""Settings with which nothing is waited for."""
CLOSE_S = 20.0


class NoSessions:
    """Nobody asks for one."""


def app() -> App:
    return App(version="1.2.3", session_store=cast("SessionStore", NoSessions()), settings={})


def opened(environ: Mapping[str, str] | None = None, **settings: Any) -> Providers:
    """Providers of a configuration, validated as the gateway does."""
    return open_providers(msgspec.convert(settings, Config), environ or {}, app())


@asynccontextmanager
async def exporting(
    sink: Sink, protocol: str = "http/protobuf", environ: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[Providers]:
    """Providers that export to the sink, and all of it before this ends."""
    providers = opened(environ, **{"endpoint": sink.url(protocol), "protocol": protocol, **QUICK, **settings})
    try:
        yield providers
    finally:
        sink.release()
        await providers.aclose(CLOSE_S)


def spans(providers: Providers, count: int, *, name: str = "span", text: str = "v") -> None:
    """End as many spans; each has its number."""
    assert providers.tracer_provider is not None
    tracer = providers.tracer_provider.get_tracer("test")
    for number in range(count):
        tracer.start_span(name, attributes={"number": number, "text": text}).end()


def logs(providers: Providers, count: int) -> None:
    """Emit as many log records; each has its number."""
    assert providers.logger_provider is not None
    logger = providers.logger_provider.get_logger("test")
    for number in range(count):
        logger.emit(body="text", attributes={"number": number})


def numbers(items: list[dict[str, Any]]) -> list[int]:
    return [item["attributes"]["number"] for item in items]


def stats(providers: Providers, signal: str = "traces") -> PipeStats:
    """Of the one pipe of a signal."""
    (found,) = [one for one in providers.pipes if one.signal == signal]
    return found
