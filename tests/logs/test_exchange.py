"""The exchange log: its lines, and when they leave."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import msgspec
import pytest

from chatproxy.logs import ExchangeLog
from chatproxy.logs.sink import FLUSH_BYTES
from chatproxy.types import Exchange, HookCall, Usage
from chatproxy.types.exchange import Loss

FULL = Exchange(
    request_id="req_1",
    parent_id="req_0",
    path="/v1/chat/completions",
    model="gpt-x",
    upstream_model="gpt-x-2",
    handler="upstream:default",
    upstream="default",
    principal="team-a",
    stream=True,
    status=200,
    outcome="completed",
    first_byte_s=0.0123456,
    duration_s=1.5,
    request_bytes=812,
    response_bytes=2048,
    events=12,
    usage=Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7, cached_tokens=1, reasoning_tokens=2),
    finish_reasons=["stop"],
    client_request_id="mine",
    translated_to="messages",
    translation_losses=[Loss("seed", "dropped", "unknown there")],
)
LINE = {
    "level": "info",
    "event": "exchange",
    "request_id": "req_1",
    "parent_id": "req_0",
    "method": "POST",
    "path": "/v1/chat/completions",
    "surface": "chat",
    "model": "gpt-x",
    "upstream_model": "gpt-x-2",
    "handler": "upstream:default",
    "upstream": "default",
    "principal": "team-a",
    "stream": True,
    "status": 200,
    "outcome": "completed",
    "error_code": None,
    "duration_ms": 1500.0,
    "first_byte_ms": 12.345,
    "request_bytes": 812,
    "response_bytes": 2048,
    "events": 12,
    "prompt_tokens": 3,
    "completion_tokens": 4,
    "total_tokens": 7,
    "cached_tokens": 1,
    "reasoning_tokens": 2,
    "usage_source": "provider",
    "finish_reasons": ["stop"],
    "client_request_id": "mine",
    "translated_to": "messages",
    "translation_losses": ["dropped seed"],
}


class Stream(io.StringIO):
    """Counts writes, and says when there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = 0
        self.written = asyncio.Event()

    def write(self, text: str, /) -> int:
        self.writes += 1
        self.written.set()
        return super().write(text)


def decoded(text: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in text.splitlines()]


def ids(text: str) -> list[str]:
    return [line["request_id"] for line in decoded(text) if line["event"] == "exchange"]


def waits(log: ExchangeLog) -> bool:
    """Whether a flush is due."""
    return log._timer is not None


def exchange(number: int) -> Exchange:
    return Exchange(request_id=f"req_{number}", model="m")


def test_line_says_all_about_an_exchange() -> None:
    stream = io.StringIO()
    ExchangeLog("json", "info", stream).write(FULL)
    (line,) = decoded(stream.getvalue())
    assert line.pop("ts").endswith("Z")
    assert line == LINE


def test_line_of_a_failure_has_the_same_keys() -> None:
    stream = io.StringIO()
    failed = Exchange(request_id="r", status=502, outcome="failed", error_code="upstream_error")
    ExchangeLog("json", "info", stream).write(failed)
    (line,) = decoded(stream.getvalue())
    assert line.keys() == {"ts", *LINE}
    assert (line["error_code"], line["usage_source"], line["total_tokens"], line["first_byte_ms"]) == (
        "upstream_error",
        None,
        0,
        None,
    )


def test_text_line_is_for_people() -> None:
    stream = io.StringIO()
    log = ExchangeLog("text", "info", stream)
    log.write(FULL)
    log.write(Exchange(request_id="r2", path="/x", model="m", status=499, outcome="client_disconnected"))
    first, second = (line.partition("Z ")[2] for line in stream.getvalue().splitlines())
    assert first == (
        "info     POST /v1/chat/completions 200 gpt-x > gpt-x-2 by default as messages for team-a 12 events"
        " 3+4 tokens 1500 ms (first byte 12 ms) req_1"
    )
    assert second == "info     POST /x 499 m 0 ms client_disconnected r2"


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_clients_send_stays_on_one_line(log_format: Any) -> None:
    nasty = 'a\nb\r"\\\x1b[31m\x00\x7f\x85\x9b\u2028\u202e\udcff'
    stream = io.StringIO()
    log = ExchangeLog(log_format, "info", stream)
    log.write(
        Exchange(request_id="r", path=nasty, model=nasty, principal=nasty, error_code=nasty, finish_reasons=[nasty])
    )
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert not {"\x1b", "\x00", "\x7f", "\x85", "\x9b", "\u2028", "\u202e"} & set(text)
    if log_format == "json":
        assert decoded(text)[0]["model"] == nasty.replace("\udcff", "\\udcff")


@pytest.mark.parametrize("character", ["\x00", "\n", "\x1b", "\x7f", "\x85", "\u2029"])
def test_control_character_is_escaped_and_not_lost(character: str) -> None:
    stream = io.StringIO()
    ExchangeLog("json", "info", stream).write(Exchange(request_id="r", model=f"a{character}b"))
    text = stream.getvalue()
    assert character not in text[:-1]
    assert decoded(text)[0]["model"] == f"a{character}b"


def test_long_names_are_cut() -> None:
    stream = io.StringIO()
    ExchangeLog("json", "info", stream).write(Exchange(request_id="r", model="m" * 10_000, client_request_id="c" * 900))
    (line,) = decoded(stream.getvalue())
    assert (len(line["model"]), len(line["client_request_id"])) == (256, 256)


@pytest.mark.parametrize(("level", "lines"), [("debug", 1), ("info", 1), ("warning", 0), ("error", 0)])
def test_log_is_off_above_info(level: str, lines: int) -> None:
    stream = io.StringIO()
    log = ExchangeLog("json", level, stream)
    log.write(FULL)
    log.close()
    assert len(decoded(stream.getvalue())) == lines


async def test_lines_leave_together_after_a_moment() -> None:
    stream = Stream()
    log = ExchangeLog("json", "info", stream)
    for number in range(3):
        log.write(exchange(number))
    assert stream.writes == 0
    await stream.written.wait()
    assert (stream.writes, ids(stream.getvalue())) == (1, ["req_0", "req_1", "req_2"])
    stream.written.clear()
    log.write(exchange(3))
    await stream.written.wait()
    assert ids(stream.getvalue()) == ["req_0", "req_1", "req_2", "req_3"]


async def test_no_timer_runs_while_nothing_waits() -> None:
    stream = Stream()
    log = ExchangeLog("json", "info", stream)
    assert not waits(log)
    log.write(exchange(0))
    assert waits(log)
    await stream.written.wait()
    assert not waits(log)


async def test_many_lines_leave_before_the_moment_is_over() -> None:
    stream = Stream()
    log = ExchangeLog("json", "info", stream)
    number = 0
    while not stream.writes:
        log.write(exchange(number))
        number += 1
    assert FLUSH_BYTES <= len(stream.getvalue()) < FLUSH_BYTES + 1_000
    assert len(ids(stream.getvalue())) == number


async def test_flush_and_close_write_what_waits() -> None:
    stream = Stream()
    log = ExchangeLog("json", "info", stream)
    log.write(exchange(0))
    log.flush()
    assert ids(stream.getvalue()) == ["req_0"]
    log.write(exchange(1))
    log.close()
    assert ids(stream.getvalue()) == ["req_0", "req_1"]
    assert not waits(log)


def test_log_goes_on_in_a_second_event_loop() -> None:
    stream = io.StringIO()
    log = ExchangeLog("json", "info", stream)

    async def write(number: int) -> None:
        log.write(exchange(number))

    asyncio.run(write(0))
    log._arm_from = 0.0  # a second later
    asyncio.run(write(1))
    log.flush()
    assert ids(stream.getvalue()) == ["req_0", "req_1"]


def detailed(log_format: str, **fields: Any) -> str:
    stream = io.StringIO()
    log = ExchangeLog(log_format, "info", stream, is_detailed=True)  # type: ignore[arg-type]
    log.write(Exchange(request_id="req_1", **fields))
    log.flush()
    return stream.getvalue()


def test_detailed_line_says_what_plugins_did_without_their_secrets() -> None:
    calls = [HookCall("redact", "before_request", "ok", 0.002, 0.001)]
    written = detailed("json", hook_calls=calls, notes={"redact": {"found": "Bearer sk-1234567890abcdef"}})
    line = msgspec.json.decode(written)
    told = {"plugin": "redact", "hook": "before_request", "outcome": "ok", "duration_s": 0.002, "started_s": 0.001}
    assert line["hook_calls"] == [told]
    assert "1234567890abcdef" not in written
    assert written.count("\n") == 1
    assert "redact.before_request ok 2.0 ms" in detailed("text", hook_calls=calls)


def test_note_that_is_no_json_does_not_cost_the_line() -> None:
    line = msgspec.json.decode(detailed("json", notes={"odd": {"value": object()}}))
    assert "odd" in line["notes"]
