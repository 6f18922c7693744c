"""Log records as lines: their form, and that whatever they carry stays on one line."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatproxy.errors import ConfigError
from chatproxy.logs import RateLimited, setup_logging
from chatproxy.logs.lines import Stamp

NASTY = "a\nb\r\nc\x1b[31mred\x1b[0m\x00\x07\x7f\x85\x9b2J\u2028\u2029\u202e\ttab \udcff"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def decoded(stream: io.StringIO) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in stream.getvalue().splitlines()]


def test_json_line_has_the_fields_of_the_record() -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    logging.getLogger("chatproxy.engine").warning("took %d ms", 12, extra={"request_id": "req_1", "n": 3, "level": "x"})
    (line,) = decoded(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("ts"))
    assert line == {
        "level": "warning",
        "logger": "chatproxy.engine",
        "message": "took 12 ms",
        "request_id": "req_1",
        "n": 3,
    }


@pytest.mark.parametrize(
    ("unix_s", "expected"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (951782400.9996, "2000-02-29T00:00:00.999Z"),
        (951782401.5, "2000-02-29T00:00:01.500Z"),
    ],
)
def test_time_is_rfc_3339_in_utc(unix_s: float, expected: str) -> None:
    stamp = Stamp()
    stamp.of(5.0)
    assert stamp.of(unix_s) == expected


def test_exception_is_one_field() -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("chatproxy").exception("failed")
    (line,) = decoded(stream)
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["exception"].endswith("ValueError: first\nsecond\n")


def test_text_line_shows_the_exception_in_short() -> None:
    stream = io.StringIO()
    setup_logging("text", "info", stream)
    try:
        try:
            raise KeyError("inner")
        except KeyError as exc:
            raise ValueError("first\nsecond") from exc
    except ValueError:
        logging.getLogger("chatproxy.x").exception("failed", extra={"plugin": "alpha"})
    (line,) = stream.getvalue().splitlines()
    assert re.fullmatch(
        r"\S+Z error    chatproxy\.x: failed plugin=alpha \[ValueError: first\\nsecond at \S+test_setup\.py:\d+ \w+\]"
        r" caused by \[KeyError: 'inner'\]",
        line,
    )


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_nothing_breaks_the_line(log_format: Any) -> None:
    stream = io.StringIO()
    setup_logging(log_format, "info", stream)
    logger = logging.getLogger("chatproxy")
    try:
        raise RuntimeError(NASTY)
    except RuntimeError:
        logger.exception(
            "model %s", NASTY, extra={"model": NASTY, NASTY: {NASTY: [NASTY, NASTY.encode("utf-8", "replace")]}}
        )
    text = stream.getvalue()
    assert text.endswith("\n")
    assert not CONTROL.search(text[:-1])
    assert len(text.splitlines()) == 1


def test_json_keeps_what_it_escapes() -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    value = NASTY.replace("\udcff", "")
    logging.getLogger("chatproxy").info("x", extra={"model": value})
    assert decoded(stream)[0]["model"] == value


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    message=st.text(), value=st.recursive(st.text() | st.integers() | st.floats() | st.binary(), st.lists, max_leaves=5)
)
@pytest.mark.parametrize("log_format", ["json", "text"])
def test_any_record_is_one_line(log_format: Any, message: str, value: object) -> None:
    stream = io.StringIO()
    setup_logging(log_format, "info", stream)
    logging.getLogger("chatproxy").info("%s", message, extra={"value": value})
    assert len(stream.getvalue().splitlines()) == 1
    if log_format == "json":
        assert decoded(stream)[0]["level"] == "info"


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


def test_record_that_cannot_be_written_is_said_and_does_not_raise() -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    logger = logging.getLogger("chatproxy.bad")
    logger.info("%d things", "not a number")
    logger.info("x", extra={"thing": Unprintable()})
    assert [line["message"] for line in decoded(stream)] == [
        "%d things ('not a number',)",
        "a record of chatproxy.bad cannot be written: RuntimeError",
    ]


@pytest.mark.parametrize("name", ["chatproxy.x", "uvicorn.error", "uvicorn.access", "asyncio", "litestar"])
def test_libraries_below_use_the_same_form_once(name: str) -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    setup_logging("json", "info", stream)
    logging.getLogger(name).error("here")
    assert [(line["logger"], line["message"]) for line in decoded(stream)] == [(name, "here")]


@pytest.mark.parametrize(("level", "expected"), [("debug", 3), ("info", 2), ("WARNING", 1), ("critical", 0)])
def test_level_is_the_least_that_is_written(level: str, expected: int) -> None:
    stream = io.StringIO()
    setup_logging("json", level, stream)
    logger = logging.getLogger("chatproxy.levels")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    assert len(decoded(stream)) == expected


@pytest.mark.parametrize(
    ("log_format", "level", "message"),
    [
        ("xml", "info", "log_format: found 'xml', wanted one of auto, json, text"),
        ("json", "loud", "log_level: found 'loud', wanted one of debug, info, warning, error, critical"),
    ],
)
def test_unknown_format_or_level_is_refused(log_format: Any, level: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        setup_logging(log_format, level, io.StringIO())
    assert str(caught.value) == message


def on_terminal(use: Callable[[io.TextIOWrapper], None]) -> str:
    master, slave = pty.openpty()
    try:
        with os.fdopen(slave, "w", encoding="utf-8", closefd=False) as stream:
            use(stream)
        return os.read(master, 65_536).decode()
    finally:
        os.close(slave)
        os.close(master)


def warn_on(stream: io.TextIOWrapper) -> None:
    setup_logging("auto", "info", stream)
    logging.getLogger("chatproxy").warning("careful")


def test_auto_is_coloured_text_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert re.fullmatch(r"\S+Z \x1b\[33mwarning \x1b\[0m chatproxy: careful\r\n", on_terminal(warn_on))


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert re.fullmatch(r"\S+Z warning  chatproxy: careful\r\n", on_terminal(warn_on))


def test_auto_is_json_elsewhere() -> None:
    stream = io.StringIO()
    setup_logging("auto", "info", stream)
    logging.getLogger("chatproxy").warning("careful")
    assert decoded(stream)[0]["message"] == "careful"


def test_stream_that_is_closed_or_missing_costs_lines_only(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    setup_logging("json", "info", stream)
    stream.close()
    logging.getLogger("chatproxy").warning("lost")
    monkeypatch.setattr("sys.stderr", None)
    setup_logging("json", "info")
    logging.getLogger("chatproxy").warning("lost too")


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


@pytest.fixture
def recorder() -> Recorder:
    logger = logging.getLogger("chatproxy.limited")
    found = Recorder()
    logger.handlers[:] = [found]
    logger.setLevel(logging.INFO)
    return found


def test_repeated_message_is_logged_once_a_second_with_the_number_left_out(recorder: Recorder) -> None:
    now = [100.0]
    limited = RateLimited(logging.getLogger("chatproxy.limited"), clock=lambda: now[0])
    results = [limited.warning("full", "%d%% full", 99) for _ in range(4)]
    now[0] = 100.999
    results.append(limited.warning("full", "%d%% full", 99))
    now[0] = 101.0
    results.append(limited.warning("full", "100%"))
    now[0] = 102.0
    results.append(limited.warning("full", "100%"))
    assert results == [True, False, False, False, False, True, True]
    assert recorder.messages == ["99% full", "100% (4 more in between)", "100%"]


def test_keys_are_limited_each_on_its_own_and_forgotten_in_time(recorder: Recorder) -> None:
    now = [0.0]
    limited = RateLimited(logging.getLogger("chatproxy.limited"), clock=lambda: now[0])
    for key in range(5_000):
        assert limited.log(logging.INFO, key, "key")
        now[0] += 0.01
    assert len(recorder.messages) == 5_000
    assert len(limited._next_at) <= 1_024
