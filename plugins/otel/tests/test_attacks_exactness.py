"""Numbers: spans, metrics and the exchange's record say the same, on every surface, streamed and not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from chatproxy_otel.names import STABLE_NAMES
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from chatproxy import ApiError, ChatRequest, Reply, RequestContext, hookimpl
from chatproxy.testing import Fault, ScriptedUpstream, SpanTree, error_reply, reply, stream_reply, tool_calls_reply
from chatproxy.testing.matrix import CELLS, Cell, Said
from chatproxy.testing.matrix.said import scripted

from .beside import CallNext, Clock
from .metering import found_in
from .test_attacks_cuts import Measured
from .tracing import traced

SAID = Said(content="It is noon, and the sun is high.")
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"


class Book(Measured):
    """Keeps the records of exchanges, and brings a meter provider."""

    chatproxy_name = "book"

    def __init__(self) -> None:
        super().__init__("x")
        self.contexts: list[RequestContext] = []

    @hookimpl
    async def after_response(self, ctx: RequestContext) -> None:
        self.contexts.append(ctx)

    @hookimpl
    async def on_error(self, ctx: RequestContext) -> None:
        self.contexts.append(ctx)


def spent(tree: SpanTree) -> Counter[str]:
    """Tokens on the spans of operations."""
    found: Counter[str] = Counter()
    for span in tree.walk():
        for kind in ("input", "output"):
            found[kind] += span.attributes.get(f"gen_ai.usage.{kind}_tokens", 0)
    return found


def measured(reader: InMemoryMetricReader) -> Counter[str]:
    """Tokens in the metric."""
    metric = found_in(reader.get_metrics_data()).get("gen_ai.client.token.usage")
    found: Counter[str] = Counter({"input": 0, "output": 0})
    for point in [] if metric is None else metric.data.data_points:
        found[str((point.attributes or {})["gen_ai.token.type"])] += int(point.sum)
    return found


def recorded(ctx: RequestContext) -> Counter[str]:
    usage = ctx.exchange.usage
    assert usage is not None
    return Counter({"input": usage.prompt_tokens, "output": usage.completion_tokens})


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_tokens_are_the_same_everywhere(cell: Cell) -> None:
    book = Book()
    upstream = ScriptedUpstream(scripted(cell.upstream_dialect, SAID, is_streamed=cell.is_streamed))
    async with traced(book, upstream=upstream, upstreams=cell.upstreams) as running:
        body = {"model": "scripted", **cell.dialect.question("hi"), "stream": cell.is_streamed}
        answer = await running.gateway.client.post(cell.dialect.path, json=body)
        assert answer.status_code == 200
        tree = await running.tree()
        metrics = measured(book.reader)
    assert spent(tree)["output"] > 0
    assert spent(tree) == metrics == recorded(book.contexts[0])


def rounds(*, stream: bool) -> list[Any]:
    if not stream:
        return [tool_calls_reply(("now", "{}")), tool_calls_reply(("now", "{}")), reply(usage=(100, 50))]
    call = {"index": 0, "id": "call_0", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    chunk = {"id": "c", "model": "scripted", "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}
    return [stream_reply([chunk], finish_reason="tool_calls"), stream_reply()]


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
async def test_tokens_of_rounds_add_up(stream: bool) -> None:
    book, script = Book(), rounds(stream=stream)
    async with traced(book, Clock(), upstream=ScriptedUpstream(*script)) as running:
        answer = await running.gateway.client.post(PATH, json=CHAT | {"stream": stream})
        assert answer.status_code == 200
        tree = await running.tree()
        metrics = measured(book.reader)
    assert [span.name for span in tree.children if span.kind == "CLIENT"] == ["chat scripted"] * len(script)
    assert spent(tree) == metrics == recorded(book.contexts[0])


@pytest.mark.parametrize("fault", [Fault.RESET, Fault.TRUNCATE], ids=str)
async def test_estimates_are_no_measurements(fault: Fault) -> None:
    book = Book()
    broken = stream_reply(usage=None)
    broken = type(broken)(parts=broken.parts[:2], headers=broken.headers, fault=fault)
    async with traced(book, upstream=ScriptedUpstream(broken)) as running:
        await running.gateway.client.post(PATH, json=CHAT | {"stream": True})
        tree = await running.tree()
        metrics = measured(book.reader)
    assert {span.attributes.get(STABLE_NAMES.usage_source) for span in tree.walk()} <= {None, "estimated"}
    assert recorded(book.contexts[0])["input"] > 0
    assert book.contexts[0].exchange.usage is not None
    assert book.contexts[0].exchange.usage.source == "estimated"
    assert +metrics == Counter()


async def test_spans_lie_within_their_parents() -> None:
    async with traced(Clock(), upstream=ScriptedUpstream(*rounds(stream=False))) as running:
        await running.gateway.client.post(PATH, json=CHAT)
        await running.tree()
        spans = {span.context.span_id: span for span in running.spans.finished}
    for span in spans.values():
        if span.parent is not None:
            above = spans[span.parent.span_id]
            assert above.start_time <= span.start_time <= span.end_time <= above.end_time  # type: ignore[operator]


async def test_estimate_on_a_span_says_so() -> None:
    book = Book()
    async with traced(book, upstream=ScriptedUpstream(reply(usage=None))) as running:
        await running.gateway.client.post(PATH, json=CHAT)
        operation = (await running.tree()).find("chat scripted")
    assert operation.attributes["gen_ai.usage.output_tokens"] == recorded(book.contexts[0])["output"]
    assert operation.attributes[STABLE_NAMES.usage_source] == "estimated"
    assert +measured(book.reader) == Counter()


class Again:
    """A plugin that asks once more where the first answer is an error."""

    chatproxy_name = "again"

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: CallNext) -> Reply:
        try:
            return await call_next(request)
        except ApiError:
            return await call_next(request)


async def test_first_chunk_of_a_retry_counts_from_the_operation_s_start() -> None:
    async with traced(Again(), upstream=ScriptedUpstream(error_reply(503), stream_reply())) as running:
        await running.gateway.client.post(PATH, json=CHAT | {"stream": True})
        await running.tree()
        (operation,) = (span for span in running.spans.finished if span.name == "chat scripted")
        _, second = (span for span in running.spans.finished if span.name == "POST")
    assert operation.attributes is not None
    first_chunk_ns = float(str(operation.attributes[STABLE_NAMES.response_first_chunk])) * 1e9
    assert first_chunk_ns > (second.start_time or 0) - (operation.start_time or 0) > 0
