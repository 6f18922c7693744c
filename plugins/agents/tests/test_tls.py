"""Agents behind TLS: the certificate is checked, unless one says otherwise."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme

from chatproxy.errors import PluginError

from .agentapi import AgentApi
from .asking import QUICK, ask, error_of, gateway_of, said


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


def behind(authority: trustme.CA, name: str = "127.0.0.1") -> AgentApi:
    """An agent with a certificate for this name."""
    agent = AgentApi()
    agent.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(agent.tls)
    return agent


def trusting(authority: trustme.CA, folder: Path) -> dict[str, Any]:
    """The setting that trusts this authority alone."""
    authority.cert_pem.write_to_path(folder / "ca.pem")
    return {"ca_file": str(folder / "ca.pem"), **QUICK}


async def test_an_agent_with_a_good_certificate_answers(authority: trustme.CA, tmp_path: Path) -> None:
    async with behind(authority) as agent, gateway_of(agent, **trusting(authority, tmp_path)) as gateway:
        assert said(await ask(gateway, "Hi")) == "You said: Hi"


async def test_a_certificate_of_another_name_is_refused(authority: trustme.CA, tmp_path: Path) -> None:
    async with behind(authority, "example.com") as agent, gateway_of(agent, **trusting(authority, tmp_path)) as gateway:
        assert error_of(await ask(gateway, "Hi")) == (502, "agent_unreachable")
    assert agent.asked == []


async def test_a_certificate_of_an_unknown_authority_is_refused(authority: trustme.CA) -> None:
    async with behind(authority) as agent, gateway_of(agent, **QUICK) as gateway:
        assert error_of(await ask(gateway, "Hi")) == (502, "agent_unreachable")
    assert agent.asked == []


async def test_the_check_can_be_turned_off(authority: trustme.CA) -> None:
    async with behind(authority, "example.com") as agent, gateway_of(agent, verify=False, **QUICK) as gateway:
        assert said(await ask(gateway, "Hi")) == "You said: Hi"


async def test_a_ca_file_that_cannot_be_read_stops_the_start(authority: trustme.CA, tmp_path: Path) -> None:
    async with behind(authority) as agent:
        with pytest.raises(PluginError, match="ca_file"):
            async with gateway_of(agent, ca_file=str(tmp_path / "none.pem"), **QUICK):
                pass
