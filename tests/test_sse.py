"""Server-sent events: the same frames however a stream is sliced, by WHATWG's rules, within limits."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chatproxy.errors import UpstreamError
from chatproxy.sse import (
    DONE,
    FrameSplitter,
    encode_frame,
    frame_data,
    frame_event,
    is_activity,
    replace_data,
)

LINES = [
    b"data: x", b"data:x", b"data:  two spaces", b"data", b"data:", b"data: a:b", b"da", b" data: no", b"dataset: no",
    b"data: h\xc3\xa9\xf0\x9f\x98\x80",
    b"data: \x0b\x0c\x1c\x1d\x1e\x85\xe2\x80\xa8", b"data: \xef\xbb\xbf", b"data: \x00",
    b"event: a", b"event:b", b"event", b"event: ", b"id: 1", b"retry: 5", b": comment", b":", b": data: hidden",
]  # fmt: skip
ENDS = [b"\n", b"\r\n", b"\r"]

line = st.tuples(st.sampled_from([*LINES, b"", b""]), st.sampled_from(ENDS)).map(b"".join)
streams = st.tuples(st.sampled_from([b"", b"\xef\xbb\xbf"]), st.lists(line, max_size=12).map(b"".join)).map(b"".join)
cuts = st.lists(st.integers(0, 200), max_size=12)


def sliced(stream: bytes, at: list[int]) -> list[bytes]:
    edges = [0, *sorted(min(cut, len(stream)) for cut in at), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


def frames_of(chunks: list[bytes]) -> list[bytes]:
    splitter = FrameSplitter()
    frames = [frame for chunk in chunks for frame in splitter.feed(chunk)]
    last = splitter.flush()
    return frames if last is None else [*frames, last]


def events_by_the_standard(stream: bytes) -> list[tuple[str, bytes]]:
    """Section 9.2.6 read aloud: lines first, then fields, one event at each blank line that has data."""
    stream = stream.removeprefix(b"\xef\xbb\xbf")
    lines, current, i = [], b"", 0
    while i < len(stream):
        char = stream[i : i + 1]
        if char == b"\r" and stream[i + 1 : i + 2] == b"\n":
            i += 1
        if char in {b"\r", b"\n"}:
            lines.append(current)
            current = b""
        else:
            current += char
        i += 1
    events, data, name = [], b"", b""
    for text in lines:
        if text == b"":
            if data != b"":
                events.append((name.decode() or "message", data[:-1]))
            data, name = b"", b""
            continue
        field, value = (text, b"") if b":" not in text else text.split(b":", 1)
        value = value[1:] if value[:1] == b" " else value
        if field == b"data":
            data += value + b"\n"
        elif field == b"event":
            name = value
    return events


@given(streams, cuts)
@example(b"data: x\r\n\r\ndata: y\r\n\r\n", [10])
@example(b"data: x\r\r\n", [9])
@example(b"data: x\n\r\r\n\n", [9])
@example(b"data: x\r\rdata: y\r\n\r\ndata: z\n\n", [19])
@example(b"data: x\n\ndata: y\r\rdata: z\n\n", [9])
def test_every_slicing_gives_the_same_frames(stream: bytes, at: list[int]) -> None:
    whole = frames_of([stream])
    assert frames_of(sliced(stream, at)) == whole
    assert frames_of([stream[i : i + 1] for i in range(len(stream))]) == whole


@given(streams, cuts)
def test_events_are_those_of_the_standard(stream: bytes, at: list[int]) -> None:
    stream += b"\ndata: end\n\n"
    frames = frames_of(sliced(stream, at))
    events = [(frame_event(frame), data) for frame in frames if (data := frame_data(frame)) is not None]
    assert events == events_by_the_standard(stream)


@st.composite
def tidy_frames(draw: st.DrawFn) -> bytes:
    """A frame without stray blank lines, its line ends mixed in any way but CRLF for the blank line after a bare CR."""
    lines = draw(st.lists(st.sampled_from(LINES), min_size=1, max_size=4))
    ends = [draw(st.sampled_from(ENDS)) for _ in lines]
    blank = b"\r" if ends[-1] == b"\r" else draw(st.sampled_from(ENDS))
    return b"".join(text + end for text, end in zip(lines, ends, strict=True)) + blank


@given(st.lists(tidy_frames(), max_size=6), cuts)
def test_joined_frames_are_the_bytes_of_the_stream(frames: list[bytes], at: list[int]) -> None:
    stream = b"".join(frames)
    assert b"".join(frames_of(sliced(stream, at))) == stream


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("count", [1, 2, 7])
def test_runs_of_blank_lines_are_dropped(end: bytes, count: int) -> None:
    stream = end * count + b"data: a" + end * (count + 1) + b"data: b" + end * 2
    assert frames_of([stream]) == [b"data: a" + end * 2, b"data: b" + end * 2]
    assert frames_of([bytes([byte]) for byte in stream]) == [b"data: a" + end * 2, b"data: b" + end * 2]


@pytest.mark.parametrize("end", ENDS)
def test_a_whole_frame_does_not_wait_for_the_next_bytes(end: bytes) -> None:
    splitter = FrameSplitter()
    assert splitter.feed(b"data: a" + end * 2) == [b"data: a" + end * 2]
    assert splitter.pending == b""


def test_a_crlf_cut_in_two_is_not_cut_into_two_frames() -> None:
    splitter = FrameSplitter()
    assert splitter.feed(b"data: a\r\n\r") == []
    assert splitter.feed(b"\ndata: b\r\n\r\n") == [b"data: a\r\n\r\n", b"data: b\r\n\r\n"]


@pytest.mark.parametrize(
    "frame", [b"data: {}\n\n", b"event: a\ndata: {}\n\n", b"data: {}\r\n\r\n", b": ping\n\n", b"data: a\r\r"]
)
def test_a_chunk_that_is_one_frame_comes_back_as_the_same_object(frame: bytes) -> None:
    splitter = FrameSplitter()
    splitter.feed(DONE)
    assert splitter.feed(frame)[0] is frame


@pytest.mark.parametrize("chunks", [[b"\xef\xbb\xbfdata: a\n\n"], [b"\xef", b"\xbb", b"", b"\xbf", b"data: a\n\n"]])
def test_a_leading_byte_order_mark_is_dropped(chunks: list[bytes]) -> None:
    assert frames_of(chunks) == [b"data: a\n\n"]


def test_bytes_like_a_cut_byte_order_mark_are_kept() -> None:
    assert frames_of([b"\xef", b"\xbb", b"data: a\n\n"]) == [b"\xef\xbbdata: a\n\n"]
    assert frames_of([b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n"]) == [b"data: a\n\n", b"\xef\xbb\xbfdata: b\n\n"]


@pytest.mark.parametrize(
    ("rest", "last"),
    [
        (b"", None),
        (b"\n\r\n", None),
        (b"data: a", b"data: a\n\n"),
        (b"data: a\n", b"data: a\n\n"),
        (b"data: a\r", b"data: a\n\n"),
        (b"data: a\r\n\r", b"data: a\r\n\r"),
    ],
)
def test_flush_gives_what_ended_without_a_blank_line(rest: bytes, last: bytes | None) -> None:
    splitter = FrameSplitter()
    splitter.feed(b"data: before\n\n" + rest)
    assert splitter.flush() == last
    assert splitter.flush() is None
    assert splitter.pending == b""


def test_pending_is_the_frame_that_has_begun() -> None:
    splitter = FrameSplitter()
    splitter.feed(b"data: a\n\n\ndata: b")
    splitter.feed(b"c\n")
    assert splitter.pending == b"data: bc\n"


# ── limits ──


@pytest.mark.parametrize("size", [1, 7, 10_000])
@pytest.mark.parametrize("end", ENDS)
def test_a_line_at_the_limit_passes_and_a_longer_one_is_an_error(size: int, end: bytes) -> None:
    def feed(line: bytes) -> list[bytes]:
        splitter = FrameSplitter(max_line_bytes=100)
        stream = b"event: a" + end + line + end * 2
        return [frame for i in range(0, len(stream), size) for frame in splitter.feed(stream[i : i + size])]

    assert feed(b"data: " + b"x" * 94) == [b"event: a" + end + b"data: " + b"x" * 94 + end * 2]
    with pytest.raises(UpstreamError) as caught:
        feed(b"data: " + b"x" * 95)
    assert (caught.value.status, caught.value.code) == (502, "upstream_line_too_long")


def test_a_line_over_the_limit_is_cut_as_soon_as_it_is_too_long() -> None:
    splitter = FrameSplitter()
    for _ in range(1024):
        assert splitter.feed(b"x" * 1024) == []
    with pytest.raises(UpstreamError):
        splitter.feed(b"x")


def test_a_line_is_measured_from_its_own_begin() -> None:
    splitter = FrameSplitter(max_line_bytes=100)
    splitter.feed(b"x" * 90 + b"\n")
    for _ in range(100):
        assert splitter.feed(b"y") == []
    with pytest.raises(UpstreamError):
        splitter.feed(b"y")


def test_many_lines_may_be_longer_together_than_one_may_be() -> None:
    frame = (b"data: " + b"x" * 90 + b"\n") * 12 + b"\n"
    splitter = FrameSplitter(max_line_bytes=100)
    assert [found for i in range(0, len(frame), 7) for found in splitter.feed(frame[i : i + 7])] == [frame]
    assert FrameSplitter(max_line_bytes=100).feed(frame) == [frame]


@pytest.mark.parametrize("size", [7, 97, 10_000])
def test_lines_without_a_blank_one_end_somewhere(size: int) -> None:
    def feed(stream: bytes) -> list[bytes]:
        splitter = FrameSplitter(max_line_bytes=100)
        return [frame for i in range(0, len(stream), size) for frame in splitter.feed(stream[i : i + size])]

    assert feed(b"data: x\n" * 199 + b"\n") == [b"data: x\n" * 199 + b"\n"]
    with pytest.raises(UpstreamError, match="event of over 1600 bytes"):
        feed(b"data: x\n" * 1000)


def test_a_long_line_in_tiny_slices_is_not_copied_for_each_slice() -> None:
    """Copied each time, this line takes a terabyte of copying; the suite's own time limit would end it."""
    splitter = FrameSplitter(max_line_bytes=1 << 24)
    for _ in range(1 << 18):
        assert splitter.feed(b"x" * 60) == []
    assert splitter.feed(b"\n\n") == [b"x" * (60 << 18) + b"\n\n"]


# ── frames ──


@pytest.mark.parametrize(
    ("frame", "data", "event"),
    [
        (b"data: {}\n\n", b"{}", "message"),
        (b"data:{}\r\n\r\n", b"{}", "message"),
        (b"data: a\ndata: b\n\n", b"a\nb", "message"),
        (b"data\ndata\n\n", b"\n", "message"),
        (b"event: e\nid: 1\ndata: a\n\n", b"a", "e"),
        (b"data: a\nevent: one\nevent: two\n\n", b"a", "two"),
        (b"data: event\n\n", b"event", "message"),
        (b"event: \xff\ndata: a\n\n", b"a", "\ufffd"),
        (b": data: a\n\n", None, "message"),
        (b"data: a\n", b"a", "message"),
        (b"data: a", b"a", "message"),
        (b"data: a\nb", b"a", "message"),
    ],
)
def test_data_and_name_of_a_frame(frame: bytes, data: bytes | None, event: str) -> None:
    assert (frame_data(frame), frame_event(frame)) == (data, event)


@given(st.binary().filter(lambda data: b"\r" not in data), st.none() | st.sampled_from(["a", "response.done"]))
def test_an_encoded_frame_reads_back(data: bytes, event: str | None) -> None:
    frame = encode_frame(data, event=event)
    assert frames_of([frame]) == [frame]
    assert (frame_data(frame), frame_event(frame)) == (data, event or "message")


@pytest.mark.parametrize("event", ["a\ndata: b", "a\rdata: b", "\n"])
def test_an_event_name_cannot_begin_another_field(event: str) -> None:
    with pytest.raises(ValueError, match="must be one line"):
        encode_frame(b"{}", event=event)


def test_replaced_data_keeps_the_other_fields() -> None:
    assert replace_data(b"data: a\n\n", b"b") == b"data: b\n\n"
    frame = b": note\r\nevent: e\r\nid: 7\r\ndata: a\r\ndata: b\r\n\r\n"
    assert replace_data(frame, b"c") == b": note\nevent: e\nid: 7\ndata: c\n\n"


# ── activity ──


def activity(chunks: list[bytes]) -> list[bool]:
    found, in_comment = [], False
    for chunk in chunks:
        active, in_comment = is_activity(chunk, in_comment=in_comment)
        found.append(active)
    return found


@given(st.lists(st.tuples(st.sampled_from([b"", b":", b": ping", b":data: x"]), st.sampled_from(ENDS))), cuts)
def test_comments_and_blank_lines_are_no_activity(lines: list[tuple[bytes, bytes]], at: list[int]) -> None:
    stream = b"".join(text + end for text, end in lines)
    assert not any(activity(sliced(stream, at)))
    assert not any(activity([bytes([byte]) for byte in stream]))


@given(st.sampled_from([b"", b": ping\n", b"\r\n:\r"]), st.sampled_from([x for x in LINES if x[:1] != b":"]), cuts)
def test_any_other_line_is_activity(comments: bytes, text: bytes, at: list[int]) -> None:
    assert any(activity(sliced(comments + text + b"\n" + comments, at)))


def test_activity_is_said_of_the_chunk_that_has_it() -> None:
    assert activity([b": pi", b"ng\n\n", b"data: x\n\n", b": a\ndata: y", b"\n\n", b"\r\n: z"]) == [
        False, False, True, True, False, False,
    ]  # fmt: skip


def test_a_named_event_without_data_is_cut_the_same_in_one_piece_and_byte_by_byte() -> None:
    data = b"event: x\n\n\n"
    whole, sliced = FrameSplitter(), FrameSplitter()
    for splitter in (whole, sliced):
        splitter.feed(b": begun\n\n")
    pieces = [frame for i in range(len(data)) for frame in sliced.feed(data[i : i + 1])]
    assert whole.feed(data) == pieces == [b"event: x\n\n"]
