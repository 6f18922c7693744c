"""The oracle at work: OpenAI's client, instrumented by OpenTelemetry, at a running gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any, Self

import chatproxy_otel
import openai
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric

from chatproxy import App, ProxyConfig, create_app, hookimpl
from chatproxy.testing import SpanCapture, SpanTree
from chatproxy.testing.spans import trees_of

from .loopback import ScriptedServer, served
from .oracle_cases import Case


class Meters:
    """A meter provider whose data can be read; a plugin that provides it."""

    chatproxy_name = "meters"

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader], shutdown_on_exit=False)

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.provide(self.provider)
        yield

    def read(self) -> dict[str, Metric]:
        """Instruments that have data, by name."""
        data = self._reader.get_metrics_data()
        scopes = [] if data is None else [scope for found in data.resource_metrics for scope in found.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}


@contextmanager
def consulted(meters: Meters | None = None) -> Iterator[SpanCapture]:
    """The oracle's spans; it patches OpenAI's library, and takes that back."""
    spans = SpanCapture()
    oracle = OpenAIInstrumentor()
    oracle.instrument(tracer_provider=spans.provider, meter_provider=None if meters is None else meters.provider)
    try:
        yield spans
    finally:
        oracle.uninstrument()


class Place:
    """A running gateway with an upstream of its own, and the spans of both sides.

    Args:
        meters: what measures on our side.
        settings: of the plugin.
    """

    def __init__(self, theirs: SpanCapture, meters: Meters | None = None, **settings: Any) -> None:
        self.theirs = theirs
        self._meters = [] if meters is None else [meters]
        self.ours = SpanCapture()
        self.upstream = ScriptedServer()
        self.upstream_url = self.gateway_url = ""
        self._servers = ExitStack()
        self._settings = {"traces": "none", "metrics": "none", "logs": "none", "log_level": None, **settings}

    def config(self) -> ProxyConfig:
        """Of the gateway."""
        surfaces = ["chat", "responses", "embeddings"]
        return ProxyConfig(
            environ={"CHATPROXY_DISABLED_PLUGINS": "*"},
            upstreams={"default": {"base_url": f"{self.upstream_url}/v1", "surfaces": surfaces}},
            plugins={"otel": self._settings},
            log_level="critical",
        )

    def __enter__(self) -> Self:
        self.upstream_url = self._servers.enter_context(served(self.upstream, lifespan=False))
        app = create_app(self.config(), [self.ours, *self._meters, chatproxy_otel])
        self.gateway_url = self._servers.enter_context(served(app))
        return self

    def __exit__(self, *exc: object) -> None:
        self._servers.close()

    async def spans(self, case: Case) -> tuple[SpanTree, SpanTree]:
        """Our span of a call, and the oracle's."""
        self.ours.clear()
        self.theirs.clear()
        self.upstream.answer = case.answer
        async with openai.AsyncOpenAI(base_url=f"{self.gateway_url}/v1", api_key="key", max_retries=0) as client:
            api: Any = {"chat": client.chat.completions, "responses": client.responses, "embeddings": client.embeddings}
            try:
                reply = await api[case.api].create(model="m", **case.asked)
                if case.is_streamed:
                    _ = [event async for event in reply]
            except openai.APIError:
                assert case.is_refused or case.name == "streamed-broken"
        ours, (theirs,) = await self.ours.tree(), trees_of(self.theirs.finished)
        return ours.children[0], theirs
