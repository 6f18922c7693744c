"""The decoder of server-sent events, by itself: any slicing of any stream gives the same events."""

from __future__ import annotations

from itertools import pairwise

import pytest
from chatproxy_sdk._core.chunks import ChunkReader
from chatproxy_sdk._core.faults import FaultError
from chatproxy_sdk._core.sse import EventDecoder
from hypothesis import given
from hypothesis import strategies as st

LIMIT = 10_000
LINES = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data",
        b"data:",
        b"data:  c",
        b": note",
        b"event: x",
        b"id: 1",
        b"dataset: d",
        b"",
        b" ",
        b"\xc3\xa9",
    ]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def _events(parts: list[bytes]) -> list[bytes]:
    decoder = EventDecoder(LIMIT)
    return [event for part in parts for event in decoder.feed(part)]


def _expected(lines: list[bytes]) -> list[bytes]:
    """The specification, line by line."""
    events: list[bytes] = []
    data: list[bytes] = []
    for line in lines:
        if not line:
            events += [b"\n".join(data)] if data else []
            data = []
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    return events


@given(st.lists(st.tuples(LINES, ENDS), max_size=30), st.booleans(), st.lists(st.integers(0, 400)))
def test_any_slicing_gives_what_the_specification_says(
    lines: list[tuple[bytes, bytes]], has_bom: bool, cuts: list[int]
) -> None:
    stream = (b"\xef\xbb\xbf" if has_bom else b"") + b"".join(line + end for line, end in lines)
    places = [0, *sorted(cut for cut in cuts if cut < len(stream)), len(stream)]
    sliced = [stream[start:end] for start, end in pairwise(places)]
    expected = _expected(_lines(lines))
    assert _events([stream]) == expected
    assert _events(sliced) == expected
    assert _events([stream[index : index + 1] for index in range(len(stream))]) == expected


def _lines(written: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The lines that a reader sees: CR of one and LF of an empty one behind it are one end."""
    seen: list[bytes] = []
    before = b""
    for line, end in written:
        if not (before == b"\r" and line == b"" and end == b"\n"):
            seen.append(line)
        before = end
    return seen


@given(st.binary(max_size=200), st.integers(1, 7))
def test_any_bytes_can_be_fed_in_any_pieces(data: bytes, size: int) -> None:
    assert _events([data]) == _events([data[start : start + size] for start in range(0, len(data), size)])


@pytest.mark.parametrize("size", [1, 7, 4096, 1 << 20], ids=["bytes", "sevens", "pages", "whole"])
def test_an_event_over_the_limit_is_a_fault_after_those_before_it(size: int) -> None:
    stream = b"data: a\n\n" + b"data: " + b"x" * LIMIT + b"\n\n" + b"data: b\n\n"
    decoder = EventDecoder(LIMIT)
    events = (event for start in range(0, len(stream), size) for event in decoder.feed(stream[start : start + size]))
    assert next(events) == b"a"
    with pytest.raises(FaultError, match="longer than 10000 bytes"):
        next(events)


def test_events_under_the_limit_pass_however_many_come_at_once() -> None:
    assert _events([b"data: " + b"x" * (LIMIT - 6) + b"\n\n"] * 3) == [b"x" * (LIMIT - 6)] * 3
    assert len(_events([b"data: abc\n\n" * LIMIT])) == LIMIT


def test_a_megabyte_fed_by_the_byte_is_searched_once() -> None:
    """Two thousand times the work, or an end in linear time: the test's time-out tells them apart."""
    decoder = EventDecoder(1 << 21)
    stream = b"data: " + b"x" * (1 << 20) + b"\n\n"
    found = [event for index in range(len(stream)) for event in decoder.feed(stream[index : index + 1])]
    assert [len(event) for event in found] == [1 << 20]


def test_what_comes_after_done_is_not_read() -> None:
    reader = ChunkReader(max_event_bytes=LIMIT, request_id=None)
    chunks, error = reader.feed(b'data: {"id":"1"}\n\ndata: [DONE]\n\ndata: {\n\n')
    assert ([chunk.id for chunk in chunks], error, reader.is_done) == (["1"], None, True)
