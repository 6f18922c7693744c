"""Secrets in what is logged: in messages, headers, exceptions and added fields; none of them leaves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from chatproxy_otel.logs import LogEvents, bridge
from chatproxy_otel.names import STABLE_NAMES
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import SpanContext

from chatproxy import App, hookimpl
from chatproxy.testing import make_app

KEY = "sk-canary-1234567890abcdef"
UPSTREAM_KEY = "plainCanaryOfTheUpstream"
SPAN = SpanContext(1, 2, is_remote=False)


class Catch:
    """Notes the application."""

    chatproxy_name = "catch"
    app: App

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        self.app = app
        yield


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def redact() -> AsyncIterator[Callable[[str], str]]:
    """As plugins get it, from a gateway with a key of its own."""
    catch = Catch()
    async with make_app(plugins=[catch], upstream_api_key=UPSTREAM_KEY):
        yield catch.app.redact


def exported(exporter: InMemoryLogRecordExporter) -> bytes:
    """What a collector would get, with every text in it."""
    return encode_logs(exporter.get_finished_logs()).SerializeToString()


def failed(message: str, cause: BaseException | None = None) -> BaseException:
    """An exception that was raised, with its trace."""
    try:
        raise RuntimeError(message) from cause
    except RuntimeError as exc:
        return exc


LOGGED: list[Any] = [
    pytest.param(("calling with %s", {"authorization": f"Bearer {KEY}"}), {}, None, id="headers as arguments"),
    pytest.param((f"Authorization: Bearer {KEY}",), {}, None, id="a header in the message"),
    pytest.param(("key %s was refused", KEY), {}, None, id="a key"),
    pytest.param(("upstream said no to %s", UPSTREAM_KEY), {}, None, id="the upstream's key, of any form"),
    pytest.param(("GET https://me:%s@host/", KEY), {}, None, id="userinfo"),
    pytest.param(("failed",), {}, failed(f"401 for {KEY}"), id="an exception"),
    pytest.param(("failed",), {}, failed("no", failed(f"401 for {UPSTREAM_KEY}")), id="an exception's cause"),
    pytest.param(("failed",), {"headers": {"X-Api-Key": "anythingCanary"}}, None, id="headers as a field"),
    pytest.param(("failed",), {"headers": [("x", {"cookie": "anythingCanary"})]}, None, id="deep in a field"),
    pytest.param(("failed",), {"api_key": "anythingCanary"}, None, id="a field named for a key"),
    pytest.param(("failed",), {"note": KEY, "raw": KEY.encode(), "error": failed(KEY)}, None, id="a key in fields"),
    pytest.param(("failed",), {KEY: 1}, None, id="a field's name"),
    pytest.param((f"{UPSTREAM_KEY} " * 9_000,), {}, None, id="where a huge text is cut"),
    pytest.param(("%s", "a " * 8_185 + UPSTREAM_KEY + " b" * 1000), {}, None, id="where a text is cut"),
    pytest.param(("failed",), {"note": f"{UPSTREAM_KEY} " * 900}, None, id="where a field is cut"),
]


@pytest.mark.parametrize(("message", "extra", "exception"), LOGGED)
async def test_a_secret_that_is_logged_is_not_sent(
    redact: Callable[[str], str],
    message: tuple[Any, ...],
    extra: dict[str, Any],
    exception: BaseException | None,
) -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with bridge(provider, "info", redact) as made:
        logging.getLogger("a.library").error(message[0], *message[1:], extra=extra, exc_info=exception)
    data = exported(exporter)
    assert made.lost == 0
    assert b"a.library" in data
    assert b"anary" not in data


async def test_a_secret_in_a_failure_is_not_sent(redact: Callable[[str], str]) -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    events = LogEvents(provider.get_logger("x"), STABLE_NAMES, redact)
    events.exception(SPAN, 1, error_type=f"E {KEY}", message=f"Bearer {KEY}", stacktrace=f"in f({UPSTREAM_KEY})")
    data = exported(exporter)
    assert b"gen_ai.client.operation.exception" in data
    assert b"anary" not in data
