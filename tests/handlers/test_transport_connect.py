"""Reaching an upstream: addresses, TLS, and an environment that must not matter."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy.handlers.transport import Http1Transport, client_context, lean_request, make_transport
from chatproxy.handlers.transport.connect import open_transport
from tests.faults.tls import authority, authority_file, server_context
from tests.faults.upstream import FaultUpstream, ok

LONG = {"connect": 30.0, "read": 30.0, "write": 30.0, "pool": 30.0}


async def exchange(transport: httpx.AsyncBaseTransport, url: str, **limits: float) -> bytes:
    response = await transport.handle_async_request(lean_request("POST", httpx.URL(url), [], b"{}", {**LONG, **limits}))
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return b"".join([part async for part in response.stream])


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


@pytest.fixture
def resolves_to(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let every name resolve to these addresses; asyncio asks ``socket.getaddrinfo``."""

    def use(*hosts: str) -> None:
        def resolve(_: str, port: int, *args: Any, **options: Any) -> list[Any]:
            if not hosts:
                raise socket.gaierror(socket.EAI_NONAME, "no such name")
            families = [socket.AF_INET6 if ":" in host else socket.AF_INET for host in hosts]
            return [
                (family, socket.SOCK_STREAM, 6, "", (host, port, 0, 0) if ":" in host else (host, port))
                for family, host in zip(families, hosts, strict=True)
            ]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

    return use


@contextlib.asynccontextmanager
async def black_hole(host: str, port: int) -> AsyncIterator[None]:
    """An address that neither accepts nor refuses: its queue of connections is full."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((host, port))
        yield


async def test_dead_first_address_does_not_stop_the_second(resolves_to: Any) -> None:
    async with (
        FaultUpstream(ok(b"alive")) as upstream,
        Http1Transport() as transport,
        black_hole("127.0.0.2", upstream.port),
    ):
        resolves_to("127.0.0.2", "127.0.0.1")
        assert await exchange(transport, f"http://upstream.test:{upstream.port}") == b"alive"


async def test_refusing_first_address_does_not_stop_the_second(resolves_to: Any) -> None:
    async with FaultUpstream(ok(b"alive")) as upstream, Http1Transport() as transport:
        resolves_to("::1", "127.0.0.2", "127.0.0.1")
        assert await exchange(transport, f"http://upstream.test:{upstream.port}") == b"alive"


async def test_only_the_first_of_several_good_addresses_is_kept(
    resolves_to: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatproxy.handlers.transport.connect.STAGGER_S", 0.0)
    async with FaultUpstream(ok(b"one"), host="0.0.0.0") as upstream, Http1Transport() as transport:
        resolves_to("127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
        for _ in range(20):
            response = await transport.handle_async_request(
                lean_request("POST", httpx.URL(f"http://up.test:{upstream.port}"), [(b"connection", b"close")], b"", {})
            )
            await response.aclose()
        await transport.aclose()
        await upstream.all_left()
        assert len(upstream.requests) == 20


async def test_no_address_that_answers_is_a_connect_error(resolves_to: Any) -> None:
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        resolves_to("127.0.0.2", "127.0.0.3")
        with pytest.raises(httpx.ConnectError, match="cannot connect to"):
            await exchange(transport, f"http://upstream.test:{upstream.port}")
        assert transport.stats().open == 0


async def test_dead_addresses_are_a_connect_timeout_and_leave_no_socket(resolves_to: Any) -> None:
    async with (
        FaultUpstream(ok()) as upstream,
        Http1Transport() as transport,
        black_hole("127.0.0.2", upstream.port),
        black_hole("127.0.0.3", upstream.port),
    ):
        resolves_to("127.0.0.2", "127.0.0.3")
        before = open_files()
        with pytest.raises(httpx.ConnectTimeout):
            await exchange(transport, f"http://upstream.test:{upstream.port}", connect=0.3)
        await asyncio.sleep(0)
        assert transport.stats().open == 0
        assert open_files() <= before
        assert len(asyncio.all_tasks()) <= 2


async def test_name_that_does_not_resolve_is_a_connect_error(resolves_to: Any) -> None:
    async with Http1Transport() as transport:
        resolves_to()
        with pytest.raises(httpx.ConnectError, match="no such name"):
            await exchange(transport, "http://upstream.test:1")
        assert transport.stats().open == 0


async def test_host_that_cannot_be_a_name_is_a_connect_error() -> None:
    async with Http1Transport() as transport:
        with pytest.raises(httpx.ConnectError, match="no host name"):
            await exchange(transport, f"http://{'a' * 64}.test:1")


async def test_cancel_while_the_authorities_are_read_closes_the_connection() -> None:
    """The first TLS connection of a transport waits for them, its socket already open."""
    async with FaultUpstream(ok()) as upstream, Http1Transport() as transport:
        task = asyncio.create_task(exchange(transport, upstream.url.replace("http:", "https:")))
        await upstream.until(lambda: upstream.accepted == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await upstream.all_left()
        assert transport.stats().open == 0


async def test_peer_that_speaks_before_it_was_asked_is_hung_up_on() -> None:
    has_left = asyncio.Event()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        has_left.set()
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        transport = await open_transport("127.0.0.1", server.sockets[0].getsockname()[1])
        await has_left.wait()
        assert transport.is_closing()


async def test_ipv6_literal_is_reached() -> None:
    async with FaultUpstream(ok(b"six"), host="::1") as upstream, Http1Transport() as transport:
        assert await exchange(transport, f"http://[::1]:{upstream.port}") == b"six"
        assert upstream.requests[0].header("host") == f"[::1]:{upstream.port}"


async def test_upstream_with_an_unknown_authority_is_refused() -> None:
    async with FaultUpstream(ok(), tls=server_context()) as upstream, Http1Transport() as transport:
        with pytest.raises(httpx.ConnectError, match="certificate"):
            await exchange(transport, upstream.url)
        assert upstream.requests == []
        assert transport.stats().open == 0


async def test_upstream_with_another_name_is_refused(tmp_path: Path) -> None:
    context = server_context("other.test")
    async with (
        FaultUpstream(ok(), tls=context) as upstream,
        Http1Transport(verify=authority_file(tmp_path)) as transport,
    ):
        with pytest.raises(httpx.ConnectError, match=r"[Hh]ostname"):
            await exchange(transport, upstream.url)


async def test_verification_can_be_switched_off() -> None:
    context = server_context("other.test")
    async with FaultUpstream(ok(b"any"), tls=context) as upstream, Http1Transport(verify=False) as transport:
        assert await exchange(transport, upstream.url) == b"any"


async def test_authorities_can_be_a_context() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    async with (
        FaultUpstream(ok(b"mine"), tls=server_context()) as upstream,
        Http1Transport(verify=context) as transport,
    ):
        assert await exchange(transport, upstream.url) == b"mine"
        assert await exchange(transport, upstream.url.replace("localhost", "127.0.0.1")) == b"mine"


async def test_upstream_that_insists_on_another_protocol_is_refused() -> None:
    context = client_context(verify=False)
    transport = Http1Transport(verify=context)
    context.set_alpn_protocols(["h2"])
    async with FaultUpstream(ok(), tls=server_context(alpn=("h2",))) as upstream, transport:
        with pytest.raises(httpx.ConnectError, match="negotiated 'h2'"):
            await exchange(transport, upstream.url)
        await upstream.all_left()


@pytest.mark.parametrize("kind", ["own", "httpx"])
def test_missing_authorities_are_an_error_at_once(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(OSError, match="No such file"):
        make_transport(kind, verify=str(tmp_path / "missing.pem"))
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ssl.SSLError):
        make_transport(kind, verify=str(tmp_path / "empty.pem"))


def test_default_context_verifies_and_knows_authorities() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_system_without_authorities_falls_back_to_certifi(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    assert client_context().cert_store_stats()["x509_ca"] > 50


@pytest.mark.parametrize("kind", ["own", "httpx"])
async def test_environment_changes_nothing(kind: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, key logs and passwords named by the environment are not used."""
    key_log, netrc = tmp_path / "keys.log", tmp_path / "netrc"
    netrc.write_text("machine localhost login me password secret\n")
    monkeypatch.setenv("SSLKEYLOGFILE", str(key_log))
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with FaultUpstream(ok(b"direct"), tls=server_context()) as upstream:
        async with make_transport(kind, verify=authority_file(tmp_path)) as transport:
            assert await exchange(transport, upstream.url) == b"direct"
        assert upstream.requests[0].header("authorization") is None
    assert not key_log.exists()
    assert client_context().keylog_filename is None
