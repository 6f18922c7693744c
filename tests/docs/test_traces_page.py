"""The programs of docs/traces.md run, and do what the page says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy import RequestContext, ToolCall, ToolResult, hookimpl, hookspecs
from chatproxy.testing import Gateway, Recorder, ScriptedUpstream, error_reply, make_app, stream_reply
from chatproxy.types import trace as limits

from .pages import blocks, prose

PAGE = "docs/traces.md"
PYTHON = [block.text for block in blocks(PAGE, "python")]
PARENT = f"00-{1:032x}-{2:016x}-01"


def plugin_of(part: str) -> Any:
    """A program of the page as an object with its hooks."""
    (text,) = [text for text in PYTHON if part in text]
    space: dict[str, Any] = {"__name__": "page"}
    exec(compile(text, PAGE, "exec"), space)  # noqa: S102 - a block of the page
    functions = {name: staticmethod(value) for name, value in space.items() if hasattr(hookspecs, name)}
    return type("Page", (), {"chatproxy_name": "page", **functions})()


class Adding:
    """Adds an attribute, and runs a tool before each request."""

    chatproxy_name = "adding"

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: Any, call_next: Any) -> Any:
        async def run(call: ToolCall) -> ToolResult:
            return ToolResult(content="done")

        ctx.trace.set("adding.team", "search")
        await ctx.call_tool(ToolCall(id="1", name="look", arguments={}), run)
        return await call_next(request)


async def ask(gateway: Gateway, *, stream: bool = False) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    await gateway.client.post("/v1/chat/completions", json=body, headers={"traceparent": PARENT})


@pytest.mark.parametrize(
    ("script", "stream"), [(stream_reply(), True), (error_reply(503), False)], ids=["streamed", "failed"]
)
async def test_tracer_of_the_page_writes_a_tree(script: Any, stream: bool, capsys: pytest.CaptureFixture[str]) -> None:
    recorder, upstream = Recorder(), ScriptedUpstream(script)
    async with make_app(plugins=[plugin_of("class Spans"), Adding(), recorder], upstream=upstream) as gateway:
        await ask(gateway, stream=stream)
        exchange = await recorder.wait()
    root, *children = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (root["trace_id"], root["parent_id"], root["name"]) == (PARENT[3:35], PARENT[36:52], "/v1/chat/completions")
    assert root["attributes"] == {"adding.team": "search"}
    assert [(child["name"], child["parent_id"]) for child in children] == [
        ("chat m", root["span_id"]),
        ("execute_tool look", root["span_id"]),
    ]
    assert upstream.requests[0].headers["traceparent"] == f"{PARENT[:36]}{children[0]['span_id']}-01"
    assert root["start"] == exchange.started_at
    assert all(root["start"] <= child["start"] <= root["start"] + root["duration_s"] for child in children)


async def test_handler_of_the_page_says_where_it_went() -> None:
    recorder = Recorder()
    async with make_app(plugins=[plugin_of("class Far"), recorder], demo=True) as gateway:
        answer = await gateway.chat("hello")
        (attempt,) = (await recorder.wait()).attempts
    assert answer.json()["choices"][0]["message"]["content"] == "You said: hello (00)"
    assert (attempt.handler, attempt.upstream, attempt.model) == ("far", "far", "scripted")
    assert (attempt.url, attempt.address, attempt.port) == ("https://far.example/ask", "far.example", 443)
    assert (attempt.status, attempt.error_type, attempt.finish_reasons) == (200, None, ["stop"])


def test_every_program_is_run_and_the_limits_are_right() -> None:
    assert len(PYTHON) == 2
    text = prose(PAGE)
    for number in (
        f"{limits.MAX_TEXT:,} characters",
        f"{limits.MAX_ATTRIBUTES} attributes",
        f"{limits.MAX_EVENTS} events",
    ):
        assert number in text
