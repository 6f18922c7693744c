"""Requests that are sent again, and those that are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from chatproxy_sdk._core.retries import Retries
from chatproxy_sdk._core.terms import Call
from chatproxy_sdk.exceptions import (
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
    ServerConnectionError,
)

from ..servers import FaultServer, Reply, chat_stream, invalid_json, reset_after, says, server_error, too_many
from .conftest import QUICK, Connect
from .driving import Outcome


def _text(outcome: Outcome) -> str:
    if outcome.answer is None:
        return outcome.text
    text: str = outcome.answer.json()["choices"][0]["message"]["content"]
    return text


@pytest.mark.parametrize(
    "fault",
    [too_many(), too_many("0"), too_many("0.01"), server_error(500), server_error(503), reset_after()],
    ids=["429", "429-now", "429-soon", "500", "503", "reset"],
)
def test_a_passing_fault_is_lived_through(connect: Connect, server: FaultServer, call: Call, fault: Reply) -> None:
    server.replies(fault, fault, says("fine"))
    outcome = connect(retries=QUICK).run(call)
    assert outcome.error is None
    assert _text(outcome) == "fine"
    assert len(server.requests) == 3
    assert len({request.body for request in server.requests}) == 1


def test_retry_after_in_seconds_is_what_is_waited(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(too_many("0.05"), says("fine"))
    driver = connect(retries=Retries(limit=1, delay_s=30))
    assert driver.run(call).error is None
    assert driver.waits == [0.05]


def test_retry_after_as_a_date_is_what_is_waited(connect: Connect, server: FaultServer) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
    server.replies(too_many(date), says("fine"))
    driver = connect(retries=Retries(limit=1, delay_s=30))
    assert driver.fetch().error is None
    (wait_s,) = driver.waits
    assert wait_s is not None
    assert 0 <= wait_s <= 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_wait_that_is_too_long_is_not_begun(connect: Connect, server: FaultServer, call: Call, form: str) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=3600), usegmt=True)
    server.replies(too_many("3600" if form == "seconds" else date))
    driver = connect(retries=Retries(limit=3, longest_wait_s=10))
    error = driver.run(call).error
    assert isinstance(error, RateLimitError)
    assert error.retry_after == pytest.approx(3600, abs=30)
    assert error.request_id == "req-1"
    assert len(server.requests) == 1
    assert driver.waits == [None]


def test_after_the_last_attempt_the_error_is_raised(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(server_error(503))
    driver = connect(retries=QUICK)
    error = driver.run(call).error
    assert isinstance(error, InternalServerError)
    assert (error.status_code, error.type, error.message) == (503, "api_error", "It broke.")
    assert len(server.requests) == 3
    assert driver.waits[-1] is None
    assert all(0 < wait < 0.01 for wait in driver.waits[:-1] if wait is not None)


@pytest.mark.parametrize("text", ["a", ""], ids=["text", "no text"])
def test_a_stream_that_breaks_is_tried_again_only_before_text(connect: Connect, server: FaultServer, text: str) -> None:
    server.replies(reset_after(text), chat_stream("again"))
    outcome = connect(retries=QUICK).stream()
    assert outcome.text == (text or "again")
    assert isinstance(outcome.error, ServerConnectionError) is bool(text)
    assert len(server.requests) == (1 if text else 2)


def test_a_tool_call_that_was_given_is_not_asked_for_again(connect: Connect, server: FaultServer) -> None:
    piece = {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "c"}]}}]}
    server.replies(reset_after(piece), chat_stream("again"))
    outcome = connect(retries=QUICK).stream()
    assert isinstance(outcome.error, ServerConnectionError)
    assert len(server.requests) == 1


def test_what_cannot_pass_is_not_tried_again(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(invalid_json(400), says("never"))
    driver = connect(retries=QUICK)
    assert driver.run(call).error is not None
    assert len(server.requests) == 1


def test_an_answer_that_cannot_be_read_is_not_asked_for_again(connect: Connect, server: FaultServer) -> None:
    server.replies(invalid_json(), says("never"))
    outcome = connect(retries=QUICK).stream()
    assert isinstance(outcome.error, InvalidResponseError)
    assert len(server.requests) == 1
