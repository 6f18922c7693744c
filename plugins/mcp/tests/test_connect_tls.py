"""Servers behind TLS: the system's authorities decide, and the name must be that of the address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme
from chatproxy_mcp.connect.connections import make_tls

from chatproxy.testing.matrix import Cell, Said

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

CELL = Cell("chat", False, "chat")


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    """The only one that is trusted."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "authorities.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authorities.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    return made


async def asked(authority: trustme.CA, name: str, folder: Path) -> tuple[str, dict[str, Any]]:
    """What a client is told with a tool's help, and how its server is."""
    authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    server = SdkServer(**CLOCK)
    server.certificate, server.answer = folder / "server.pem", answering({"now": "12:00 sharp"})
    upstream = saying(CELL, Said(content="", calls=(("clock__now", "{}"),)), Said(content="It is noon."))
    with server:
        async with gateway_of(upstream, clock_config(server)) as gateway:
            heard = await CELL.ask(gateway, "Hi")
            shown = (await gateway.client.get("/chatproxy/mcp")).json()["servers"]["clock"]["health"]
    return heard.content, shown


async def test_a_server_with_a_certificate_of_its_address_is_called(authority: trustme.CA, tmp_path: Path) -> None:
    content, health = await asked(authority, "127.0.0.1", tmp_path)
    assert (content, health["status"], health["calls"]) == ("It is noon.", "ready", 1)


async def test_a_certificate_of_another_name_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    content, health = await asked(authority, "example.com", tmp_path)
    assert (content, health["status"]) == ("", "down")
    assert "CERTIFICATE_VERIFY_FAILED" in health["last_error"]


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    content, health = await asked(trustme.CA(), "127.0.0.1", tmp_path)
    assert (content, health["status"]) == ("", "down")
    assert "CERTIFICATE_VERIFY_FAILED" in health["last_error"]


async def test_where_the_system_has_no_authorities_there_are_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "none").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    assert make_tls().cert_store_stats()["x509_ca"] > 50
