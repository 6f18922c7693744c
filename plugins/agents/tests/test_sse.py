"""Events of an agent, however they are cut."""

from __future__ import annotations

import pytest
from chatproxy_agents.sse import SseDecoder, SseEvent

TWO = [SseEvent("status_change", '{"a": "é"}'), SseEvent("message", "x\ny")]


def through(data: bytes, size: int) -> list[SseEvent]:
    decoder = SseDecoder(1000)
    return [event for at in range(0, len(data), size) for event in decoder.feed(data[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
def test_events_come_whole_however_they_are_cut(end: str, size: int) -> None:
    lines = [
        ": hi",
        "event: status_change",
        'data: {"a": "é"}',
        "id: 1",
        "",
        "",
        "retry: 5",
        "data:x",
        "data: y",
        "",
        "",
    ]
    data = ("\ufeff" + end.join(lines)).encode()
    assert through(data + (b"\n" if end == "\r" else b""), size) == TWO


def test_an_event_without_its_end_is_none() -> None:
    assert through(b"data: x\n", 3) == []


@pytest.mark.parametrize("data", [b"data: " + b"x" * 1001, b"data: x\n" * 200, b"event: " + b"y" * 2000])
def test_an_event_that_is_too_long_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="longer than 1000"):
        through(data, 64)


def test_comments_are_no_part_of_an_event() -> None:
    assert through(b": keep\n" * 5000 + b"data: x\n\n", 4096) == [SseEvent("message", "x")]
