"""What is refused on the wire, and that the bytes after it are never a request."""

import pytest

from .conftest import ServeTiny

GET = b"GET /echo HTTP/1.1\r\nHost: a\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

FRAMING = {
    "length and chunked": (b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "chunked and length": (b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400),
    "two lengths": (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nab", 400),
    "two equal lengths": (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab", 400),
    "length list": (b"Content-Length: 2, 2\r\n\r\nab", 400),
    "length with plus": (b"Content-Length: +2\r\n\r\nab", 400),
    "negative length": (b"Content-Length: -2\r\n\r\nab", 400),
    "hexadecimal length": (b"Content-Length: 0x2\r\n\r\nab", 400),
    "empty length": (b"Content-Length: \r\n\r\nab", 400),
    "length with space": (b"Content-Length: 2 2\r\n\r\nab", 400),
    "length over 64 bits": (b"Content-Length: 99999999999999999999999\r\n\r\nab", 400),
    "coding gzip, chunked": (b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
    "coding identity": (b"Transfer-Encoding: identity\r\n\r\n", 501),
    "coding xchunked": (b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501),
    "coding chunked;q=1": (b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501),
    "coding chunked, chunked": (b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    "two codings": (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "coding after vertical tab": (b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
    "coding before space and colon": (b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
    "coding on a folded line": (b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400),
    "bad chunk size": (b"Transfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n", 400),
    "chunk size 0x2": (b"Transfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n", 400),
    "negative chunk size": (b"Transfer-Encoding: chunked\r\n\r\n-2\r\nab\r\n0\r\n\r\n", 400),
    "chunk size over 64 bits": (b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nab\r\n0\r\n\r\n", 400),
    "chunk longer than its size": (b"Transfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n", 400),
    "chunk lines without CR": (b"Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n", 400),
}

HEADS = {
    "no host": (b"GET /echo HTTP/1.1\r\n\r\n", 400),
    "no host in HTTP/1.0": (b"GET /echo HTTP/1.0\r\n\r\n", 400),
    "two hosts": (GET + b"Host: b\r\n\r\n", 400),
    "two equal hosts": (GET + b"Host: a\r\n\r\n", 400),
    "empty host": (b"GET /echo HTTP/1.1\r\nHost: \r\n\r\n", 400),
    "host with path and query": (b"GET /echo HTTP/1.1\r\nHost: a/x?#\r\n\r\n", 400),
    "host with a bad port": (b"GET /echo HTTP/1.1\r\nHost: a:b\r\n\r\n", 400),
    "host with user": (b"GET /echo HTTP/1.1\r\nHost: me@a\r\n\r\n", 400),
    "host with space": (b"GET /echo HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    "host list": (b"GET /echo HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    "host not ASCII": (b"GET /echo HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400),
    "host with open bracket": (b"GET /echo HTTP/1.1\r\nHost: [::1\r\n\r\n", 400),
    "host of 300 characters": (b"GET /echo HTTP/1.1\r\nHost: " + b"a" * 300 + b"\r\n\r\n", 400),
    "host of 300 KB": (b"GET /echo HTTP/1.1\r\nHost: " + b"a" * 300_000 + b"\r\n\r\n", 431),
    "absolute form": (b"GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk form": (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "target without slash": (b"GET echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target with fragment": (b"GET /echo#x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target not ASCII": (b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target with control character": (b"GET /a\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "target of 9 KB": (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "HTTP/0.9": (b"GET /echo\r\n\r\n", 505),
    "HTTP/1.2": (b"GET /echo HTTP/1.2\r\nHost: a\r\n\r\n", 400),
    "HTTP/2.0": (b"GET /echo HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "unknown method": (b"FOO /echo HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "lines without CR": (b"GET /echo HTTP/1.1\nHost: a\n\n", 400),
    "NUL in a value": (GET + b"X: a\0b\r\n\r\n", 400),
    "control character in a value": (GET + b"X: a\x01b\r\n\r\n", 400),
    "bare CR in a value": (GET + b"X: a\rb\r\n\r\n", 400),
    "folded value": (GET + b"X: a\r\n b\r\n\r\n", 400),
    "NUL in a name": (GET + b"X\0: a\r\n\r\n", 400),
    "no name": (GET + b": a\r\n\r\n", 400),
    "no colon": (GET + b"foo\r\n\r\n", 400),
    "coding in HTTP/1.0": (b"POST /echo HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "70 KB of headers": (GET + b"X: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    "5000 fields": (GET + b"a:b\r\n" * 5_000 + b"\r\n", 431),
    "101 fields": (GET + b"a:b\r\n" * 100 + b"\r\n", 431),
    "announced body of 21 MB": (POST + b"Content-Length: 21000000\r\n\r\n", 413),
    "announced body of 19 digits": (POST + b"Content-Length: 9000000000000000000\r\n\r\n", 413),
}


def assert_refused(reply: bytes, status: int) -> None:
    """One answer, in OpenAI's envelope, that closes; nothing after it."""
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nconnection: close" in head
    assert b"\r\nx-request-id: req_" in head
    assert b"\r\ncontent-type: application/json" in head
    assert b"\r\ncontent-length: %d" % len(body) in head
    assert body.startswith(b'{"error":{"message":"')
    assert b'"param":null,"code":"' in body


@pytest.mark.parametrize(("fields", "status"), FRAMING.values(), ids=FRAMING)
async def test_framing_fault_is_refused_and_next_bytes_are_no_request(
    serve_tiny: ServeTiny, fields: bytes, status: int
) -> None:
    async with serve_tiny() as running:
        assert_refused(await running.exchange(POST + fields + SMUGGLED), status)
        assert ("GET", "/smuggled") not in running.gateway.seen


@pytest.mark.parametrize(("request_bytes", "status"), HEADS.values(), ids=HEADS)
async def test_bad_head_is_refused_before_the_application(
    serve_tiny: ServeTiny, request_bytes: bytes, status: int
) -> None:
    async with serve_tiny() as running:
        assert_refused(await running.exchange(request_bytes + SMUGGLED), status)
        assert running.gateway.seen == []


@pytest.mark.parametrize(
    "host",
    [b"a", b"a.example:8080", b"my_service:80", b"127.0.0.1", b"[::1]:8765", b"[::1]", b"xn--bcher-kva.example."],
)
async def test_proper_host_is_served(serve_tiny: ServeTiny, host: bytes) -> None:
    async with serve_tiny() as running:
        reply = await running.exchange(b"GET /echo HTTP/1.1\r\nHost: " + host + b"\r\nConnection: close\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 200 ")


async def test_head_is_refused_in_any_slicing(serve_tiny: ServeTiny) -> None:
    data = b"GET http://b/echo HTTP/1.1\r\nHost: a\r\n\r\n"
    async with serve_tiny() as running:
        for size in (1, 2, 3, 7):
            client = await running.connect()
            for start in range(0, len(data), size):
                await client.send(data[start : start + size])
            assert_refused(await client.read_to_end(), 400)


async def test_header_of_two_megabytes_is_refused_while_it_comes(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        client.writer.write(GET + b"X: " + b"a" * 2_000_000 + b"\r\n\r\n")
        assert_refused(await client.read_to_end(), 431)


async def test_trickled_header_is_refused_at_the_limit(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(max_header_bytes=1_000) as running:
        client = await running.connect()
        await client.send(GET)
        connection = await running.connection_of(client)
        for _ in range(100):
            await client.send(b"X: " + b"a" * 20 + b"\r\n")
        assert_refused(await client.read_to_end(), 431)
        assert connection.head_bytes <= 1_000


async def test_long_body_behind_a_short_head_is_no_header_fault(serve_tiny: ServeTiny) -> None:
    async with serve_tiny(max_header_bytes=200) as running:
        body = b"x" * 500_000
        reply = await running.exchange(POST + b"Content-Length: 500000\r\nConnection: close\r\n\r\n" + body)
        assert reply.endswith(b"\r\n\r\n500000")


@pytest.mark.parametrize("chunked", [True, False], ids=["chunked", "announced"])
async def test_body_over_the_limit_is_refused_before_it_is_read(serve_tiny: ServeTiny, chunked: bool) -> None:
    limit = 100_000
    async with serve_tiny(max_body_bytes=limit) as running:
        client = await running.connect()
        if chunked:
            client.writer.write(
                POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n%b\r\n" % (b"x" * 4096) * 5_000
            )
        else:
            client.writer.write(POST + b"Content-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        assert_refused(await client.read_to_end(), 413)


async def test_body_longer_than_announced_is_no_part_of_the_request(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(POST + b"Content-Length: 2\r\n\r\nab" + b"c" * 1_000)
        assert (await client.read_answer()).body == b"2"
        assert await client.read_to_end() == b""
        assert running.gateway.seen == [("POST", "/echo")]


async def test_fault_in_a_body_ends_the_request_that_reads_it(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n")
        await running.gateway.entered.wait()
        await client.send(b"zz\r\n")
        assert_refused(await client.read_to_end(), 400)
        await running.gateway.left.wait()


@pytest.mark.parametrize(
    "framing",
    [b"1;%b\r\na\r\n" % (b"x" * 1_000) * 1_000, b"0\r\n" + b"X: %b\r\n" % (b"y" * 1_000) * 1_000],
    ids=["chunk extensions", "trailers"],
)
async def test_framing_that_outgrows_its_body_is_refused(serve_tiny: ServeTiny, framing: bytes) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(POST + b"Transfer-Encoding: chunked\r\n\r\n")
        await running.gateway.entered.wait()
        client.writer.write(framing)
        assert_refused(await client.read_to_end(), 400)


async def test_trailers_are_not_headers(serve_tiny: ServeTiny) -> None:
    async with serve_tiny() as running:
        client = await running.connect()
        await client.send(
            POST + b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nHost: evil\r\nAuthorization: x\r\n\r\n"
        )
        assert (await client.read_answer()).body == b"2"
        assert running.gateway.scopes[0]["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]
