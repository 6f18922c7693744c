"""OTLP over TLS: the collector's certificate is checked, and ours is shown."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
import trustme

from chatproxy.errors import ConfigError

from .exporting import CLOSE_S, opened, spans, stats
from .sink import Sink, running_sink

PROTOCOLS = ("http/protobuf", "grpc")


class Files:
    """An authority, and the files of a client that trusts it."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.server = self.authority.issue_cert("localhost")
        client = self.authority.issue_cert("client@chatproxy.test")
        self.certificate = folder / "ca.pem"
        self.client_key = folder / "key.pem"
        self.client_certificate = folder / "client.pem"
        self.authority.cert_pem.write_to_path(self.certificate)
        client.private_key_pem.write_to_path(self.client_key)
        client.cert_chain_pems[0].write_to_path(self.client_certificate)

    @contextmanager
    def sink(self, *, wants_client: bool = False) -> Iterator[Sink]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.server.configure_cert(context)
        if wants_client:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        pair = (self.server.private_key_pem.bytes(), self.server.cert_chain_pems[0].bytes())
        trusted = self.authority.cert_pem.bytes() if wants_client else None
        credentials = grpc.ssl_server_credentials([pair], trusted, wants_client)
        with running_sink(ssl_context=context, grpc_credentials=credentials) as sink:
            yield sink


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


async def export(sink: Sink, protocol: str, environ: dict[str, str]) -> tuple[int, int]:
    """Three spans; how many were exported and how many dropped."""
    settings = {"endpoint": sink.url(protocol), "protocol": protocol, "metrics": "none", "logs": "none"}
    providers = opened(environ, **settings)
    spans(providers, 3)
    await providers.aclose(CLOSE_S)
    return stats(providers)[3:]


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_certificate_of_the_given_authority_is_trusted(protocol: str, files: Files) -> None:
    with files.sink() as sink:
        assert await export(sink, protocol, {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.certificate)}) == (3, 0)
    assert len(sink.spans) == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_a_certificate_of_an_unknown_authority_is_not(protocol: str, files: Files) -> None:
    with files.sink() as sink:
        assert await export(sink, protocol, {}) == (0, 3)
    assert sink.requests == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_our_certificate_is_shown_where_it_is_wanted(protocol: str, files: Files) -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_CERTIFICATE": "/nowhere",
        "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE": str(files.certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(files.client_key),
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(files.client_certificate),
    }
    with files.sink(wants_client=True) as sink:
        assert await export(sink, protocol, environ) == (3, 0)
        assert await export(sink, protocol, {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.certificate)}) == (0, 3)


def test_a_file_that_holds_something_else_stops_the_start(files: Files) -> None:
    environ = {"OTEL_EXPORTER_OTLP_CERTIFICATE": str(files.client_key)}
    with pytest.raises(ConfigError, match=r"^OTEL_EXPORTER_OTLP_CERTIFICATE"):
        opened(environ, endpoint="https://localhost:1", metrics="none")
