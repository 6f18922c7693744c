"""Python's logs as OpenTelemetry log records: what is sent, once, with which ids, and what never is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from chatproxy_otel.logs import bridge
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context, attach, detach
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

SPAN = SpanContext(0xAF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331, is_remote=False, trace_flags=TraceFlags(1))


class Sent:
    """A provider, and what was sent by it."""

    def __init__(self) -> None:
        self._exporter = InMemoryLogRecordExporter()
        self.provider = LoggerProvider(shutdown_on_exit=False)
        self.provider.add_log_record_processor(SimpleLogRecordProcessor(self._exporter))

    @property
    def all(self) -> list[ReadableLogRecord]:
        return list(self._exporter.get_finished_logs())

    @property
    def one(self) -> Any:
        (found,) = self.all
        return found.log_record

    @property
    def bodies(self) -> list[Any]:
        return [found.log_record.body for found in self.all]


@pytest.fixture
def sent() -> Sent:
    return Sent()


@pytest.fixture
def ours() -> Iterator[logging.Logger]:
    """The logger ``chatproxy`` as it is in a process of our own: its records do not reach the root."""
    logger = logging.getLogger("chatproxy")
    level, propagate = logger.level, logger.propagate
    logger.setLevel("DEBUG")
    logger.propagate = False
    yield logger
    logger.setLevel(level)
    logger.propagate = propagate


def test_a_record_is_sent_with_its_logger_level_time_and_message(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str):
        ours.getChild("engine").warning("%d of %s", 3, "four")
        ours.getChild("engine").debug("too fine")
    (found,) = sent.all
    record = found.log_record
    assert found.instrumentation_scope is not None
    assert found.instrumentation_scope.name == "chatproxy.engine"
    assert (record.body, record.severity_number, record.severity_text) == ("3 of four", SeverityNumber.WARN, "WARN")
    assert record.timestamp is not None
    assert 0 <= record.observed_timestamp - record.timestamp < 60e9
    assert not record.attributes


@pytest.mark.parametrize("propagates", [True, False])
def test_a_record_is_sent_once_whether_it_reaches_the_root_or_not(
    sent: Sent, ours: logging.Logger, *, propagates: bool
) -> None:
    ours.propagate = propagates
    with bridge(sent.provider, "info", str):
        ours.error("ours")
        logging.getLogger("a.library").error("theirs")
        logging.getLogger().error("the root's")
        logging.getLogger("uvicorn.error").error("the server's")
    assert sent.bodies == ["ours", "theirs", "the root's", "the server's"]


def test_nothing_is_sent_after_the_end_and_no_handler_is_left(sent: Sent, ours: logging.Logger) -> None:
    before = [list(logger.handlers) for logger in (ours, logging.getLogger())]
    with bridge(sent.provider, "info", str):
        pass
    ours.error("late")
    assert sent.all == []
    assert [list(logger.handlers) for logger in (ours, logging.getLogger())] == before


@pytest.mark.parametrize(("provider", "level"), [(False, "info"), (True, None)], ids=["no provider", "no level"])
def test_without_a_provider_or_a_level_nothing_is_attached(
    sent: Sent, ours: logging.Logger, *, provider: bool, level: str | None
) -> None:
    before = list(ours.handlers)
    with bridge(sent.provider if provider else None, level, str) as made:
        ours.error("not sent")
        assert ours.handlers == before
        assert made.mark(Context()) != Context()
    assert sent.all == []


@pytest.mark.parametrize(
    "name",
    [
        "opentelemetry.sdk.trace.export",
        "opentelemetry.exporter.otlp.proto.http",
        "urllib3.connectionpool",
        "requests",
        "grpc._channel",
        "chatproxy_otel.export",
        "chatproxy.plugins.otel",
        "httpx2",
        "uvicorn.access",
    ],
)
def test_what_exporting_logs_and_what_logs_addresses_is_not_sent(sent: Sent, ours: logging.Logger, name: str) -> None:
    with bridge(sent.provider, "info", str):
        logging.getLogger(name).error("GET /v1/traces?key=1")
    assert sent.all == []


def test_a_logger_that_only_begins_like_one_left_out_is_sent(sent: Sent) -> None:
    with bridge(sent.provider, "info", str):
        logging.getLogger("requests_of_mine").error("sent")
    assert sent.bodies == ["sent"]


# -- fields -----------------------------------------------------------------------------------------------------------


def test_added_fields_are_attributes_and_those_of_chatproxy_have_its_names(sent: Sent, ours: logging.Logger) -> None:
    added = {"request_id": "req_1", "plugin": "guard", "hook": "before_request", "count": 3, "tags": ["a", "b"]}
    with bridge(sent.provider, "info", str):
        ours.error("failed", extra={**added, "detail": {"path": ("x", 1.5, None)}, "nothing": None})
    assert dict(sent.one.attributes) == {
        "chatproxy.request_id": "req_1",
        "chatproxy.plugin": "guard",
        "chatproxy.hook.name": "before_request",
        "count": 3,
        "tags": ("a", "b"),
        "detail": {"path": ("x", 1.5, None)},
    }


class NoAnswerError(Exception):
    pass


def test_an_exception_is_told_with_type_message_and_trace(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str):
        try:
            raise NoAnswerError("nobody there")
        except NoAnswerError:
            ours.exception("asked")
    attributes = sent.one.attributes
    assert attributes["exception.type"] == f"{__name__}.NoAnswerError"
    assert attributes["exception.message"] == "nobody there"
    assert attributes["exception.stacktrace"].startswith("Traceback (most recent call last):\n")
    assert attributes["exception.stacktrace"].rstrip().endswith("NoAnswerError: nobody there")


def test_the_type_of_a_builtin_exception_has_no_module(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str):
        ours.error("asked", exc_info=ValueError("x"))
    assert sent.one.attributes["exception.type"] == "ValueError"


class Nasty:
    """Whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class NastyError(Exception):
    __str__ = Nasty.__str__


@pytest.mark.parametrize(
    ("message", "extra", "body"),
    [
        pytest.param(("%d", "x"), {}, "%d (tuple of arguments that do not fit)", id="arguments do not fit"),
        pytest.param(("%s", Nasty()), {}, "%s (tuple of arguments that do not fit)", id="an argument raises"),
        pytest.param(("fine",), {"odd": Nasty()}, "fine", id="a field raises"),
        pytest.param(("half \ud800 pair",), {"\ud800": "\udfff"}, "half \\ud800 pair", id="no UTF-8"),
        pytest.param(("fine",), {"big": 2**70, "": "no name", "raw": b"\xff"}, "fine", id="odd values"),
        pytest.param(({"not": "a text"},), {}, "{'not': 'a text'}", id="message is no text"),
    ],
)
def test_whatever_is_logged_the_record_is_sent_and_nobody_hears_of_it(
    sent: Sent, ours: logging.Logger, message: tuple[Any, ...], extra: dict[str, Any], body: str
) -> None:
    ours.handlers.clear()  # pytest's own raises for such records
    with bridge(sent.provider, "info", str) as made:
        record = ours.makeRecord(ours.name, 40, "x.py", 1, message[0], message[1:], None)
        vars(record).update(extra)
        ours.handle(record)
    assert sent.bodies == [body]
    assert made.lost == 0
    assert len(sent.one.attributes) == len(extra)


def test_an_exception_without_a_text_is_told_by_its_type(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str):
        ours.error("failed", exc_info=NastyError())
    assert sent.one.attributes["exception.type"] == f"{__name__}.NastyError"


def test_texts_and_fields_are_bounded(sent: Sent, ours: logging.Logger) -> None:
    deep: Any = "end"
    for _ in range(100):
        deep = [deep]
    extra = {f"field_{number}": "v" * 100_000 for number in range(100)}
    with bridge(sent.provider, "info", str):
        ours.error("m" * 1_000_000, extra={"deep": deep, "wide": list(range(1000)), **extra})
    record = sent.one
    assert len(record.body) == 16_384
    assert len(record.attributes) == 24
    assert record.attributes["deep"] == ((("…",),),)
    assert len(record.attributes["wide"]) == 32
    assert {len(record.attributes[f"field_{number}"]) for number in range(22)} == {1024}


def test_loggers_without_end_share_a_scope(sent: Sent) -> None:
    with bridge(sent.provider, "info", str):
        for number in range(600):
            logging.getLogger().handle(logging.makeLogRecord({"name": f"job.{number}", "msg": "x", "levelno": 40}))
    scopes = {found.instrumentation_scope.name for found in sent.all if found.instrumentation_scope is not None}
    assert len(sent.all) == 600
    assert len(scopes) == 513
    assert "chatproxy.other" in scopes


# -- traces -----------------------------------------------------------------------------------------------------------


def test_a_record_has_the_ids_of_the_current_span(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str):
        token = attach(set_span_in_context(NonRecordingSpan(SPAN)))
        ours.error("within")
        detach(token)
        ours.error("outside")
    ids = [(found.log_record.trace_id, found.log_record.span_id, found.log_record.trace_flags) for found in sent.all]
    assert ids == [(SPAN.trace_id, SPAN.span_id, 1), (0, 0, 0)]


def test_outside_of_an_exchange_a_request_id_finds_its_span(sent: Sent, ours: logging.Logger) -> None:
    with bridge(sent.provider, "info", str, trace_of={"req_1": SPAN}.get):
        ours.error("known", extra={"request_id": "req_1"})
        ours.error("unknown", extra={"request_id": "req_2"})
        ours.error("odd", extra={"request_id": ["req_1"]})
        ours.error("none")
    assert [found.log_record.span_id for found in sent.all] == [SPAN.span_id, 0, 0, 0]


# -- several of them --------------------------------------------------------------------------------------------------


def test_two_gateways_of_a_process_do_not_double_and_the_second_goes_on_alone(ours: logging.Logger) -> None:
    first, second = Sent(), Sent()
    one, other = bridge(first.provider, "info", str), bridge(second.provider, "info", str)
    one.__enter__()
    other.__enter__()
    ours.error("of the process")
    one.__exit__(None, None, None)
    ours.error("later")
    other.__exit__(None, None, None)
    assert (first.bodies, second.bodies) == (["of the process"], ["later"])


def test_what_is_logged_in_an_exchange_goes_to_its_own_gateway(ours: logging.Logger) -> None:
    first, second = Sent(), Sent()
    with bridge(first.provider, "info", str) as one, bridge(second.provider, "info", str) as other:
        for made in (one, other):
            token = attach(made.mark(Context()))
            ours.error("of an exchange")
            detach(token)
    assert (len(first.all), len(second.all)) == (1, 1)


def test_a_logger_with_the_official_handler_is_left_to_it(sent: Sent, ours: logging.Logger) -> None:
    kind = type("LoggingHandler", (logging.NullHandler,), {"__module__": "opentelemetry.instrumentation.logging"})
    official = kind()
    logging.getLogger().addHandler(official)
    try:
        with bridge(sent.provider, "info", str):
            ours.error("sent by us")
            logging.getLogger("a.library").error("sent by it")
            ours.propagate = True
        with bridge(sent.provider, "info", str):
            ours.error("sent by it")
    finally:
        logging.getLogger().removeHandler(official)
    assert sent.bodies == ["sent by us"]


# -- it never hurts ---------------------------------------------------------------------------------------------------


class Failing(LogRecordProcessor):
    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        raise RuntimeError("full")

    def shutdown(self) -> None: ...

    def force_flush(self, timeout_millis: int = 0) -> bool:
        return True


def test_a_processor_that_raises_is_counted_and_not_heard(ours: logging.Logger, capfd: Any) -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(Failing())
    with bridge(provider, "info", str) as made:
        ours.error("one")
        ours.error("two")
    assert made.lost == 2
    assert capfd.readouterr() == ("", "")


def test_a_record_made_while_one_is_sent_is_not_sent(sent: Sent, ours: logging.Logger) -> None:
    def redact(text: str) -> str:
        ours.error("redacting %s", text)
        return text

    with bridge(sent.provider, "info", redact):
        ours.error("once")
    assert sent.bodies == ["once"]


def test_a_record_is_sent_while_another_thread_is_stuck_in_sending(ours: logging.Logger) -> None:
    stuck, release = threading.Event(), threading.Event()
    sent = Sent()

    def redact(text: str) -> str:
        if text == "slow":
            stuck.set()
            release.wait(10)
        return text

    with bridge(sent.provider, "info", redact):
        thread = threading.Thread(target=ours.error, args=("slow",))
        thread.start()
        assert stuck.wait(10)
        ours.error("fast")
        assert sent.bodies == ["fast"]
        release.set()
        thread.join(10)
    assert sent.bodies == ["fast", "slow"]
