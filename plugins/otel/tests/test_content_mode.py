"""Whether contents are captured, and for what: configuration, then environment, then not at all."""

from __future__ import annotations

import logging

import msgspec
import pytest
from chatproxy_otel.config import Config
from chatproxy_otel.content import Mode, mode_of

VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"


@pytest.mark.parametrize(
    ("said", "mode"),
    [
        (None, Mode.NO_CONTENT), ("", Mode.NO_CONTENT), ("NO_CONTENT", Mode.NO_CONTENT), ("false", Mode.NO_CONTENT),
        ("SPAN_ONLY", Mode.SPAN_ONLY), ("span_only", Mode.SPAN_ONLY), (" EVENT_ONLY ", Mode.EVENT_ONLY),
        ("SPAN_AND_EVENT", Mode.SPAN_AND_EVENT), ("true", Mode.SPAN_AND_EVENT), ("True", Mode.SPAN_AND_EVENT),
    ],
)  # fmt: skip
def test_the_variable_decides(said: str | None, mode: Mode, caplog: pytest.LogCaptureFixture) -> None:
    assert mode_of(Config(), {} if said is None else {VARIABLE: said}) is mode
    assert caplog.records == []


@pytest.mark.parametrize("mode", list(Mode))
def test_the_configuration_comes_first(mode: Mode) -> None:
    config = msgspec.convert({"capture_content": mode.value}, Config)
    assert mode_of(config, {VARIABLE: "SPAN_AND_EVENT"}) is mode


def test_a_value_that_nobody_knows_captures_nothing_and_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert mode_of(Config(), {VARIABLE: "yes"}) is Mode.NO_CONTENT
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{VARIABLE} is 'yes', wanted one of NO_CONTENT, SPAN_ONLY, EVENT_ONLY, SPAN_AND_EVENT: no content is captured"
    )


def test_modes_say_where_content_goes() -> None:
    assert [(mode.in_spans, mode.in_events) for mode in Mode] == [
        (False, False), (True, False), (False, True), (True, True),
    ]  # fmt: skip
