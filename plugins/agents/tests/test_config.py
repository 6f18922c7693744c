"""The table ``[plugins.agents]``, and what an agent's server gets of it."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest
from chatproxy_agents import Agent, AgentsPlugin, Basic, Bearer, Config

from chatproxy.errors import StartupError
from chatproxy.testing import make_app

from .agentapi import AgentApi, answer, problem
from .asking import QUICK, ask, error_of, gateway_of, said

README = Path(__file__).parents[1] / "README.md"
URL = "http://127.0.0.1:3284"


@pytest.mark.parametrize(
    ("table", "said_so"),
    [
        ({"coder": {}}, "url"),
        ({"coder": {"url": "ftp://x"}}, "url must be"),
        ({"coder": {"url": "http://host:port"}}, "Port"),
        ({"coder": {"url": "http://host:70000"}}, "Port"),
        ({"coder": {"url": "http://me:secret@host"}}, "use auth"),
        ({"coder": {"url": URL, "colour": "red"}}, "colour"),
        ({"coder": {"url": URL, "hold_lines": 0}}, "hold_lines"),
        ({"coder": {"url": URL, "another_session": "reset"}}, "reset_command"),
        ({"coder": {"url": URL, "file_reference": "file"}}, "file_reference"),
        ({"coder": {"url": URL, "headers": {"a b": "c"}}}, "headers"),
        ({"coder": {"url": URL, "auth": {"type": "bearer", "token": ""}}}, "token"),
        ({"coder": {"url": URL, "auth": {"type": "basic", "username": "a:b", "password": "c"}}}, "colon"),
        ({"Coder!": {"url": URL}}, "small letters"),
        ({"a": {"url": URL, "model": "x"}, "b": {"url": URL, "model": "x"}}, "same model"),
    ],
    ids=[
        "no url", "scheme", "port", "high port", "credential", "unknown key", "hold", "reset", "reference", "header",
        "token", "user", "name", "model twice",
    ],
)  # fmt: skip
def test_a_wrong_table_stops_the_start(table: dict[str, Any], said_so: str) -> None:
    with pytest.raises(StartupError, match=said_so) as caught:
        make_app(plugins=[AgentsPlugin()], plugin_settings={"agents": {"agent": table}})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        ({"type": "bearer", "token": "s3cret"}, "Bearer s3cret"),
        (
            {"type": "basic", "username": "me", "password": "pä:ss"},
            f"Basic {b64encode('me:pä:ss'.encode()).decode()}",
        ),
    ],
    ids=["bearer", "basic"],
)
async def test_every_request_carries_the_credential(agent: AgentApi, auth: dict[str, str], header: str) -> None:
    async with gateway_of(agent, auth=auth, headers={"x-team": "red"}, **QUICK) as gateway:
        said(await ask(gateway, "Hi"))
    assert {asked.headers["authorization"] for asked in agent.asked} == {header}
    assert {asked.headers["x-team"] for asked in agent.asked} == {"red"}


async def test_what_the_client_sends_of_itself_stays_here(agent: AgentApi) -> None:
    async with gateway_of(agent, **QUICK) as gateway:
        gateway.client.headers.update({"authorization": "Bearer mine", "cookie": "a=b"})
        answer = await ask(gateway, "Hi")
    for asked in agent.asked:
        assert "authorization" not in asked.headers
        assert "cookie" not in asked.headers
        assert asked.headers["accept-encoding"] == "identity"
        assert asked.headers["x-request-id"] == answer.headers["x-request-id"]
        assert asked.headers["traceparent"].startswith("00-")


async def test_proxies_of_the_environment_are_not_used(agent: AgentApi, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    async with gateway_of(agent, **QUICK) as gateway:
        assert said(await ask(gateway, "Hi")) == "You said: Hi"


@pytest.mark.parametrize(
    "secrets",
    [
        {"auth": {"type": "bearer", "token": "s3cret-of-ours"}},
        {"auth": {"type": "basic", "username": "me", "password": "s3cret-of-ours"}},
        {"headers": {"x-agent-key": "s3cret-of-ours"}},
    ],
    ids=["bearer", "basic", "header"],
)
async def test_a_server_that_repeats_the_credential_does_not_show_it(agent: AgentApi, secrets: dict[str, Any]) -> None:
    agent.faults["/message"] = [answer(500, problem(500, "no s3cret-of-ours here"))]
    async with gateway_of(agent, **secrets, **QUICK) as gateway:
        failed = await ask(gateway, "Hi")
    assert error_of(failed) == (502, "agent_status")
    assert "here" in failed.text
    assert "s3cret" not in failed.text


def test_secrets_do_not_show() -> None:
    agents = [
        Agent(url=URL, auth=Bearer(token="s3cret"), headers={"x-key": "s3cret"}),
        Agent(url=URL, auth=Basic(username="me", password="s3cret")),
    ]
    assert "s3cret" not in repr(agents) + repr([agent.auth for agent in agents])


def test_the_configuration_of_the_readme_is_one_and_names_every_key() -> None:
    text = README.read_text(encoding="utf-8")
    table = tomllib.loads(text.partition("```toml\n")[2].partition("```")[0])
    config = msgspec.convert(table["plugins"]["agents"], Config)
    assert [agent.model or name for name, agent in config.agent.items()] == ["claude", "aider/shop"]
    assert config.agent["aider"].interrupt == "\x03"
    settings = text.partition("## Settings")[2]
    for kind in (Config, Agent):
        assert all(f"`{field}`" in settings or field == "agent" for field in kind.__struct_fields__)
