"""Values that nobody expects, from clients, upstreams and plugins: they cost neither the trace nor the metrics."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from chatproxy_otel.export.slices import encode_in_slices
from chatproxy_otel.export.spans import SpanEncoder
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from chatproxy import ApiError, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, assert_semconv
from chatproxy.types import Trace

from .received import READERS
from .tracing import Traced, traced

PATH = "/v1/chat/completions"
ASKED = '{"model": "scripted", "messages": [{"role": "user", "content": "hi"}]'
ANSWERED = "SERVER POST /v1/chat/completions\n  CLIENT chat scripted\n    CLIENT POST"
MOST_TEXT = 1024
"""Characters of any one text that a client, an upstream or a plugin can bring into a span."""


async def ask(running: Traced, more: str = "", **headers: str) -> int:
    """Ask with further fields, as JSON."""
    body = ASKED + (f", {more}" if more else "") + "}"
    headers = {"content-type": "application/json", **headers}
    answer = await running.gateway.client.post(PATH, content=body.encode(), headers=headers)
    return answer.status_code


def texts(value: Any) -> Iterator[str]:
    """Every text in what was exported."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield name
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def all_of(running: Traced) -> list[dict[str, Any]]:
    """The spans as a collector gets them; every one can be encoded."""
    encoded = encode_in_slices(running.spans.finished, SpanEncoder(), pause=lambda _: None)
    assert encoded.spoilt == 0
    return list(READERS["traces"](ExportTraceServiceRequest.FromString(encoded.payload)))


ODD = [
    '"temperature": 1' + "0" * 400,
    '"top_p": -1' + "0" * 400,
    '"seed": 123456789012345678901234567890',
    '"n": 9223372036854775808',
    '"stop": [1, null, {"a": []}]',
    '"stop": ' + json.dumps(["x" * 50_000] * 100),
    '"response_format": {"type": ["json_object"]}',
    '"reasoning": {"effort": {"a": 1}}, "reasoning_effort": [1]',
    '"conversation": {"id": {"id": 1}}',
    '"previous_response_id": ' + json.dumps("p" * 100_000),
    '"service_tier": 5, "encoding_format": {}',
    '"stop": "\\u0000\\u001b[31m\\u202e"',
    '"metadata": {"a": ' + "[" * 400 + "]" * 400 + "}",
]


@pytest.mark.parametrize("more", ODD, ids=lambda more: more[:24])
async def test_odd_parameter_costs_no_trace(more: str) -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream) as running:
        assert await ask(running, more) == 200
        tree = await running.tree()
        assert_semconv(running.spans.finished)
        found = all_of(running)
    assert tree.outline() == ANSWERED
    assert max(map(len, texts(found))) <= MOST_TEXT


class Speaker:
    """A plugin that does as it was told, once it is asked."""

    chatproxy_name = "speaker"

    def __init__(self, says: Callable[[RequestContext], None]) -> None:
        self._says = says

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        self._says(ctx)


def verdicts(*found: Any) -> Callable[[RequestContext], None]:
    """Leaves notes as guardrails do."""

    def says(ctx: RequestContext) -> None:
        ctx.exchange.notes["guardrails"] = {"verdicts": list(found)}

    return says


def says(*events: tuple[Any, Any], **attributes: Any) -> Callable[[RequestContext], None]:
    """Speaks by ``ctx.trace``."""

    def spoken(ctx: RequestContext) -> None:
        for name, value in attributes.items():
            ctx.trace.set(name, value)
        for name, given in events:
            ctx.trace.event(name, given)

    return spoken


SAID = [
    pytest.param(verdicts({"policy": "p", "at_s": float("nan")}), id="time is no number"),
    pytest.param(verdicts({"policy": "p", "at_s": float("inf")}), id="time is endless"),
    pytest.param(verdicts({"policy": "p", "at_s": 10**400}), id="time is huge"),
    pytest.param(verdicts({"policy": "p", "at_s": -1e9}, {"policy": "q", "at_s": 1e12}), id="time is of another age"),
    pytest.param(verdicts({"policy": "p" * 100_000, "findings": {"k" * 100_000: 1}}), id="verdict is long"),
    pytest.param(verdicts({"policy": "\ud800", "findings": {"\ud800": 1, 5: 2, "c": True}}), id="verdict is no text"),
    pytest.param(verdicts({"policy": "p", "findings": {"k": 10**5000}}), id="count is huge"),
    pytest.param(verdicts(*[{"policy": "p"}] * 5_000), id="many verdicts"),
    pytest.param(verdicts(None, [], "x", {"policy": None}), id="no verdicts"),
    pytest.param(says(a=2**80, b=float("nan"), c=float("-inf")), id="number is huge"),
    pytest.param(says(a="\ud800", b=["\ud800"]), id="text is no text"),
    pytest.param(says(("\ud800", {"\ud800": "\ud800"})), id="event is no text"),
    pytest.param(says(("e" * 100_000, {"n" * 100_000: "v" * 100_000})), id="event is long"),
    pytest.param(says(*[(f"e{number}", None) for number in range(5_000)]), id="many events"),
    pytest.param(says(**{"n" * 100_000: "v" * 100_000}), id="name is long"),
    pytest.param(says(**{f"n{number}": "v" for number in range(5_000)}), id="many attributes"),
    pytest.param(says(("", {"": ""}), **{"": ""}), id="no name"),
]


@pytest.mark.parametrize("said", SAID)
async def test_what_a_plugin_says_costs_no_trace(said: Callable[[RequestContext], None]) -> None:
    async with traced(Speaker(said)) as running:
        assert await ask(running) == 200
        tree = await running.tree()
        found = all_of(running)
    assert tree.outline() == ANSWERED
    assert max(map(len, texts(found))) <= MOST_TEXT
    (root,) = (span for span in found if not span["parent_id"])
    assert all(root["start_ns"] <= event["at_ns"] <= root["end_ns"] for event in root["events"])
    assert root["attributes"]["http.route"] == PATH


def test_names_of_attributes_and_events_are_texts() -> None:
    trace = Trace()
    for wrong in (lambda: trace.set(5, "x"), lambda: trace.event(5), lambda: trace.event("e", {5: "x"})):  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="name"):
            wrong()


@pytest.mark.parametrize("code", ["sk-canary0123456789abcdef", "x" * 65, "two words", ""])
async def test_code_of_an_error_is_a_code_and_no_key(code: str) -> None:
    def refuses(ctx: RequestContext) -> None:
        raise ApiError("no", status=503, code=code)

    async with traced(Speaker(refuses)) as running:
        assert await ask(running) == 503
        (root,) = (await running.tree()).walk()
        found = all_of(running)
    assert root.attributes["error.type"] == "_OTHER"
    assert "canary" not in str(found)


async def test_baggage_is_cut_and_cleaned() -> None:
    upstream = ScriptedUpstream()
    async with traced(upstream=upstream, otel={"baggage": ["user", "team"]}) as running:
        assert await ask(running, baggage=f"user={'u' * 2000},team=sk-canary0123456789abcdef") == 200
        tree = await running.tree()
    assert tree.attributes["user"] == "u" * 256
    assert tree.attributes["team"] == "***"
    assert upstream.requests[0].headers["baggage"].startswith(f"user={'u' * 256},")
