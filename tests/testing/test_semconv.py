"""assert_semconv: right spans pass, and each wrong one is said in one clause."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from typing import Any

import pytest
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.semconv._incubating import attributes
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from chatproxy.testing import assert_semconv
from chatproxy.testing.semconv_registry import LATEST_ONLY, RESERVED, TEMPLATES, TYPES

MS = 1_000_000
RETIRED = (
    "gen_ai.completion", "gen_ai.openai.request.response_format", "gen_ai.openai.request.seed",
    "gen_ai.openai.request.service_tier", "gen_ai.openai.response.service_tier",
    "gen_ai.openai.response.system_fingerprint", "gen_ai.prompt", "gen_ai.system", "gen_ai.usage.completion_tokens",
    "gen_ai.usage.prompt_tokens", "http.client_ip", "http.flavor", "http.host", "http.method",
    "http.request_content_length", "http.request_content_length_uncompressed", "http.response_content_length",
    "http.response_content_length_uncompressed", "http.scheme", "http.server_name", "http.status_code", "http.target",
    "http.url", "http.user_agent",
)  # fmt: skip
"""Names that the conventions gave up; the package keeps them, and a span that has one is at fault."""
OK_STATUS = Status(StatusCode.UNSET)
FAILED = Status(StatusCode.ERROR)
SERVER = {
    "http.request.method": "POST",
    "url.path": "/v1/chat/completions",
    "url.scheme": "http",
    "http.route": "/v1/chat/completions",
    "http.response.status_code": 200,
    "user_agent.original": "curl",
    "chatproxy.surface": "chat",
}
CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.response.finish_reasons": ("stop",),
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 4,
    "server.address": "127.0.0.1",
    "server.port": 8080,
}
ATTEMPT = {
    "http.request.method": "POST",
    "url.full": "http://127.0.0.1:8080/v1/chat/completions",
    "server.address": "127.0.0.1",
    "server.port": 8080,
    "http.response.status_code": 200,
}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "search",
    "gen_ai.tool.type": "function",
    "mcp.method.name": "tools/call",
}


def span(
    name: str,
    kind: SpanKind,
    attributes: dict[str, Any],
    *,
    number: int,
    parent: int | None = None,
    remote: bool = False,
    trace: int = 7,
    times: tuple[int, int] = (0, 100),
    status: Status = OK_STATUS,
    events: tuple[Event, ...] = (),
) -> ReadableSpan:
    """A span whose times are milliseconds."""
    sampled = TraceFlags(1)
    return ReadableSpan(
        name,
        context=SpanContext(trace, number, is_remote=False, trace_flags=sampled),
        parent=None if parent is None else SpanContext(trace, parent, is_remote=remote, trace_flags=sampled),
        kind=kind,
        attributes={key: value for key, value in attributes.items() if value is not None},
        events=events,
        status=status,
        start_time=times[0] * MS,
        end_time=times[1] * MS,
    )


def server(**changes: Any) -> ReadableSpan:
    options: dict[str, Any] = {"number": 1, "name": "POST /v1/chat/completions", "kind": SpanKind.SERVER, **changes}
    return span(attributes=SERVER | options.pop("attributes", {}), **options)


def chat(**changes: Any) -> ReadableSpan:
    options: dict[str, Any] = {"number": 2, "parent": 1, "name": "chat m", "kind": SpanKind.CLIENT, **changes}
    return span(attributes=CHAT | options.pop("attributes", {}), **options)


def attempt(**changes: Any) -> ReadableSpan:
    options: dict[str, Any] = {"number": 3, "parent": 2, "name": "POST", "kind": SpanKind.CLIENT, **changes}
    return span(attributes=ATTEMPT | options.pop("attributes", {}), **options)


def tool(**changes: Any) -> ReadableSpan:
    options: dict[str, Any] = {
        "number": 4,
        "parent": 1,
        "name": "execute_tool search",
        "kind": SpanKind.INTERNAL,
        **changes,
    }
    return span(attributes=TOOL | options.pop("attributes", {}), **options)


def fault_of(*spans: ReadableSpan, **options: Any) -> str:
    """The one fault that is found."""
    with pytest.raises(AssertionError) as caught:
        assert_semconv(spans, **options)
    first, *faults = str(caught.value).split("\n- ")
    assert first == "1 fault against the semantic conventions:"
    return faults[0]


def test_spans_of_an_exchange_pass() -> None:
    assert_semconv([server(), chat(), attempt(), tool()])


def test_an_exchange_whose_client_has_a_trace_of_its_own_passes() -> None:
    assert_semconv([server(parent=99, remote=True), chat()])


def test_failed_exchange_passes() -> None:
    failed: dict[str, Any] = {"status": FAILED, "attributes": {"error.type": "502", "http.response.status_code": 502}}
    exception = Event("exception", {"exception.type": "UpstreamError"}, timestamp=1)
    assert_semconv(
        [
            server(**failed, events=(exception,)),
            chat(status=FAILED, attributes={"error.type": "502", "gen_ai.response.finish_reasons": None}),
            attempt(**failed),
        ]
    )


def test_an_exchange_refused_with_the_clients_own_fault_is_no_error() -> None:
    assert_semconv([server(attributes={"http.response.status_code": 400})])


def test_spans_of_another_kind_are_let_be() -> None:
    other = span("billing", SpanKind.INTERNAL, {"billing.team": "red"}, number=9, parent=1, status=FAILED)
    assert_semconv([server(), other])


def test_no_span_at_all_is_a_fault() -> None:
    assert fault_of() == "there is no span"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"kind": SpanKind.SERVER}, "kind is SERVER, a span of GenAI inference is CLIENT or INTERNAL"),
        ({"name": "chat"}, "its name should be 'chat m'"),
        ({"attributes": {"gen_ai.provider.name": None}}, "lacks gen_ai.provider.name, which GenAI inference requires"),
        ({"attributes": {"gen_ai.request.modle": "m"}},
         "gen_ai.request.modle is in a reserved namespace, and no convention knows it"),
        ({"attributes": {"gen_ai.system": "openai"}},
         "gen_ai.system is in a reserved namespace, and no convention knows it"),
        ({"attributes": {"gen_ai.request.temperature": 1}}, "gen_ai.request.temperature is 1, its type is double"),
        ({"attributes": {"gen_ai.usage.input_tokens": 10.0}}, "gen_ai.usage.input_tokens is 10.0, its type is int"),
        ({"attributes": {"gen_ai.response.finish_reasons": "stop"}},
         "gen_ai.response.finish_reasons is 'stop', its type is string[]"),
        ({"attributes": {"gen_ai.response.finish_reasons": ()}},
         "gen_ai.response.finish_reasons is empty; leave it out"),
        ({"attributes": {"gen_ai.request.stream": False}}, "gen_ai.request.stream is set only where it is true"),
        ({"attributes": {"gen_ai.response.time_to_first_chunk": 0.1}},
         "gen_ai.response.time_to_first_chunk is of streams only, see gen_ai.request.stream"),
        ({"attributes": {"gen_ai.request.choice.count": 1}},
         "gen_ai.request.choice.count is set only where it is not 1"),
        ({"attributes": {"gen_ai.provider.name": "Open AI"}},
         "gen_ai.provider.name is 'Open AI', it is spelt 'openai'"),
        ({"attributes": {"gen_ai.output.type": "json_object"}},
         "gen_ai.output.type is 'json_object', only image, json, speech, text are known"),
        ({"attributes": {"gen_ai.response.id": ""}}, "gen_ai.response.id is empty; leave it out"),
        ({"attributes": {"gen_ai.usage.cache_read.input_tokens": 11}},
         "gen_ai.usage.cache_read.input_tokens is 11, a part of gen_ai.usage.input_tokens, which is 10"),
        ({"attributes": {"gen_ai.usage.reasoning.output_tokens": 5}},
         "gen_ai.usage.reasoning.output_tokens is 5, a part of gen_ai.usage.output_tokens, which is 4"),
        ({"attributes": {"gen_ai.usage.output_tokens": -1}}, "gen_ai.usage.output_tokens is -1"),
        ({"attributes": {"server.port": None}}, "lacks server.port, which is required beside server.address"),
        ({"attributes": {"server.address": None}}, "server.port means nothing without server.address"),
        ({"attributes": {"server.address": "http://host/v1"}}, "server.address is 'http://host/v1', a host is wanted"),
        ({"attributes": {"gen_ai.input.messages": "hello"}}, "gen_ai.input.messages is no JSON list: 'hello'"),
        ({"status": FAILED}, "its status is ERROR, and it lacks error.type"),
        ({"attributes": {"error.type": "timeout"}}, "error.type is 'timeout', and its status is UNSET"),
        ({"events": (Event("exception", {}, timestamp=1),)},
         "event 'exception': lacks exception.type or exception.message"),
        ({"events": (Event("chatproxy.hook", {"gen_ai.hook": "x"}, timestamp=1),)},
         "event 'chatproxy.hook': gen_ai.hook is in a reserved namespace, and no convention knows it"),
    ],
)  # fmt: skip
def test_wrong_span_of_a_model_is_named(changes: dict[str, Any], fault: str) -> None:
    wrong = chat(**changes)
    assert fault_of(server(), wrong) == f"{wrong.name!r}: {fault}"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "POST"}, "its name should be 'POST /v1/chat/completions'"),
        ({"attributes": {"url.scheme": None}}, "lacks url.scheme, which HTTP server requires"),
        ({"attributes": {"url.path": "/v1?key=x"}}, "url.path is '/v1?key=x', a path without its query is wanted"),
        ({"attributes": {"http.response.status_code": 500}}, "it answered 500, its status should be ERROR"),
        ({"attributes": {"http.response.status_code": 422, "error.type": "422"}, "status": FAILED},
         "it answered 422, which is the client's error: its status should be UNSET"),
        ({"attributes": {"http.response.status_code": 99}}, "http.response.status_code is 99"),
        ({"attributes": {"http.request.method": "_OTHER"}, "name": "HTTP /v1/chat/completions"},
         "http.request.method is '_OTHER', and it lacks http.request.method_original"),
    ],
)  # fmt: skip
def test_wrong_span_of_a_server_is_named(changes: dict[str, Any], fault: str) -> None:
    wrong = server(**changes)
    assert fault_of(wrong) == f"{wrong.name!r}: {fault}"


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"attributes": {"url.full": None}}, "lacks url.full, which HTTP client requires"),
        ({"attributes": {"url.full": "/v1"}}, "url.full is '/v1', an absolute URL is wanted"),
        ({"attributes": {"url.full": "http://user:secret@host/v1"}}, "url.full holds credentials"),
        ({"attributes": {"http.response.status_code": 429}}, "it was answered 429, its status should be ERROR"),
        ({"attributes": {"http.request.resend_count": 0}},
         "http.request.resend_count is left out where nothing was sent again"),
        ({"attributes": {"network.transport": "TCP"}},
         "network.transport is 'TCP', only pipe, quic, tcp, udp, unix are known"),
        ({"name": "POST /v1"}, "its name should be 'POST'"),
        ({"parent": 1}, "a span of HTTP client below 'POST /v1/chat/completions', a span of HTTP server"),
        ({"times": (-9, 50)}, "it starts 9.0 ms before its parent 'chat m'"),
        ({"times": (50, 102)}, "it ends 2.0 ms after its parent 'chat m'"),
        ({"parent": 55}, "its parent 0000000000000037 was not recorded"),
    ],
)  # fmt: skip
def test_wrong_span_of_an_attempt_is_named(changes: dict[str, Any], fault: str) -> None:
    wrong = attempt(**changes)
    assert fault_of(server(), chat(), wrong) == f"{wrong.name!r}: {fault}"


def test_embeddings_that_write_something_are_a_fault() -> None:
    asked = {"gen_ai.operation.name": "embeddings", "gen_ai.response.finish_reasons": None}
    assert_semconv([server(), chat(name="embeddings m", attributes={**asked, "gen_ai.usage.output_tokens": None})])
    fault = "'embeddings m': gen_ai.usage.output_tokens is not of embeddings, which write nothing"
    assert fault_of(server(), chat(name="embeddings m", attributes=asked)) == fault


def test_tool_below_a_model_is_a_fault() -> None:
    fault = "'execute_tool search': a span of GenAI execute_tool below 'chat m', a span of GenAI inference"
    assert fault_of(server(), chat(), tool(parent=2)) == fault


def test_model_below_a_model_is_a_fault() -> None:
    doubled = chat(number=8, parent=2)
    assert fault_of(server(), chat(), doubled) == (
        "'chat m': a span of GenAI inference below 'chat m', a span of GenAI inference"
    )


def test_doubled_id_is_a_fault() -> None:
    assert (
        fault_of(server(), chat(), attempt(number=5), attempt(number=5))
        == "'POST': 2 spans have the id 0000000000000005"
    )


def test_two_roots_of_a_trace_are_a_fault() -> None:
    assert fault_of(server(), tool(), chat(parent=None)) == (
        f"trace {7:032x} has 2 roots: POST /v1/chat/completions, chat m"
    )


def test_exchanges_of_two_traces_do_not_meet() -> None:
    assert_semconv([server(), chat(), server(trace=8), chat(trace=8)])


def test_a_millisecond_of_difference_between_clocks_is_allowed() -> None:
    assert_semconv([server(), chat(times=(-1, 101))])


CACHE_CREATION = {"gen_ai.usage.cache_creation.input_tokens": 1}
CACHE_WRITE = {"gen_ai.usage.cache_write.input_tokens": 1}


def test_two_vocabularies_may_not_be_mixed_in_a_trace() -> None:
    assert_semconv([server(), chat(attributes=CACHE_CREATION)])
    assert_semconv([server(), chat(attributes=CACHE_WRITE)])
    assert fault_of(server(), chat(attributes=CACHE_CREATION | CACHE_WRITE)) == (
        f"trace {7:032x} mixes two vocabularies: gen_ai.usage.cache_creation.input_tokens "
        "with gen_ai.usage.cache_write.input_tokens"
    )


def test_a_vocabulary_that_was_asked_for_is_kept() -> None:
    assert_semconv([server(), chat(attributes=CACHE_CREATION)], vocabulary="stable")
    assert_semconv([server(), chat(attributes=CACHE_WRITE)], vocabulary="latest")
    assert fault_of(server(), chat(attributes=CACHE_WRITE), vocabulary="stable") == (
        f"trace {7:032x} has gen_ai.usage.cache_write.input_tokens, which the vocabulary 'stable' does not know"
    )
    assert fault_of(server(), chat(attributes=CACHE_CREATION), vocabulary="latest") == (
        f"trace {7:032x} has gen_ai.usage.cache_creation.input_tokens, which the vocabulary 'latest' does not know"
    )


def test_all_faults_are_listed_at_once() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_semconv([server(name="x"), chat(name="y"), attempt(name="z")])
    assert str(caught.value).splitlines() == [
        "3 faults against the semantic conventions:",
        "- 'x': its name should be 'POST /v1/chat/completions'",
        "- 'y': its name should be 'chat m'",
        "- 'z': its name should be 'POST'",
    ]


def test_span_of_an_mcp_client_passes() -> None:
    mcp = {"mcp.method.name": "tools/call", "gen_ai.tool.name": "search", "gen_ai.operation.name": "execute_tool"}
    assert_semconv([server(), tool(), span("tools/call search", SpanKind.CLIENT, mcp, number=6, parent=4)])


def test_registry_knows_the_attributes_that_opentelemetrys_own_package_has() -> None:
    constants = {
        value: name
        for module in pkgutil.iter_modules(attributes.__path__)
        for name, value in vars(importlib.import_module(f"{attributes.__name__}.{module.name}")).items()
        if name.isupper() and f"{value}." not in TEMPLATES
    }
    assert set(TYPES) - LATEST_ONLY - set(constants) == set()
    assert LATEST_ONLY & set(constants) == set()
    missing = {name for name in constants if name.startswith(RESERVED)} - set(TYPES)
    assert missing == set(RETIRED)


def test_test_kit_is_imported_without_opentelemetry() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None; from chatproxy.testing import SpanCapture, assert_semconv"
    subprocess.run([sys.executable, "-c", code], check=True)
