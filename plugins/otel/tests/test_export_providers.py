"""Whose providers are used: another plugin's, the process's, or ours; globals are never touched."""

from __future__ import annotations

import pytest
from chatproxy_otel.config import Config
from chatproxy_otel.export.providers import open_providers
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

from .exporting import app, exporting, opened, spans
from .processes import ran
from .sink import running_sink

GLOBALS = """
    from opentelemetry import _logs, metrics, trace
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    mine = TracerProvider(), MeterProvider(), LoggerProvider()
    trace.set_tracer_provider(mine[0]), metrics.set_meter_provider(mine[1]), _logs.set_logger_provider(mine[2])
    ended = []
    mine[0].shutdown = mine[0].force_flush = lambda *a: ended.append(a)

    def made():
        return providers.tracer_provider, providers.meter_provider, providers.logger_provider

    def again(**changes):
        return open_providers(msgspec.convert(settings | changes, Config), os.environ, app)
"""


def test_another_plugins_providers_come_first() -> None:
    gateway = app()
    given = TracerProvider(shutdown_on_exit=False), MeterProvider(), LoggerProvider(shutdown_on_exit=False)
    for provider in given:
        gateway.provide(provider)
    providers = open_providers(Config(), {}, gateway)
    assert (providers.tracer_provider, providers.meter_provider, providers.logger_provider) == given
    assert providers.pipes == []


def test_a_signal_that_is_off_has_no_provider() -> None:
    providers = opened(traces="none", metrics="none", logs="none")
    assert (providers.tracer_provider, providers.meter_provider, providers.logger_provider) == (None, None, None)
    assert providers.pipes == []


@pytest.mark.parametrize("value", ["true", "TRUE", " True "])
async def test_a_disabled_sdk_has_no_providers(value: str) -> None:
    providers = opened({"OTEL_SDK_DISABLED": value})
    assert (providers.tracer_provider, providers.meter_provider, providers.logger_provider) == (None, None, None)
    await providers.aclose(0.0)


async def test_opening_sets_no_globals() -> None:
    before = trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()
    with running_sink() as sink:
        async with exporting(sink, metrics="otlp") as providers:
            spans(providers, 1)
            assert (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()) == before


def test_global_providers_are_used_and_left_alone() -> None:
    ran(
        GLOBALS
        + """
    providers = again()
    assert made() == mine
    spans(1)
    close(5)
    assert ended == []
    assert trace.get_tracer_provider() is mine[0]
    """
    )


def test_global_providers_can_be_ignored() -> None:
    ran(GLOBALS + "\n    assert not set(map(id, made())) & set(map(id, mine))", global_provider="ignore")


def test_a_signal_that_is_off_stays_off_with_a_global_provider() -> None:
    ran(GLOBALS + "\n    providers = again(); assert made() == (None, mine[1], mine[2])", traces="none")


def test_a_global_provider_of_another_kind_is_passed_over_and_said() -> None:
    ran(
        """
    import logging
    from opentelemetry import trace
    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("chatproxy_otel").addHandler(handler)
    class OtherProvider(trace.TracerProvider):
        def get_tracer(self, *a, **k): raise AssertionError
    trace.set_tracer_provider(OtherProvider())
    providers = open_providers(msgspec.convert(settings, Config), os.environ, app)
    assert type(providers.tracer_provider).__module__ == "opentelemetry.sdk.trace"
    (line,) = said
    assert line.startswith("traces: the global provider is __main__.OtherProvider, not one of OpenTelemetry's SDK")
    """
    )
