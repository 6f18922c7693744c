"""What a request says about tools: every form of it, and what is answered where it asks for what is not here."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy import Principal, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream
from chatproxy.testing.matrix import DIALECTS, Cell, Said

from .asking import CLOCK, answering, clock_config, gateway_of, saying
from .servers import SdkServer

NOON = Said(content="It is noon.")
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages"}
HIGH = {"high": {"description": "Say how high it is.", "inputSchema": {"type": "object"}}}


@pytest.fixture(scope="module")
def servers() -> Any:
    with SdkServer(**CLOCK) as clock, SdkServer(**HIGH) as tower:
        clock.answer = answering({"now": "12:00 sharp"})
        yield clock, tower


@pytest.fixture
def config(servers: Any) -> dict[str, Any]:
    clock, tower = servers
    made = clock_config(clock)
    made["servers"]["tower"] = {"url": tower.url, "is_default": False}
    return made


async def offered(gateway: Gateway, surface: str = "chat", **fields: Any) -> list[str]:
    """The names of the tools that the upstream was offered."""
    upstream = gateway.upstream
    assert isinstance(upstream, ScriptedUpstream)
    before = len(upstream.requests)
    body = {"model": "m", **DIALECTS[surface].question("Hi", earlier=None, result=None), **fields}
    answer = await gateway.client.post(PATHS[surface], json=body)
    assert answer.status_code == 200, answer.text
    [request] = upstream.requests[before:]
    told = request.json
    assert not {"mcp_servers", "allowed_tools", "mcp_progress"} & told.keys()
    assert "mcp" not in json.dumps(told.get("metadata") or {})
    return DIALECTS[surface].tool_names(told)


BOTH = ["clock__echo", "clock__now"]
ALL = [*BOTH, "tower__high"]


@pytest.mark.parametrize("surface", ["chat", "responses", "messages"])
@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, BOTH),
        ({"mcp_servers": ["tower"]}, ["tower__high"]),
        ({"mcp_servers": "tower"}, ["tower__high"]),
        ({"mcp_servers": ["clock", "tower"]}, ALL),
        ({"mcp_servers": []}, []),
        ({"mcp_servers": {"tower": {}}}, ["tower__high"]),
        ({"mcp_servers": [{"type": "url", "name": "clock", "tool_configuration": {"allowed_tools": ["now"]}}]},
            ["clock__now"]),
        ({"mcp_servers": [{"name": "clock", "tool_configuration": {"enabled": False}}, "tower"]}, ["tower__high"]),
        ({"allowed_tools": ["now"]}, ["clock__now"]),
        ({"allowed_tools": ["clock__e*"]}, ["clock__echo"]),
        ({"allowed_tools": ["mcp__clock__now", "Bash"]}, ["clock__now"]),
        ({"allowed_tools": []}, []),
        ({"metadata": {"mcp_servers": "clock, tower", "allowed_tools": '["now", "high"]'}},
            ["clock__now", "tower__high"]),
        ({"metadata": {"mcp_servers": ["tower"], "kept": "x"}}, ["tower__high"]),
        ({"tools": [{"type": "mcp", "server_label": "tower"}]}, ["tower__high"]),
        ({"tools": [{"type": "mcp", "server_label": "clock", "allowed_tools": ["now"]}]}, ["clock__now"]),
        ({"tools": [{"type": "mcp", "server_label": "clock", "allowed_tools": {"tool_names": ["echo"]}}]},
            ["clock__echo"]),
        ({"tools": [{"type": "mcp", "server_label": "clock", "allowed_tools": {"read_only": True}}]}, []),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "configs": {"now": {"enabled": False}}}]},
            ["clock__echo"]),
        ({"mcp_servers": [{"type": "url", "name": "clock"}],
            "tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "default_config": {"enabled": False},
                "configs": {"now": {"enabled": True}}}]}, ["clock__now"]),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)  # fmt: skip
async def test_a_request_chooses_among_servers_and_tools(
    config: dict[str, Any], surface: str, fields: dict[str, Any], names: list[str]
) -> None:
    cell = Cell(surface, False, surface)
    async with gateway_of(saying(cell, NOON), config, cell=cell) as gateway:
        assert await offered(gateway, surface, **fields) == names


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"mcp_servers": ["nowhere"]}, 400, "mcp_server_not_found", "mcp_servers[0]"),
        ({"mcp_servers": 5}, 400, "invalid_request", "mcp_servers"),
        ({"mcp_servers": [{"command": "rm", "name": "x"}]}, 400, "mcp_command_refused", "mcp_servers[0]"),
        ({"mcp_servers": {"x": {"command": "rm", "args": ["-rf"]}}}, 400, "mcp_command_refused", "mcp_servers[0]"),
        ({"mcp_servers": {"x": {"type": "stdio"}}}, 400, "mcp_command_refused", "mcp_servers[0]"),
        ({"metadata": {"mcp_servers": '{"x":{"command":"rm"}}'}}, 400, "mcp_command_refused",
            "metadata.mcp_servers[0]"),
        ({"allowed_tools": 5}, 400, "invalid_request", "allowed_tools"),
        ({"allowed_tools": ["x"] * 513}, 400, "invalid_request", "allowed_tools"),
        ({"allowed_tools": ["x*"] * 65}, 400, "invalid_request", "allowed_tools"),
        ({"allowed_tools": ["x" * 257]}, 400, "invalid_request", "allowed_tools"),
        ({"tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "configs": {"x" * 257: {}}}]}, 400,
            "invalid_request", "tools[0].configs"),
        ({"mcp_progress": "yes"}, 400, "invalid_request", "mcp_progress"),
        ({"tools": [{"type": "mcp"}]}, 400, "invalid_request", "tools[0].server_label"),
        ({"tools": [{"type": "mcp", "server_label": "clock", "odd": 1}]}, 400, "invalid_request", "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "clock", "connector_id": "c"}]}, 400, "invalid_request",
            "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "clock", "authorization": "t"}]}, 400, "invalid_request",
            "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://evil.example/mcp"}]}, 400,
            "mcp_server_not_allowed", "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "clock", "server_url": "https://evil.example/mcp"}]}, 400,
            "mcp_server_not_allowed", "tools[0]"),
        ({"tools": [{"type": "mcp", "server_label": "clock"}] * 2}, 400, "invalid_request", "tools[1]"),
        ({"tools": [{"type": "mcp", "server_label": "clock", "require_approval": "maybe"}]}, 400, "invalid_request",
            "tools[0].require_approval"),
    ],
    ids=lambda value: json.dumps(value)[:80] if isinstance(value, dict) else "",
)  # fmt: skip
async def test_what_is_not_here_is_refused(
    config: dict[str, Any], fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    upstream = ScriptedUpstream()
    async with gateway_of(upstream, config) as gateway:
        answer = await gateway.chat("Hi", **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (status, code, param)
    assert upstream.requests == []


async def test_tools_of_other_servers_are_left_to_an_upstream_that_runs_them(config: dict[str, Any]) -> None:
    entry = {"type": "mcp", "server_label": "theirs", "server_url": "https://theirs.example/mcp"}
    cell = Cell("responses", False, "responses")
    upstream = saying(cell, NOON)
    async with gateway_of(upstream, {**config, "unknown_servers": "forward"}, cell=cell) as gateway:
        await gateway.client.post("/v1/responses", json={"model": "m", "input": "Hi", "tools": [entry]})
    assert upstream.requests[0].json["tools"] == [entry]


async def test_a_server_is_for_some_models_and_some_keys(servers: Any) -> None:
    class Keys:
        @hookimpl
        async def authenticate(self, headers: Any) -> Principal | None:
            return Principal(id=headers.get("authorization", "").removeprefix("Bearer "))

    clock, tower = servers
    config = clock_config(clock, server_models=["gpt-*"])
    config["servers"]["tower"] = {"url": tower.url, "keys": ["team-*"]}
    cell = Cell("chat", False, "chat")
    async with gateway_of(saying(cell, NOON), config, plugins=(Keys(),)) as gateway:
        for key, model, names in (
            ("team-a", "gpt-5", ALL), ("team-a", "other", ["tower__high"]), ("bob", "gpt-5", BOTH), ("bob", "other", [])
        ):  # fmt: skip
            gateway.client.headers["authorization"] = f"Bearer {key}"
            assert await offered(gateway, model=model) == names
        gateway.client.headers["authorization"] = "Bearer bob"
        answer = await gateway.chat("Hi", mcp_servers=["tower"])
        assert answer.json()["error"]["code"] == "mcp_server_not_found"
        assert "tower" not in answer.json()["error"]["message"].replace("'tower'", "", 1)


async def test_a_clients_tool_of_the_same_name_stays_the_clients(config: dict[str, Any]) -> None:
    own = {"type": "function", "function": {"name": "clock__now", "parameters": {"type": "object"}}}
    cell = Cell("chat", False, "chat")
    upstream = saying(cell, Said(content="", calls=(("clock__now", "{}"),)))
    async with gateway_of(upstream, config) as gateway:
        heard = await cell.ask(gateway, "Hi", tools=[own])
    assert heard.calls == [("clock__now", "{}")]
    assert DIALECTS["chat"].tool_names(upstream.requests[0].json) == ["clock__now", "clock__echo"]


async def test_a_server_that_is_down_costs_its_tools_and_not_the_request(servers: Any) -> None:
    config = clock_config(servers[0])
    config["servers"]["dead"] = {"url": "http://127.0.0.1:9/mcp"}
    config["servers"]["broken"] = {"command": "/nonexistent/command"}
    cell = Cell("chat", False, "chat")
    async with gateway_of(saying(cell, NOON), config) as gateway:
        assert await offered(gateway) == BOTH
        ready = await gateway.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["plugins"]["mcp"]["servers"] == {"clock": "ready", "dead": "down", "broken": "down"}


async def test_nothing_changes_where_no_server_is_configured() -> None:
    upstream = ScriptedUpstream()
    raw = b'{"model":"m","messages":[{"role":"user", "content":"Hi"}],"odd":1e0,"tools":[]}'
    async with gateway_of(upstream, {}) as gateway:
        answer = await gateway.client.post("/v1/chat/completions", content=raw)
        assert answer.status_code == 200
        refused = await gateway.chat("Hi", mcp_servers=["x"])
    assert upstream.requests[0].body == raw
    assert refused.json()["error"]["code"] == "mcp_server_not_found"


async def test_surfaces_without_tools_pass_and_refuse_a_wish_for_them(config: dict[str, Any]) -> None:
    async with gateway_of(ScriptedUpstream(), config) as gateway:
        plain = await gateway.client.post("/v1/completions", json={"model": "m", "prompt": "Hi"})
        refused = await gateway.client.post(
            "/v1/completions", json={"model": "m", "prompt": "Hi", "allowed_tools": ["x"]}
        )
    assert plain.status_code == 200
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "mcp_unavailable")


async def test_offered_tools_are_the_same_bytes_every_time(config: dict[str, Any]) -> None:
    cell = Cell("chat", False, "chat")
    upstream = saying(cell, NOON)
    async with gateway_of(upstream, config) as gateway:
        for text in ("one", "two"):
            await gateway.chat(text)
        await gateway.chat("three", mcp_servers=["tower", "clock"], allowed_tools=["now", "echo"])
    parts = [request.body.split(b'"tools":')[1] for request in upstream.requests]
    assert parts[0] == parts[1] == parts[2]
