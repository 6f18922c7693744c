"""Events of operations: their names, times, traces and values, and when there are any."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_otel.fitting import structure
from chatproxy_otel.logs import LogEvents, wants_details
from chatproxy_otel.logs.records import severity_of
from chatproxy_otel.names import LATEST_NAMES, STABLE_NAMES, Names
from opentelemetry._logs import NoOpLogger, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.instrumentation.log_utils import std_to_otel
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import SpanContext, TraceFlags

SPAN = SpanContext(0xAF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1))
AT_NS = 1_700_000_000_123_456_789
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"}


class Told:
    """Events, and what was sent of them."""

    def __init__(self, names: Names = STABLE_NAMES) -> None:
        self._exporter = InMemoryLogRecordExporter()
        provider = LoggerProvider(shutdown_on_exit=False)
        provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))
        self.events = LogEvents(provider.get_logger("chatproxy", "1"), names, str)

    @property
    def one(self) -> Any:
        (found,) = self._exporter.get_finished_logs()
        return found.log_record

    @property
    def decoded(self) -> ExportLogsServiceRequest:
        """As a collector reads it."""
        logs: list[ReadableLogRecord] = list(self._exporter.get_finished_logs())
        return ExportLogsServiceRequest.FromString(encode_logs(logs).SerializeToString())


def plain(value: Any) -> Any:
    """An ``AnyValue`` of OTLP as Python's own."""
    kind = value.WhichOneof("value")
    if kind == "kvlist_value":
        return {item.key: plain(item.value) for item in value.kvlist_value.values}
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    return None if kind is None else getattr(value, kind)


@pytest.mark.parametrize("names", [STABLE_NAMES, LATEST_NAMES], ids=["released", "draft"])
def test_an_operation_is_told_in_its_trace_at_its_time(names: Names) -> None:
    told = Told(names)
    told.events.operation(SPAN, AT_NS, CHAT)
    record = told.one
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert (record.trace_id, record.span_id, record.trace_flags) == (SPAN.trace_id, SPAN.span_id, 1)
    assert record.timestamp == AT_NS
    assert dict(record.attributes) == CHAT
    assert (record.body, record.severity_number) == (None, None)


def test_messages_are_structures_for_whoever_reads_them() -> None:
    told = Told()
    arguments = {"city": "Genève", "days": [1, 2.5, True, None], "deep": {"er": {}}}
    messages = [{"role": "user", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": arguments}]}]
    told.events.operation(SPAN, AT_NS, CHAT, {"gen_ai.input.messages": messages})
    (record,) = told.decoded.resource_logs[0].scope_logs[0].log_records
    assert record.event_name == "gen_ai.client.inference.operation.details"
    assert record.time_unix_nano == AT_NS
    assert (record.trace_id.hex(), record.span_id.hex()) == (f"{SPAN.trace_id:032x}", f"{SPAN.span_id:016x}")
    found = {item.key: plain(item.value) for item in record.attributes}
    assert found == {**CHAT, "gen_ai.input.messages": messages}


def test_a_failure_is_a_warning_with_what_was_raised() -> None:
    told = Told()
    told.events.exception(SPAN, AT_NS, error_type="rate_limit_exceeded", message="Slow down.", attributes=CHAT)
    record = told.one
    assert record.event_name == "gen_ai.client.operation.exception"
    assert (record.severity_number, record.severity_text) == (SeverityNumber.WARN, "WARN")
    assert (record.timestamp, record.span_id) == (AT_NS, SPAN.span_id)
    said = {"exception.type": "rate_limit_exceeded", "exception.message": "Slow down."}
    assert dict(record.attributes) == {**CHAT, **said}


def test_a_failure_says_only_what_is_known_of_it() -> None:
    told = Told()
    told.events.exception(SPAN, AT_NS, error_type="ValueError", stacktrace="Traceback…")
    assert dict(told.one.attributes) == {"exception.type": "ValueError", "exception.stacktrace": "Traceback…"}


def test_texts_of_a_failure_are_bounded() -> None:
    told = Told()
    told.events.exception(SPAN, AT_NS, error_type="E", message="m" * 100_000, stacktrace="s" * 100_000)
    assert {len(str(value)) for value in told.one.attributes.values()} == {1, 16_384}


def test_nothing_is_made_for_a_logger_that_sends_nothing() -> None:
    class Unread(dict[str, Any]):
        def items(self) -> Any:
            raise AssertionError

    LogEvents(NoOpLogger("x"), STABLE_NAMES, str).operation(SPAN, AT_NS, Unread())


@pytest.mark.parametrize(
    ("said", "captures", "wanted"),
    [
        (None, False, False),
        (None, True, True),
        ("", True, True),
        ("true", False, True),
        (" TRUE ", False, True),
        ("false", True, False),
        ("yes", False, False),
        ("yes", True, True),
    ],
)
def test_an_operation_is_told_where_content_is_captured_or_the_variable_says_so(
    said: str | None, *, captures: bool, wanted: bool
) -> None:
    environ = {} if said is None else {"OTEL_INSTRUMENTATION_GENAI_EMIT_EVENT": said}
    assert wants_details(environ, captures=captures) is wanted


# -- what OTLP can carry ----------------------------------------------------------------------------------------------


def nested(levels: int, core: str = "core") -> Any:
    value: Any = core
    for _ in range(levels):
        value = {"inner": value}
    return value


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        pytest.param("half \ud83d pair", "half \\ud83d pair", id="half a surrogate pair"),
        pytest.param({"\ud83d": 1, "": 2}, {"\\ud83d": 1, "_": 2}, id="odd names"),
        pytest.param([2**63 - 1, -(2**63), 2**63], [2**63 - 1, -(2**63), "0x8000000000000000"], id="big numbers"),
        pytest.param([True, 1, 1.5, None, b"\xff"], [True, 1, 1.5, None, b"\xff"], id="kinds"),
        pytest.param(nested(20), nested(20), id="deep"),
        pytest.param({"f": nested(0), "t": (1, 2)}, {"f": "core", "t": [1, 2]}, id="a tuple"),
    ],
)
def test_any_json_reaches_a_collector(value: Any, carried: Any) -> None:
    told = Told()
    told.events.operation(SPAN, AT_NS, {}, {"gen_ai.input.messages": value})
    (attribute,) = told.decoded.resource_logs[0].scope_logs[0].log_records[0].attributes
    assert plain(attribute.value) == carried


def test_json_that_is_deeper_than_collectors_read_becomes_text() -> None:
    told = Told()
    told.events.operation(SPAN, AT_NS, {}, {"gen_ai.input.messages": nested(500)})
    (attribute,) = told.decoded.resource_logs[0].scope_logs[0].log_records[0].attributes
    found = plain(attribute.value)
    for _ in range(24):
        found = found["inner"]
    assert isinstance(found, str)
    assert found.startswith('{"inner":{"inner":')


def test_json_that_is_deep_and_has_no_text_is_left_out() -> None:
    found: Any = structure(nested(30, "half \ud83d pair"))
    for _ in range(24):
        found = found["inner"]
    assert found == "…"


def test_what_is_no_json_becomes_a_text() -> None:
    assert structure({1: {"a"}}) == {"1": "{'a'}"}


@pytest.mark.parametrize("level", [10, 15, 20, 21, 25, 30, 35, 40, 45, 50, 52, 53, 60, 1000])
def test_severities_are_those_of_the_official_handler(level: int) -> None:
    assert severity_of(level) is std_to_otel(level)


def test_a_level_below_debug_is_a_trace_and_none_is_unspecified() -> None:
    assert (severity_of(5), severity_of(0)) == (SeverityNumber.TRACE4, SeverityNumber.UNSPECIFIED)
