"""How long a collector is left alone, and what the log says of it."""

from __future__ import annotations

import logging

import pytest
from chatproxy_otel.export.otlp_http import retry_after_s
from chatproxy_otel.export.outcome import Outcome, Verdict, reason_of, unreached
from chatproxy_otel.export.quiet import EVERY_S, Seldom
from chatproxy_otel.export.retry import FIRST_S, LONGEST_ASKED_S, LONGEST_S, NOTICE_EVERY_S, Retry

DOWN = unreached("http://collector", "refused")
SENT = Outcome(Verdict.SENT)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("failures", range(1, 12))
def test_the_wait_doubles_within_its_bounds(failures: int) -> None:
    retry = Retry("traces", Clock())
    for _ in range(failures):
        retry.failed(DOWN)
    longest = min(LONGEST_S, FIRST_S * 2**failures)
    waits = [retry.wait_s(DOWN) for _ in range(100)]
    assert longest / 2 <= min(waits) < max(waits) <= longest
    retry.succeeded(SENT, 0)
    assert retry.wait_s(DOWN) <= FIRST_S


@pytest.mark.parametrize(("asked", "least", "most"), [(30.0, 30.0, 30.0), (0.0, FIRST_S / 2, FIRST_S), (1e9, 60, 60)])
def test_a_collector_is_left_alone_as_long_as_it_asks(asked: float, least: float, most: float) -> None:
    outcome = Outcome(Verdict.UNAVAILABLE, retry_after_s=asked)
    assert least <= Retry("traces", Clock()).wait_s(outcome) <= most
    assert LONGEST_ASKED_S == 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, None), ("7", 7.0), (" 7 ", 7.0), ("-7", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert retry_after_s(text) == seconds


def test_a_collector_that_comes_and_goes_fills_no_log(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    retry = Retry("traces", clock)
    for dropped in range(100):
        retry.failed(DOWN)
        retry.succeeded(SENT, dropped)
    assert len(caplog.records) == 2
    clock.now_s += NOTICE_EVERY_S
    retry.failed(Outcome(Verdict.REFUSED, "HTTP 400"))
    retry.failed(DOWN)
    retry.succeeded(SENT, 109)
    assert [record.getMessage() for record in caplog.records[2:]] == [
        "traces are dropped: the collector refuses them: HTTP 400",
        "traces are exported again; 10 were dropped meanwhile",
    ]


def test_a_long_outage_is_said_even_if_it_began_soon_after_another(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    retry = Retry("traces", clock)
    retry.failed(DOWN)
    retry.succeeded(SENT, 0)
    retry.failed(DOWN)
    assert len(caplog.records) == 2
    clock.now_s += NOTICE_EVERY_S
    retry.failed(DOWN)
    assert len(caplog.records) == 3


def test_rejected_items_are_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    retry = Retry("logs", Clock())
    for _ in range(5):
        retry.succeeded(Outcome(Verdict.SENT, rejected=3), 0)
    assert [record.getMessage() for record in caplog.records] == ["the collector rejected 3 logs of a batch"]


def test_a_reason_is_one_short_line() -> None:
    reason = reason_of("http://collector", "bad\r\n\x1b[31mrequest" + "x" * 1000)
    assert reason.startswith("http://collector: bad   [31mrequestx")
    assert len(reason) < 250


def test_a_repeated_message_passes_once_a_minute() -> None:
    clock = Clock()
    seldom = Seldom(clock)

    def passes(text: str, *args: object) -> bool:
        return seldom.filter(logging.LogRecord("sdk", logging.WARNING, "", 0, text, args, None))

    assert [passes("cut %d", 1), passes("cut %d", 2), passes("other")] == [True, False, True]
    clock.now_s += EVERY_S
    assert passes("cut %d", 3)
