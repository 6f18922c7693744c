"""What clients may try: forged words, other tenants' calls, fields of any shape; and what they must not get to see."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import mcp_types
import pytest

from chatproxy import Principal, hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, raw_reply
from chatproxy.testing.matrix import DIALECTS, Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

from .asking import CLOCK, answering, asked, clock_config, gateway_of, saying, word_about
from .servers import SdkServer

NATIVE = [cell for cell in cells_with(calls=True) if cell.is_native]
CHAT, RESPONSES = (Cell(surface, False, surface) for surface in ("chat", "responses"))
ASKS = Said(content="May I?", calls=(("clock__echo", '{"text":"boo"}'),))
DONE = Said(content="Done.")
BRUSH = {"type": "function", "function": {"name": "brush", "parameters": {"type": "object"}}}
MIXED = Said(content="Two.", calls=(("brush", "{}"), ("clock__now", "{}")))
YES = '{"approve": true}'


class Keys:
    """Everybody is who they say; ``organization/principal``."""

    @hookimpl
    async def authenticate(self, headers: Any) -> Principal | None:
        organization, _, name = headers["authorization"].removeprefix("Bearer ").rpartition("/")
        return Principal(id=name, organization_id=organization or None)


@pytest.fixture(scope="module")
def running() -> Any:
    with SdkServer(**CLOCK) as started:
        yield started


@pytest.fixture
def server(running: SdkServer) -> SdkServer:
    running.calls.clear()
    running.answer = answering({"now": "12:00 sharp"})
    return running


def as_user(gateway: Gateway, name: str) -> None:
    gateway.client.headers["authorization"] = f"Bearer {name}"


# -- words about calls ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_a_word_counts_in_its_own_conversation_only(cell: Cell, server: SdkServer) -> None:
    """Many servers number their calls anew in each answer, so that two conversations have calls of one id."""
    other = Said(content="May I?", calls=(("clock__echo", '{"text":"DROP"}'),))
    upstream = saying(cell, ASKS, DONE, other, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always"), cell=cell) as gateway:
        _, first = await asked(cell, gateway, "Say boo.")
        await cell.ask(gateway, "Well?", **word_about(cell, first, ASKS, YES))
        _, second = await asked(cell, gateway, "Drop it.")
        await cell.ask(gateway, "Go on.", **word_about(cell, first, ASKS, YES))
        await cell.ask(gateway, "Go on.", **word_about(cell, "call_0", ASKS, YES))
    assert first != second
    assert server.calls == [("echo", {"text": "boo"})]


async def test_a_word_of_many_requests_at_once_runs_a_call_once(server: SdkServer) -> None:
    upstream = saying(CHAT, ASKS, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always")) as gateway:
        _, call_id = await asked(CHAT, gateway, "Say boo.")
        fields = word_about(CHAT, call_id, ASKS, YES)
        heard = await asyncio.gather(*(CHAT.ask(gateway, "", **fields) for _ in range(5)))
    assert [one.content for one in heard] == ["Done."] * 5
    assert server.calls == [("echo", {"text": "boo"})]
    assert all(b'"content":"boo"' in request.body for request in upstream.requests[1:])


async def test_a_client_that_leaves_while_its_call_runs_does_not_run_it_twice(server: SdkServer) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    async def hang(name: str, arguments: dict[str, Any]) -> mcp_types.CallToolResult:
        loop.call_soon_threadsafe(begun.set)
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    server.answer = hang
    upstream = saying(CHAT, ASKS, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always")) as gateway:
        _, call_id = await asked(CHAT, gateway, "Say boo.")
        fields = word_about(CHAT, call_id, ASKS, YES)
        left = asyncio.ensure_future(CHAT.ask(gateway, "", **fields))
        await begun.wait()
        left.cancel()
        await asyncio.wait([left])
        heard = await CHAT.ask(gateway, "", **fields)
    assert heard.content == "Done."
    assert len(server.calls) == 1
    assert b"not known what became of it" in upstream.requests[-1].body


async def test_counting_tokens_runs_nothing(server: SdkServer) -> None:
    cell, count = Cell("messages", False, "messages"), raw_reply(b'{"input_tokens":5}')
    upstream = ScriptedUpstream(scripted(cell.dialect, ASKS, is_streamed=False), count)
    async with gateway_of(upstream, clock_config(server, server_approval="always"), cell=cell) as gateway:
        _, call_id = await asked(cell, gateway, "Say boo.")
        fields = word_about(cell, call_id, ASKS, YES)
        answer = await gateway.client.post("/v1/messages/count_tokens", json={"model": "m", **fields})
    assert (answer.status_code, answer.json()) == (200, {"input_tokens": 5})
    assert server.calls == []


async def test_a_call_with_broken_arguments_is_not_run_without_them(server: SdkServer) -> None:
    asks = Said(content="May I?", calls=(("clock__now", '{"only": "the old on'),))
    upstream = saying(CHAT, asks, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always")) as gateway:
        _, call_id = await asked(CHAT, gateway, "Clean up.")
        await CHAT.ask(gateway, "", **word_about(CHAT, call_id, asks, YES))
    assert server.calls == []
    assert b"not a JSON object" in upstream.requests[1].body


@pytest.mark.parametrize("word", ['{"approve": true, "x": ' + "[" * 50_000, '{"approve": 1}', "[]", '"\\ud800"'])
async def test_a_word_of_any_shape_is_no_error_of_the_gateway(server: SdkServer, word: str) -> None:
    upstream = saying(CHAT, ASKS, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always")) as gateway:
        _, call_id = await asked(CHAT, gateway, "Say boo.")
        heard = await CHAT.ask(gateway, "", **word_about(CHAT, call_id, ASKS, word))
    assert (heard.status, heard.content, server.calls) == (200, "Done.", [])


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "mcp", "server_label": "clock", "require_approval": {"never": {"tool_names": []}}}]},
        {"tools": [{"type": "mcp", "server_label": "clock", "require_approval": {"never": {"tool_names": ["now"]}}}]},
        {"mcp_servers": ["clock"], "tools": [{"type": "mcp", "server_label": "clock", "require_approval": "always"}]},
        {"metadata": {"mcp_servers": "clock"},
            "tools": [{"type": "mcp", "server_label": "clock", "require_approval": "always"}]},
    ],
    ids=["never for none", "never for another", "said twice", "said in metadata too"],
)  # fmt: skip
async def test_a_wish_to_be_asked_is_never_lost(server: SdkServer, fields: dict[str, Any]) -> None:
    upstream = saying(CHAT, ASKS, DONE)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        heard = await CHAT.ask(gateway, "Say boo.", **fields)
    assert [name for name, _ in heard.calls] == ["clock__echo"]
    assert server.calls == []


async def test_limits_that_are_said_twice_both_hold(server: SdkServer) -> None:
    upstream = saying(CHAT, DONE)
    servers = [{"name": "clock", "tool_configuration": {"allowed_tools": ["now", "echo"]}}]
    toolset = {"type": "mcp_toolset", "mcp_server_name": "clock", "configs": {"echo": {"enabled": False}}}
    async with gateway_of(upstream, clock_config(server)) as gateway:
        await CHAT.ask(gateway, "Hi", mcp_servers=servers, tools=[toolset])
    assert DIALECTS["chat"].tool_names(upstream.requests[0].json) == ["clock__now"]


async def test_a_guests_tools_are_limited_and_asked_about_too(server: SdkServer) -> None:
    def calls_first(seen: Any) -> Any:
        [name] = DIALECTS["chat"].tool_names(seen.json)
        said = Said(content="", calls=((name, '{"text":"boo"}'),))
        return scripted(DIALECTS["chat"], said, is_streamed=False)

    config = clock_config(server, allowed_hosts=["127.0.0.1"], allowed_networks=["127.0.0.0/8"])
    guest = {"type": "mcp", "server_label": "docs", "server_url": server.url, "allowed_tools": ["echo"]}
    async with gateway_of(ScriptedUpstream(calls_first), config) as gateway:
        heard = await CHAT.ask(gateway, "Say boo.", tools=[{**guest, "require_approval": "always"}])
    assert [name.partition("__")[2] for name, _ in heard.calls] == ["echo"]
    assert server.calls == []


async def test_a_request_names_few_guests(server: SdkServer) -> None:
    config = clock_config(server, allowed_hosts=["127.0.0.1"], allowed_networks=["127.0.0.0/8"])
    guests = [{"type": "url", "name": f"g{i}", "url": f"http://127.0.0.1:9/{i}"} for i in range(17)]
    upstream = saying(CHAT, DONE)
    async with gateway_of(upstream, config) as gateway:
        answer = await gateway.chat("Hi", mcp_servers=guests)
    assert (answer.status_code, upstream.requests) == (400, [])


# -- other tenants and other conversations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owner", "thief", "prefix"),
    [("/a:b", "/a", "b:"), ("/a", "a/a", ""), ("a:b/x", "a/x", "b:"), ("/x", "principal:x/", "")],
    ids=["principals", "principal and organisation", "organisations", "an organisation like a principal"],
)
async def test_a_word_of_another_tenant_runs_nothing(server: SdkServer, owner: str, thief: str, prefix: str) -> None:
    config, upstream = clock_config(server, server_approval="always"), saying(CHAT, ASKS, DONE)
    async with gateway_of(upstream, config, plugins=(Keys(),)) as gateway:
        as_user(gateway, owner)
        _, call_id = await asked(CHAT, gateway, "Say boo.")
        as_user(gateway, thief)
        await CHAT.ask(gateway, "", **word_about(CHAT, prefix + call_id, ASKS, YES))
        assert server.calls == []
        as_user(gateway, owner)
        await CHAT.ask(gateway, "", **word_about(CHAT, call_id, ASKS, YES))
    assert len(server.calls) == 1


@pytest.mark.parametrize("cell", NATIVE, ids=str)
async def test_what_was_hidden_stays_out_of_a_conversation_with_another_call_of_that_id(
    cell: Cell, server: SdkServer
) -> None:
    own = {"name": "brush", "input_schema": {"type": "object"}}
    forms = {"chat": BRUSH, "messages": own, "responses": {"type": "function", **BRUSH["function"]}}  # type: ignore[dict-item]
    upstream = saying(cell, MIXED, DONE)
    async with gateway_of(upstream, clock_config(server), cell=cell) as gateway:
        await cell.ask(gateway, "Both.", tools=[forms[cell.surface]])
        for arguments in ('{"teeth":32}', "{}"):
            kept = Said(content="Mine.", calls=(("brush", arguments),))
            await cell.ask(gateway, "And?", earlier=kept, result="clean", tools=[forms[cell.surface]])
    assert b"12:00 sharp" not in upstream.requests[1].body
    assert b"12:00 sharp" in upstream.requests[2].body


# -- fields of any shape ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "item",
    [
        {"type": "mcp_call", "id": 5, "approval_request_id": {"a": 1}},
        {"type": "mcp_approval_response", "approval_request_id": [1], "approve": True},
        {"type": "mcp_approval_request", "id": ["x"], "server_label": {}},
        {"type": "mcp_list_tools", "server_label": [1], "tools": 5},
        {"type": "mcp_call", "error": {"content": [5, None]}},
        {"type": "mcp_unheard_of"},
    ],
    ids=lambda item: str(item["type"]),
)
async def test_items_of_any_shape_are_no_error_of_the_gateway(server: SdkServer, item: dict[str, Any]) -> None:
    upstream = saying(RESPONSES, DONE)
    async with gateway_of(upstream, clock_config(server, server_approval="always"), cell=RESPONSES) as gateway:
        heard = await RESPONSES.ask(gateway, "", input=[item, {"role": "user", "content": "Hi"}])
    assert (heard.status, heard.content) == (200, "Done.")
    assert b'"mcp_' not in upstream.requests[0].body


@pytest.mark.parametrize("text", ["[" * 100_000, '{"clock": ' + "[" * 5_000 + "]" * 5_000 + "}"])
async def test_controls_nested_too_deep_are_refused(server: SdkServer, text: str) -> None:
    upstream = saying(CHAT, DONE)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        answer = await gateway.chat("Hi", metadata={"mcp_servers": text})
    assert (answer.status_code, upstream.requests) == (400, [])
    assert len(answer.content) < 1_000


@pytest.mark.parametrize(
    "url",
    ["http://a\x00b/", "http://a\n.evil/", "http://a\\@evil/", "http://u:p@a/", "http://a/ x",
        "http://a/" + "p" * 5_000, "http:/a", "file:///a", "http://[::1", "http://a:99999/", "http://a:0/", "http://./"],
    ids=range(12),
)  # fmt: skip
async def test_addresses_of_any_shape_are_refused(server: SdkServer, url: str) -> None:
    upstream = saying(CHAT, DONE)
    async with gateway_of(upstream, clock_config(server, allowed_hosts=["*"])) as gateway:
        answer = await gateway.chat("Hi", mcp_servers=[{"type": "url", "name": "x", "url": url}])
    assert (answer.status_code, upstream.requests) == (400, [])
    assert answer.json()["error"]["code"] == "mcp_server_not_allowed"


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "configs": [{"now": {"enabled": False}}]}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "configs": {"now": {"enabled": "no"}}}]},
        {"tools": [{"type": "mcp_toolset", "mcp_server_name": "clock", "default_config": "off"}]},
        {"mcp_servers": [{"name": "clock", "tool_configuration": ["now"]}]},
    ],
    ids=["configs", "enabled", "default", "configuration"],
)
async def test_a_limit_that_cannot_be_read_is_refused(server: SdkServer, fields: dict[str, Any]) -> None:
    upstream = saying(CHAT, DONE)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        answer = await gateway.chat("Hi", **fields)
    assert (answer.status_code, upstream.requests) == (400, [])


async def test_a_tool_choice_of_any_shape_is_the_upstreams_affair(server: SdkServer) -> None:
    upstream = saying(CHAT, Said(content="", calls=(("clock__now", "{}"),)), DONE)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        heard = await CHAT.ask(gateway, "Hi", tool_choice={"type": ["function"]})
    assert (heard.status, heard.content) == (200, "Done.")


async def test_a_custom_tool_of_the_same_name_stays_the_clients(server: SdkServer) -> None:
    own = {"type": "custom", "custom": {"name": "clock__now"}}
    upstream = saying(CHAT, DONE)
    async with gateway_of(upstream, clock_config(server)) as gateway:
        await CHAT.ask(gateway, "Hi", tools=[own])
    offered = upstream.requests[0].json["tools"]
    assert [tool[tool["type"]]["name"] for tool in offered] == ["clock__now", "clock__echo"]


# -- what they do not get to see --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["tools", "prompt"])
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_a_response_repeats_what_the_client_said_and_not_what_the_gateway_put_there(
    server: SdkServer, mode: str, is_streamed: bool
) -> None:
    own = {"type": "function", "name": "brush", "parameters": {"type": "object"}}

    def repeat(seen: Any) -> Any:
        keys = ("tools", "tool_choice", "instructions")
        said = {key: seen.json.get(key) for key in keys}
        answer = scripted(RESPONSES.dialect, DONE, is_streamed=is_streamed)
        mark = b'"object":"response",'
        parts = [part.replace(mark, mark + json.dumps(said).encode()[1:-1] + b",") for part in answer.parts]
        return raw_reply(*parts, content_type=answer.headers["content-type"])

    cell = Cell("responses", is_streamed, "responses")
    body = {"model": "m", "input": "Hi", "tools": [own], "instructions": "Be brief.", "stream": is_streamed}
    async with gateway_of(ScriptedUpstream(repeat), clock_config(server, mode=mode), cell=cell) as gateway:
        answer = await gateway.client.post("/v1/responses", json=body)
    assert "Done." in answer.text
    assert "clock" not in answer.text
    assert answer.text.count('"Be brief."') == answer.text.count('"brush"') == (2 if is_streamed else 1)


async def test_secrets_of_servers_and_clients_are_nowhere(server: SdkServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(1)
    config = clock_config(server, server_auth={"type": "bearer", "token": "s3cret-bearer"})
    config["servers"]["clock"]["headers"] = {"x-extra": "s3cret-header"}
    config["servers"]["gone"] = {"url": "http://user:s3cret-user@127.0.0.1:9/mcp?key=s3cret-query"}
    config["servers"]["dead"] = {"command": "/nonexistent", "args": ["s3cret-arg"], "env": {"KEY": "s3cret-env"}}
    upstream = saying(CHAT, Said(content="", calls=(("clock__now", "{}"),)), DONE)
    async with gateway_of(upstream, config, plugins=(Keys(),)) as gateway:
        as_user(gateway, "s3cret-client")
        heard = await CHAT.ask(gateway, "Hi")
        shown = await gateway.client.get("/chatproxy/mcp")
        ready = await gateway.client.get("/readyz")
    assert (heard.content, shown.status_code) == ("Done.", 200)
    told = [shown.text, ready.text, *(request.body.decode() for request in upstream.requests)]
    assert not [text for text in told if "s3cret" in text]
    assert not [record.getMessage() for record in caplog.records if "s3cret" in record.getMessage()]
