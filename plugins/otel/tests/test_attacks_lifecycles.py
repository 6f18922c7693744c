"""Odd lives: several gateways on one provider, one that is started again, and exchanges that end in unusual ways."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import chatproxy_otel
import httpx
import msgspec
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import get_current_span

from chatproxy import App, RequestContext, hookimpl
from chatproxy.app import create_app
from chatproxy.config import ProxyConfig
from chatproxy.testing import Fault, ScriptedUpstream, make_app, reply, stream_reply

from .tracing import QUIET, traced

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"


class Shared:
    """Providers of a process, which several gateways use; as global ones are."""

    chatproxy_name = "shared"

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.reader = InMemoryMetricReader()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        app.provide(self.tracers)
        app.provide(self.meters)
        yield


class Ended:
    """Tells when an exchange's telemetry is written."""

    chatproxy_name = "zz_ended"

    def __init__(self) -> None:
        self.count = 0
        self._changed = asyncio.Event()

    @hookimpl(trylast=True)
    async def after_response(self) -> None:
        self._told()

    @hookimpl(trylast=True)
    async def on_error(self) -> None:
        self._told()

    async def wait(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.count < count:
                self._changed.clear()
                await self._changed.wait()

    def _told(self) -> None:
        self.count += 1
        self._changed.set()


async def test_two_gateways_share_a_provider_and_no_ids() -> None:
    shared, ends = Shared(), [Ended(), Ended()]
    async with AsyncExitStack() as stack:
        gateways = [
            await stack.enter_async_context(
                make_app(
                    plugins=[shared, chatproxy_otel, end], upstream=ScriptedUpstream(), plugin_settings={"otel": QUIET}
                )
            )
            for end in ends
        ]
        for _ in range(3):
            await asyncio.gather(*(gateway.client.post(PATH, json=CHAT) for gateway in gateways))
        for end in ends:
            await end.wait(3)
    spans = shared.exporter.get_finished_spans()
    assert len(spans) == 18
    assert len({span.context.span_id for span in spans}) == 18
    assert Counter(Counter(span.context.trace_id for span in spans).values()) == {3: 6}
    assert 0 not in {span.context.span_id for span in spans}
    other = shared.tracers.get_tracer("chatproxy")
    assert other.start_span("own").get_span_context().is_valid


async def test_application_that_is_started_again_is_traced_again() -> None:
    shared, end = Shared(), Ended()
    config = ProxyConfig(environ={"CHATPROXY_DISABLED_PLUGINS": "*"}, log_level="error", plugins={"otel": QUIET})
    app = create_app(config, [shared, chatproxy_otel, end], transport=ScriptedUpstream())
    for number in (1, 2):
        async with lived(app) as client:
            assert (await client.post(PATH, json=CHAT)).status_code == 200
            await end.wait(number)
            metrics = found_in_all(shared.reader)
            assert metrics["chatproxy.exchanges.ended"][-1] == 1
            assert metrics["chatproxy.exchanges.limit"] == [4096]
    assert len(shared.exporter.get_finished_spans()) == 6
    assert found_in_all(shared.reader)["chatproxy.exchanges.ended"] == [1, 1]


def found_in_all(reader: InMemoryMetricReader) -> dict[str, list[Any]]:
    """Values by instrument, of all scopes."""
    data = reader.get_metrics_data()
    found: dict[str, list[Any]] = defaultdict(list)
    for resource in [] if data is None else data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                found[metric.name] += [getattr(point, "value", None) for point in metric.data.data_points]
    return dict(found)


@asynccontextmanager
async def lived(app: Any) -> AsyncIterator[Any]:
    """An application's life, once."""
    received: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    sent: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    task = asyncio.ensure_future(
        app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, received.get, sent.put)
    )
    await received.put({"type": "lifespan.startup"})
    started = await sent.get()
    assert started["type"] == "lifespan.startup.complete", started
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client
    await received.put({"type": "lifespan.shutdown"})
    assert (await sent.get())["type"] == "lifespan.shutdown.complete"
    await task


FAULTS = [fault for fault in Fault if fault not in {Fault.STALL, Fault.STALL_BEFORE}]


class Cranky:
    """A plugin that fails in a hook of its choice, in a way of its choice."""

    chatproxy_name = "cranky"

    def __init__(self, hook: str, way: str) -> None:
        async def fails(*_: Any) -> None:
            if way == "raises":
                raise ValueError("canary")
            await asyncio.Event().wait()

        async def named(ctx: RequestContext) -> None:
            await fails()

        setattr(self, hook, hookimpl(named))


HOOKS = ["before_request", "select_handler", "transform_stream", "before_response", "after_response", "authenticate"]


@pytest.mark.parametrize("way", ["raises", "hangs"])
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_plugin_that_fails_is_in_a_whole_tree(
    hook: str, way: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "opentelemetry")
    upstream = ScriptedUpstream(stream_reply() if stream else reply())
    policies = {"cranky": {"hooks": {hook: {"deadline_s": 0.05}}}}
    async with traced(Cranky(hook, way), upstream=upstream, plugin_settings=policies) as running:
        answer = await running.gateway.client.post(PATH, json=CHAT | {"stream": stream})
        tree = await running.tree()
    assert tree.attributes.get("http.response.status_code") == answer.status_code
    assert (tree.status == "ERROR") is (answer.status_code >= 500 or tree.attributes["chatproxy.outcome"] == "failed")
    assert [record for record in caplog.records if record.name.startswith("opentelemetry")] == []


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_upstream_that_breaks_is_in_a_whole_tree(fault: Fault, stream: bool) -> None:
    answer = msgspec.structs.replace(stream_reply() if stream else reply(), fault=fault)
    async with traced(upstream=ScriptedUpstream(answer), first_byte_timeout_s=0.2, idle_timeout_s=0.2) as running:
        await running.gateway.client.post(PATH, json=CHAT | {"stream": stream})
        tree = await running.tree()
    assert [span.kind for span in tree.walk()] == ["SERVER", "CLIENT", "CLIENT"]
    for span in running.spans.finished:
        assert (span.end_time or 0) >= (span.start_time or 0)


ODD_WAYS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/v1/responses", {"model": "scripted", "input": "hi", "background": True, "store": True}),
    ("POST", "/v1/responses", {"model": "scripted", "input": "hi", "background": True, "stream": True}),
    ("POST", "/v1/responses", {"model": "scripted", "input": "hi", "previous_response_id": "resp_none"}),
    ("POST", "/v1/messages/count_tokens", {"model": "scripted", "messages": CHAT["messages"]}),
    ("POST", "/v1/completions", {"model": "scripted", "prompt": "hi"}),
    ("POST", "/v1/embeddings", {"model": "scripted", "input": "hi"}),
    ("POST", "/v1/images/generations", {"model": "scripted", "prompt": "hi"}),
    ("POST", "/v1/audio/speech", {"model": "scripted", "input": "hi"}),
    ("GET", "/v1/files", {}),
    ("GET", "/v1/batches/batch_1", {}),
    ("DELETE", "/v1/responses/resp_1", {}),
    ("POST", "/v1/responses/resp_1/cancel", {}),
    ("POST", PATH, {"messages": []}),
    ("POST", PATH, {"model": "scripted", "stream": "yes"}),
    ("PUT", PATH, CHAT),
    ("GET", "/v1/nothing", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), ODD_WAYS, ids=lambda value: str(value)[:40])
async def test_odd_request_leaves_whole_trees_and_a_clean_task(
    method: str, path: str, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    surfaces = ["chat", "responses", "messages", "completions", "embeddings", "images", "audio", "files", "batches"]
    upstreams = {"default": {"base_url": "http://upstream/v1", "surfaces": surfaces}}
    async with traced(upstream=ScriptedUpstream(), upstreams=upstreams) as running:
        before = get_current_span()
        answer = await running.gateway.client.request(method, path, json=body)
        assert answer.status_code < 500 or answer.json()["error"]["code"].startswith("upstream_")
        assert (await running.gateway.client.post(PATH, json=CHAT)).status_code == 200
        assert get_current_span() is before
    spans = running.spans.finished
    ids = {span.context.span_id for span in spans}
    assert all(span.parent is None or span.parent.span_id in ids for span in spans)
    assert len([span for span in spans if span.parent is None]) in {1, 2, 3}  # a background run has its own
    told = [record for record in caplog.records if record.name.startswith(("opentelemetry", "chatproxy.plugins"))]
    assert [record.getMessage() for record in told if record.levelno >= logging.WARNING] == []
