"""The reply reader without sockets: however the bytes are cut, the same reply comes out."""

from itertools import pairwise

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.handlers.transport.reply import ReplyReader
from tests.faults.upstream import CHUNKED_HEAD, chunk, reply, reply_head

WHOLE = [
    reply(b"hello world"),
    CHUNKED_HEAD + chunk(b"hello ") + chunk(b"world") + chunk(b""),
    reply_head(100) + reply_head(103, "link: x") + reply(b"hello world"),
    CHUNKED_HEAD + b'b;ext="1"\r\nhello world\r\n0\r\nx-late: 1\r\n\r\n',
]


def try_to_feed(reader: ReplyReader, data: bytes) -> str | None:
    """Feed everything; give the complaint, or None where there is none."""
    try:
        feed(reader, data, [])
    except (httptools.HttpParserError, httptools.HttpParserUpgrade) as exc:
        return reader.explain(exc)
    return None


def feed(reader: ReplyReader, data: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    for start, end in pairwise(edges):
        reader.unread += end - start
        reader.feed(data[start:end])


@given(data=st.sampled_from(WHOLE), cuts=st.lists(st.integers(0, 200), max_size=12))
def test_reply_is_the_same_for_every_way_of_cutting_it(data: bytes, cuts: list[int]) -> None:
    reader = ReplyReader()
    for _ in range(2):
        reader.start(is_bodiless=False)
        feed(reader, data, cuts)
        assert reader.is_complete
        assert reader.keep_alive
        assert reader.status == 200
        assert b"".join(reader.chunks) == b"hello world"
        assert all(name != b"x-late" for name, _ in reader.pairs)
        reader.chunks.clear()


@given(data=st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_or_waited_on(data: bytes) -> None:
    reader = ReplyReader()
    reader.start(is_bodiless=False)
    complaint = try_to_feed(reader, data)
    assert not reader.is_complete
    assert complaint is None or "malformed in its head" in complaint


@given(at=st.integers(0, 400), flip=st.integers(1, 255), data=st.sampled_from(WHOLE))
def test_damaged_reply_never_breaks_the_reader(at: int, flip: int, data: bytes) -> None:
    damaged = bytearray(data)
    damaged[at % len(data)] ^= flip
    reader = ReplyReader()
    reader.start(is_bodiless=False)
    complaint = try_to_feed(reader, bytes(damaged))
    assert complaint is None or "malformed" in complaint
    assert sum(map(len, reader.chunks)) <= len(data)


@pytest.mark.parametrize(
    ("head", "ends"),
    [
        (reply_head(200), True),
        (reply_head(200, "content-length: 5"), False),
        (reply_head(200, "Transfer-Encoding: chunked"), False),
        (reply_head(200, "transfer-encoding: gzip"), False),
        (b"HTTP/1.1 200 OK\r\n", False),
    ],
    ids=["no framing", "content-length", "chunked", "other coding", "half a head"],
)
def test_only_a_body_without_framing_ends_with_the_connection(head: bytes, *, ends: bool) -> None:
    reader = ReplyReader()
    reader.start(is_bodiless=False)
    feed(reader, head, [])
    assert reader.ends_with_connection() is ends
