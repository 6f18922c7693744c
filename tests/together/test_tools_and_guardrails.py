"""The plugins of this repository beside each other: tools that the gateway runs pass its guardrails."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import chatproxy_guardrails
import chatproxy_mcp
import pytest
import uvicorn
from mcp.server.mcpserver import MCPServer

from chatproxy.testing import Recorder, ScriptedUpstream, make_app
from chatproxy.testing.matrix import Cell, Said, cells_with
from chatproxy.testing.matrix.said import scripted

CELLS = cells_with(calls=True)
MAIL = "erika.mustermann@posteo.de"
SEEN: list[str] = []


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server with a tool that finds addresses, and one that is told something."""
    server = MCPServer("book")

    @server.tool()
    def find(name: str) -> str:
        """Find somebody's address."""
        return f"{name} is {MAIL}"

    @server.tool()
    def tell(text: str) -> str:
        """Tell a text."""
        SEEN.append(text)
        return "told"

    host = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), port=0, log_config=None, access_log=False))
    thread = threading.Thread(target=host.run, daemon=True)
    thread.start()
    while not host.started:
        thread.join(0.01)
    port = host.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/mcp"
    host.should_exit = True
    thread.join(10)


def gateway(cell: Cell, url: str, *rounds: Said, policy: dict[str, Any], recorder: Recorder | None = None) -> Any:
    said = [scripted(cell.upstream_dialect, one, is_streamed=cell.is_streamed) for one in rounds]
    plugins: list[object] = [chatproxy_guardrails, chatproxy_mcp]
    return make_app(
        plugins=[*plugins, recorder] if recorder is not None else plugins,
        upstream=ScriptedUpstream(*said),
        upstreams=cell.upstreams,
        plugin_settings={
            "guardrails": {"policy": [{"name": "private", **policy}]},
            "mcp": {"servers": {"book": {"url": url}}, "pinning": "off"},
        },
    )


FIND = Said(content="", calls=(("book__find", '{"name":"Erika"}'),))
DONE = Said(content="Done.")


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_result_is_redacted_before_a_model_sees_it(cell: Cell, url: str) -> None:
    policy = {"check": "pii", "on": ["tool_results"], "action": "redact"}
    async with gateway(cell, url, FIND, DONE, policy=policy) as running:
        heard = await cell.ask(running, "Who?")
        bodies = [request.body for request in running.upstream.requests]
    assert heard.content == "Done."
    assert MAIL.encode() not in bodies[1]
    assert b"Erika is [REDACTED" in bodies[1]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_result_that_is_blocked_is_told_as_refused(cell: Cell, url: str) -> None:
    policy = {"check": "pii", "on": ["tool_results"], "action": "block"}
    recorder = Recorder()
    async with gateway(cell, url, FIND, DONE, policy=policy, recorder=recorder) as running:
        heard = await cell.ask(running, "Who?")
        bodies = [request.body for request in running.upstream.requests]
        await recorder.wait()
    assert (heard.content, heard.error) == ("Done.", None)
    assert MAIL.encode() not in bodies[1]
    assert b"refused" in bodies[1]
    assert [call.ok for call in recorder.exchanges[0].tool_calls] == [False]


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_a_tool_gets_the_value_behind_a_placeholder_and_the_model_does_not(cell: Cell, url: str) -> None:
    SEEN.clear()
    tell = Said(content="", calls=(("book__tell", '{"text":"[EMAIL_1]"}'),))
    policy = {"check": "pii", "on": ["input", "tool_results"], "action": "mask_reversibly"}
    async with gateway(cell, url, tell, Said(content="Wrote to [EMAIL_1]."), policy=policy) as running:
        heard = await cell.ask(running, f"Tell {MAIL}")
        bodies = [request.body for request in running.upstream.requests]
    assert SEEN == [MAIL]
    assert heard.content == f"Wrote to {MAIL}."
    assert all(MAIL.encode() not in body for body in bodies)


@pytest.mark.parametrize("cell", CELLS, ids=str)
async def test_blocked_arguments_reach_no_server(cell: Cell, url: str) -> None:
    SEEN.clear()
    tell = Said(content="", calls=(("book__tell", f'{{"text":"{MAIL}"}}'),))
    policy = {"check": "pii", "on": ["tool_arguments"], "action": "block"}
    async with gateway(cell, url, tell, DONE, policy=policy) as running:
        heard = await cell.ask(running, "Tell them.")
        bodies = [request.body for request in running.upstream.requests]
    assert SEEN == []
    assert (heard.content, heard.error) == ("Done.", None)
    assert b"refused" in bodies[1]


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.is_native], ids=str)
async def test_what_was_hidden_comes_back_beside_a_call_whose_arguments_were_masked(cell: Cell, url: str) -> None:
    function = {"name": "brush", "parameters": {"type": "object"}}
    own: dict[str, Any] = {"type": "function", **function}
    if cell.surface != "responses":
        own = {"type": "function", "function": function}
    if cell.surface == "messages":
        own = {"name": "brush", "input_schema": {"type": "object"}}
    calls = (("brush", '{"text":"for [EMAIL_1]"}'), ("book__find", '{"name":"Erika"}'))
    policy = {"check": "pii", "on": ["input", "tool_results"], "action": "mask_reversibly"}
    async with gateway(cell, url, Said(content="Two.", calls=calls), DONE, policy=policy) as running:
        heard = await cell.ask(running, f"Brush {MAIL}", tools=[own])
        assert [(name, MAIL in arguments) for name, arguments in heard.calls] == [("brush", True)]
        kept = Said(content="Two.", calls=tuple(heard.calls))
        await cell.ask(running, "And?", earlier=kept, result="clean", tools=[own])
        bodies = [request.body for request in running.upstream.requests]
    assert bodies[1].count(b"Erika is [EMAIL_") == 1
