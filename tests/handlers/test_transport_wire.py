"""The last gate before the wire: what is refused, and that nothing was sent then."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatproxy.handlers.transport import Http1Transport, lean_request
from chatproxy.handlers.transport.wire import HeadEncoder, Target
from tests.faults.upstream import FaultUpstream, ok

URL = httpx.URL("http://upstream.test:8080/v1/chat?a=b")
TARGET = Target(URL)

REFUSED = [
    pytest.param([(b"x", b"a\r\nevil: 1")], "value", id="CRLF in value"),
    pytest.param([(b"x", b"a\nevil: 1")], "value", id="LF in value"),
    pytest.param([(b"x", b"a\revil: 1")], "value", id="CR in value"),
    pytest.param([(b"x", b"a\r\n\r\nGET / HTTP/1.1")], "value", id="request in value"),
    pytest.param([(b"x", b"\0")], "value", id="NUL in value"),
    pytest.param([(b"x", b"\x7f")], "value", id="DEL in value"),
    pytest.param([(b"x", b"\x1b[31m")], "value", id="escape in value"),
    pytest.param([(b"x", "é".encode("latin-1"))], "value", id="latin-1 in value"),
    pytest.param([(b"x", "é".encode())], "value", id="UTF-8 in value"),
    pytest.param([(b"x\r\nevil", b"1")], "header name", id="CRLF in name"),
    pytest.param([(b"x: 1\r\ny", b"1")], "header name", id="header in name"),
    pytest.param([(b"x:", b"1")], "header name", id="colon in name"),
    pytest.param([(b"x y", b"1")], "header name", id="space in name"),
    pytest.param([(b"x\0", b"1")], "header name", id="NUL in name"),
    pytest.param([(b"\xe9", b"1")], "header name", id="latin-1 in name"),
    pytest.param([(b"", b"1")], "header name", id="empty name"),
    pytest.param([("x", b"1")], "must be bytes", id="name is a string"),
    pytest.param([(b"x", "1")], "must be bytes", id="value is a string"),
    pytest.param([(b"Host", b"a"), (b"host", b"b")], "twice", id="two hosts"),
    pytest.param([(b"content-length", b"2"), (b"Content-Length", b"2")], "twice", id="two lengths"),
    pytest.param([(b"content-length", b"2"), (b"transfer-encoding", b"chunked")], "exclude", id="CL and TE"),
    pytest.param([(b"content-length", b"3")], "does not match", id="wrong length"),
    pytest.param([(b"content-length", b"+2")], "does not match", id="length with sign"),
    pytest.param([(b"transfer-encoding", b"chunked")], "content-length", id="coding for a body in memory"),
]


@pytest.mark.parametrize(("pairs", "message"), REFUSED)
async def test_head_that_could_inject_is_refused_and_nothing_is_sent(
    pairs: list[tuple[bytes, bytes]], message: str
) -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        request = lean_request("POST", httpx.URL(upstream.url), pairs, b"{}", {})
        with pytest.raises(httpx.LocalProtocolError, match=message) as caught:
            await transport.handle_async_request(request)
        assert "evil" not in str(caught.value).replace("x\\r\\nevil", ""), "a value may be a secret"
        assert upstream.accepted == 0
        assert transport.stats().open == 0


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1\r\n", "", "PO ST", "POST\n", "PÖST"])
def test_method_that_is_no_token_is_refused(method: str) -> None:
    with pytest.raises(httpx.LocalProtocolError, match="no HTTP method"):
        HeadEncoder().with_body(method, TARGET, [], b"")


@pytest.mark.parametrize("path", [b"/a b", b"/a\r\nevil: 1", b"/\0", b"/\xff", b"*", b"http://other/"])
def test_target_that_could_inject_is_refused(path: bytes) -> None:
    url = URL.copy_with(raw_path=b"/")
    object.__setattr__(url, "_uri_reference", url._uri_reference._replace(path=path.decode("latin-1"), query=None))
    with pytest.raises((httpx.LocalProtocolError, UnicodeEncodeError)):
        Target(url)


ENCODED = [
    pytest.param("GET", [], b"", b"GET /v1/chat?a=b HTTP/1.1\r\nhost: upstream.test:8080\r\n\r\n", id="bare"),
    pytest.param(
        "POST",
        [(b"Host", b"other"), (b"X", b"")],
        b"",
        b"POST /v1/chat?a=b HTTP/1.1\r\nHost: other\r\nX: \r\ncontent-length: 0\r\n\r\n",
        id="own host, empty body",
    ),
    pytest.param(
        "POST",
        [(b"Content-Length", b"2"), (b"x", b"a\tb")],
        b"{}",
        b"POST /v1/chat?a=b HTTP/1.1\r\nContent-Length: 2\r\nx: a\tb\r\nhost: upstream.test:8080\r\n\r\n",
        id="own length",
    ),
    pytest.param(
        "DELETE",
        [],
        b"{}",
        b"DELETE /v1/chat?a=b HTTP/1.1\r\nhost: upstream.test:8080\r\ncontent-length: 2\r\n\r\n",
        id="unusual body",
    ),
]


@pytest.mark.parametrize(("method", "pairs", "body", "head"), ENCODED)
def test_head_is_encoded_as_given(method: str, pairs: list[tuple[bytes, bytes]], body: bytes, head: bytes) -> None:
    encoder = HeadEncoder()
    assert encoder.with_body(method, TARGET, pairs, body) == head
    assert encoder.with_body(method, TARGET, pairs, body) == head, "the second time from what was learnt"


@pytest.mark.parametrize("pairs", [[(b"content-length", b"x")], [(b"transfer-encoding", b"gzip")]])
def test_streamed_body_needs_a_framing_that_can_be_sent(pairs: list[tuple[bytes, bytes]]) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        HeadEncoder().with_stream("POST", TARGET, pairs)


@given(pairs=st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=8)), max_size=4), body=st.binary(max_size=9))
def test_any_pairs_are_refused_or_arrive_as_exactly_these_lines(pairs: list[tuple[bytes, bytes]], body: bytes) -> None:
    try:
        head = HeadEncoder().with_body("POST", TARGET, pairs, body)
    except httpx.LocalProtocolError:
        return
    lines = head.split(b"\r\n")
    assert lines[1 : 1 + len(pairs)] == [name + b": " + value for name, value in pairs]
    assert lines[-2:] == [b"", b""]
    assert head.count(b"\n") == head.count(b"\r") == len(lines) - 1
    assert head.isascii()


def test_many_shapes_and_methods_do_not_pile_up() -> None:
    encoder, target = HeadEncoder(), Target(URL)
    for n in range(1000):
        encoder.with_body(f"M{n}", target, [(b"x-%d" % n, b"1")], b"")
    assert len(encoder._shapes) <= 256
    assert len(target._lines) <= 256


async def test_many_urls_do_not_pile_up() -> None:
    async with Http1Transport() as transport:
        targets = {id(transport._targets.get(httpx.URL(f"http://h/{n}"))) for n in range(1000)}
        assert len(targets) > 1
        assert len(transport._targets._targets) <= 256
        same = httpx.URL("http://h/same")
        assert transport._targets.get(same) is transport._targets.get(same)


@pytest.mark.parametrize(
    ("url", "origin", "host"),
    [
        ("http://a.test", "http://a.test:80", b"host: a.test\r\n"),
        ("https://a.test:443/", "https://a.test:443", b"host: a.test\r\n"),
        ("https://a.test:8443/", "https://a.test:8443", b"host: a.test:8443\r\n"),
        ("http://[::1]:9/", "http://[::1]:9", b"host: [::1]:9\r\n"),
        ("http://user:secret@a.test/", "http://a.test:80", b"host: a.test\r\n"),
        ("http://bücher.test/", "http://xn--bcher-kva.test:80", b"host: xn--bcher-kva.test\r\n"),
    ],
)
def test_url_says_where_to_connect_and_what_host_to_name(url: str, origin: str, host: bytes) -> None:
    target = Target(httpx.URL(url))
    assert (str(target.origin), target.host_line) == (origin, host)
