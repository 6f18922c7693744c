"""What servers and networks do wrong: the kind of fault, the exception, and that nothing is left open."""

from __future__ import annotations

import gzip
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from chatproxy_sdk._core.faults import Kind
from chatproxy_sdk._core.terms import Call
from chatproxy_sdk.exceptions import (
    BadRequestError,
    ChatServerError,
    InternalServerError,
    InvalidResponseError,
    RateLimitError,
    ServerConnectionError,
    ServerTimeoutError,
)

from ..servers import (
    FaultServer,
    Reply,
    answer,
    chat,
    chat_stream,
    error,
    error_event,
    hang,
    html,
    huge,
    invalid_event,
    invalid_json,
    redirect,
    reset_after,
    sse,
    stall_after,
    trickle,
    truncated,
)
from .conftest import QUICK, Connect
from .driving import CHAT

GZIP = {"content-encoding": "gzip"}
KEY = "sk-secret-0123456789"


@pytest.mark.parametrize(
    ("reply", "kind", "exception"),
    [
        pytest.param(reset_after(), Kind.CONNECTION, ServerConnectionError, id="reset before the head"),
        pytest.param(truncated(), Kind.CONNECTION, ServerConnectionError, id="content-length cut"),
        pytest.param(html(502), Kind.STATUS, InternalServerError, id="web page"),
        pytest.param(redirect("http://127.0.0.1:1/"), Kind.STATUS, InvalidResponseError, id="redirect"),
        pytest.param(answer(b"", 418), Kind.STATUS, BadRequestError, id="empty 418"),
        pytest.param(answer(b"\xff\x00", 500), Kind.STATUS, InternalServerError, id="binary 500"),
        pytest.param(answer(gzip.compress(b"{}"), 500, GZIP), Kind.STATUS, InternalServerError, id="gzip 500"),
        pytest.param(answer(b"[" * 100_000, 500), Kind.STATUS, InternalServerError, id="deep 500"),
        pytest.param(huge("error"), Kind.STATUS, InternalServerError, id="endless 500"),
    ],
)
def test_a_fault_is_the_same_for_buffers_and_streams(
    connect: Connect,
    call: Call,
    server: FaultServer,
    *,
    reply: Reply,
    kind: Kind,
    exception: type[ChatServerError],
) -> None:
    server.replies(reply)
    driver = connect()
    outcome = driver.run(call)
    assert type(outcome.error) is exception
    assert [fault.kind for fault in driver.faults] == [kind]
    assert outcome.chunks == []
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "kind", "exception"),
    [
        pytest.param(invalid_event("a"), Kind.ANSWER, InvalidResponseError, id="invalid JSON"),
        pytest.param(sse(["a", b"data: 7\n\n"]), Kind.ANSWER, InvalidResponseError, id="a number"),
        pytest.param(sse(["a", b"data: {}\xff\n\n"]), Kind.ANSWER, InvalidResponseError, id="not UTF-8"),
        pytest.param(sse(["a", b"data: " + b"[" * 99_999 + b"\n\n"]), Kind.ANSWER, InvalidResponseError, id="deep"),
        pytest.param(reset_after("a"), Kind.CONNECTION, ServerConnectionError, id="reset"),
        pytest.param(truncated("a"), Kind.CONNECTION, ServerConnectionError, id="cut"),
        pytest.param(sse(["a"], done=False), Kind.CONNECTION, ServerConnectionError, id="ends early"),
        pytest.param(error_event("a", code=429), Kind.STREAM, RateLimitError, id="error event by code"),
        pytest.param(
            error_event("a", type="invalid_request_error"), Kind.STREAM, BadRequestError, id="error event by type"
        ),
        pytest.param(error_event("a"), Kind.STREAM, InternalServerError, id="error event"),
        pytest.param(sse(["a", {"error": "no"}]), Kind.STREAM, InternalServerError, id="error event with a text"),
    ],
)
def test_the_chunks_before_a_fault_are_given(
    connect: Connect,
    server: FaultServer,
    reply: Reply,
    kind: Kind,
    exception: type[ChatServerError],
) -> None:
    server.replies(reply)
    driver = connect(retries=QUICK)
    outcome = driver.stream()
    assert outcome.text == "a"
    assert type(outcome.error) is exception
    assert [fault.kind for fault in driver.faults] == [kind]
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        pytest.param(answer({"choices": []}), "application/json", id="JSON without a completion"),
        pytest.param(answer(b"", 204), "text/plain", id="nothing"),
        pytest.param(html(200), "text/html", id="a web page"),
        pytest.param(sse(["a"], headers=GZIP), "compressed", id="compressed"),
    ],
)
def test_another_answer_than_a_stream_is_told(connect: Connect, server: FaultServer, reply: Reply, words: str) -> None:
    server.replies(reply)
    outcome = connect(retries=QUICK).stream()
    assert isinstance(outcome.error, InvalidResponseError)
    assert words in str(outcome.error)
    assert len(server.requests) == 1


def test_an_error_with_a_status_of_success_is_that_error(connect: Connect, server: FaultServer) -> None:
    server.replies(answer({"error": {"message": "slow down", "code": 429}}))
    outcome = connect().stream()
    assert isinstance(outcome.error, RateLimitError)
    assert outcome.error.message == "slow down"


@pytest.mark.parametrize(
    ("reply", "words"),
    [(invalid_json(), "not JSON"), (answer(gzip.compress(b"{}"), 200, GZIP), "compressed")],
    ids=["cut", "gzip"],
)
def test_a_body_that_is_no_json_is_told(connect: Connect, server: FaultServer, reply: Reply, words: str) -> None:
    server.replies(reply)
    outcome = connect(retries=QUICK).fetch()
    found = outcome.error
    if outcome.answer is not None:
        with pytest.raises(Exception, match=words):
            outcome.answer.json()
    else:
        assert isinstance(found, InvalidResponseError)
        assert words in str(found)
    assert len(server.requests) == 1


def test_a_redirect_is_told_and_not_followed(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(redirect(f"{server.url}/elsewhere"))
    outcome = connect().run(call)
    assert "elsewhere" in str(outcome.error)
    assert len(server.requests) == 1


# -- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [hang(), stall_after(b": nothing\n\n")], ids=["before the head", "in the body"])
def test_a_stall_ends_at_the_time_out(connect: Connect, server: FaultServer, call: Call, reply: Reply) -> None:
    server.replies(reply)
    started = time.monotonic()
    driver = connect(timeout_s=0.3, retries=QUICK)
    outcome = driver.run(call)
    assert 0.25 < time.monotonic() - started < 3
    assert type(outcome.error) is ServerTimeoutError
    assert [fault.kind for fault in driver.faults] == [Kind.TIMEOUT]
    assert len(server.requests) == 1


def test_a_stall_after_text_ends_at_the_time_out(connect: Connect, server: FaultServer) -> None:
    server.replies(stall_after("a", "b"))
    outcome = connect(timeout_s=0.3, retries=QUICK).stream()
    assert outcome.text == "ab"
    assert type(outcome.error) is ServerTimeoutError


@pytest.mark.parametrize("part", ["body", "event", "comments"])
def test_a_trickle_ends_as_well(connect: Connect, server: FaultServer, part: str) -> None:
    server.replies(trickle(part))
    driver = connect(timeout_s=0.4)
    started = time.monotonic()
    outcome = driver.fetch() if part == "body" else driver.stream()
    assert 0.3 < time.monotonic() - started < 3
    assert type(outcome.error) is ServerTimeoutError


@pytest.mark.parametrize("connect", ["async"], indirect=True)
def test_a_trickling_head_ends_as_well(connect: Connect, server: FaultServer, call: Call) -> None:
    server.replies(trickle("head"))
    started = time.monotonic()
    outcome = connect(timeout_s=0.4).run(call)
    assert 0.3 < time.monotonic() - started < 3
    assert type(outcome.error) is ServerTimeoutError


# -- ends of streams --------------------------------------------------------------------------------------------------


def test_a_reason_for_finishing_is_an_end(connect: Connect, server: FaultServer) -> None:
    server.replies(chat_stream("a", done=False))
    outcome = connect().stream()
    assert (outcome.text, outcome.error) == ("a", None)


@pytest.mark.parametrize("end", ["open", "close", "reset"])
def test_what_comes_after_done_does_not_matter(connect: Connect, server: FaultServer, end: str) -> None:
    server.replies(chat_stream("a", end=end), sse(["b", b"data: [DONE]\n\ndata: {\n\n"], done=False))
    driver = connect(timeout_s=30)
    for text in ("a", "b"):
        outcome = driver.stream()
        assert (outcome.text, outcome.error) == (text, None)


# -- size -------------------------------------------------------------------------------------------------------------


def test_a_body_over_the_limit_is_refused(connect: Connect, server: FaultServer) -> None:
    server.replies(huge("body"))
    outcome = connect(max_body_bytes=1 << 20).fetch()
    assert isinstance(outcome.error, InvalidResponseError)
    assert "longer than 1048576 bytes" in str(outcome.error)


@pytest.mark.parametrize("reply", [huge("event"), sse(["a", "x" * 70_000])], ids=["endless", "whole"])
def test_an_event_over_the_limit_is_refused(connect: Connect, server: FaultServer, reply: Reply) -> None:
    server.replies(reply)
    outcome = connect(max_event_bytes=65_536).stream()
    assert isinstance(outcome.error, InvalidResponseError)
    assert "longer than 65536 bytes" in str(outcome.error)


def test_long_texts_are_not_refused(connect: Connect, server: FaultServer) -> None:
    server.replies(sse(["x" * 1_000_000, "y" * 1_000_000]))
    outcome = connect().stream()
    assert (len(outcome.text), outcome.error) == (2_000_000, None)


# -- no server --------------------------------------------------------------------------------------------------------


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.fixture
def full_port() -> Iterator[int]:
    """Connections to it are neither taken nor refused: its queue is full."""
    with socket.socket() as sock, socket.socket() as first, socket.socket() as second:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        for waiting in (first, second):
            waiting.setblocking(False)
            waiting.connect_ex(sock.getsockname())
        yield sock.getsockname()[1]


def test_a_closed_port_is_no_connection(connect: Connect, call: Call, closed_port: int) -> None:
    driver = connect(base_url=f"http://127.0.0.1:{closed_port}/v1", retries=QUICK)
    outcome = driver.run(call)
    assert type(outcome.error) is ServerConnectionError
    assert str(closed_port) in str(outcome.error)
    assert len(driver.waits) == 3


def test_a_port_that_does_not_answer_is_no_connection(connect: Connect, call: Call, full_port: int) -> None:
    driver = connect(base_url=f"http://127.0.0.1:{full_port}/v1", timeout_s=0.3)
    outcome = driver.run(call)
    assert type(outcome.error) is ServerConnectionError
    assert "no connection" in str(outcome.error)


def test_an_unknown_host_is_no_connection(connect: Connect, call: Call) -> None:
    outcome = connect(base_url="http://nowhere.invalid/v1").run(call)
    assert type(outcome.error) is ServerConnectionError
    assert "nowhere.invalid" in str(outcome.error)


def test_a_certificate_that_is_not_trusted_is_told_at_once(connect: Connect, call: Call) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with FaultServer(tls=context) as server:
        driver = connect(base_url=server.url, retries=QUICK)
        outcome = driver.run(call)
        assert type(outcome.error) is ServerConnectionError
        assert "certificate verify failed" in str(outcome.error)
        assert len(driver.waits) == 1
        assert server.requests == []
        server.wait_closed()


def test_a_certificate_that_is_trusted_is_taken(connect: Connect, call: Call) -> None:
    authority, context, trusting = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(trusting)
    with FaultServer(tls=context) as server:
        server.replies(chat_stream("a") if call is not CHAT else chat("a"))
        driver = connect({"verify": trusting}, base_url=server.url)
        for _ in range(3):
            assert driver.run(call).error is None
        assert server.accepted_connections == 1
        driver.close_connection()


def test_certificates_that_the_environment_names_are_trusted(
    connect: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with FaultServer(tls=context) as server:
        connect(base_url=server.url, retries=QUICK)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        trusting = connect(base_url=server.url, retries=QUICK)
        monkeypatch.delenv("SSL_CERT_FILE")
        other = connect(base_url=server.url, retries=QUICK)

        assert trusting.fetch().error is None
        assert type(other.fetch().error) is ServerConnectionError
        trusting.close_connection()


# -- keys -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        error(401, f"Incorrect API key: {KEY}", code=KEY, type=KEY, param=KEY),
        answer(b"x" * 1995 + KEY.encode(), 401),
    ],
    ids=["quoted", "at the cut"],
)
def test_a_key_that_a_server_quotes_is_not_passed_on(
    connect: Connect, server: FaultServer, call: Call, reply: Reply
) -> None:
    server.replies(reply)
    outcome = connect(api_key=KEY).run(call)
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert isinstance(outcome.error, ChatServerError)
    told = repr(vars(outcome.error))
    assert "sk-secret" not in told
    assert "sk-" not in told


def test_a_key_that_cannot_be_sent_is_not_told(connect: Connect, server: FaultServer, call: Call) -> None:
    driver = connect(api_key="sk-secret\nx-evil: 1")
    outcome = driver.run(call)
    assert isinstance(outcome.error, ChatServerError)
    assert [fault.kind for fault in driver.faults] == [Kind.REQUEST]
    assert "sk-secret" not in str(outcome.error)
    assert outcome.error.__cause__ is None
    assert outcome.error.__suppress_context__
    assert server.requests == []


def test_a_closed_client_sends_nothing(connect: Connect, server: FaultServer, call: Call) -> None:
    driver = connect()
    assert driver.fetch().error is None
    driver.close_connection()
    outcome = driver.run(call)
    assert isinstance(outcome.error, RuntimeError)
    assert "closed" in str(outcome.error)
    assert len(server.requests) == 1
