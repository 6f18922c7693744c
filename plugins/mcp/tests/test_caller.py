"""One call between the hooks: what the server gets, what the model is told, and what is put on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec
import pytest
from chatproxy_mcp.calling.caller import Called, Caller
from chatproxy_mcp.config import Config, Server
from chatproxy_mcp.connect.errors import (
    CallRefusedError,
    CallTimeoutError,
    ConnectionLostError,
    InputRefusedError,
    MessageTooLargeError,
    ServerDownError,
)
from chatproxy_mcp.tool import Tool
from mcp_types import AudioContent, CallToolResult, TextContent

from chatproxy import ChatRequest, Exchange, Principal, Reject, RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import Recorder, make_app

Json = dict[str, Any]
Answer = Callable[[Json], Awaitable[CallToolResult]]

TOOL = Tool(
    server="mail",
    name="send",
    offered="mail__send",
    parameters={"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]},
)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Link:
    """A server that answers by a function.

    Attributes:
        got: what it was called with, in order.
    """

    def __init__(self, answer: Answer) -> None:
        self.got: list[Json] = []
        self._answer = answer

    async def call(self, server: str, name: str, arguments: Json, **options: Any) -> CallToolResult:
        self.got.append({"server": server, "name": name, "arguments": arguments, **options})
        return await self._answer(arguments)

    def describe(self, server: str) -> dict[str, str | int]:
        return {"server.address": f"{server}.test"}


class Loop:
    """Runs one call before the model's turn."""

    chatproxy_name = "loop"

    def __init__(self, link: Link, server: Server, *, call: ToolCall, timeout_s: float | None = None) -> None:
        self.called: Called | None = None
        self.call = call
        self._caller = Caller(Config(servers={"mail": server}), link)
        self._timeout_s = timeout_s

    @hookimpl
    async def around_execute(self, ctx: RequestContext, request: ChatRequest, call_next: Any) -> Any:
        self.called = await self._caller.run(ctx, TOOL, self.call, timeout_s=self._timeout_s)
        return await call_next(request)


async def said(arguments: Json) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=f"sent to {arguments['to']}")])


async def run(
    answer: Answer = said,
    *plugins: object,
    call: ToolCall | None = None,
    timeout_s: float | None = None,
    headers: Mapping[str, str] | None = None,
    path: str = "/v1/chat/completions",
    **server: Any,
) -> tuple[Called, Link, Exchange]:
    link, recorder = Link(answer), Recorder()
    call = call or ToolCall(id="call_1", name="mail__send", arguments={"to": "ada"})
    loop = Loop(link, Server(url="http://mail.test", **server), call=call, timeout_s=timeout_s)
    body = {"model": "scripted", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
    async with make_app(plugins=[*plugins, loop, recorder]) as gateway:
        answered = await gateway.client.post(path, json=body, headers=headers)
        assert answered.status_code == 200
        exchange = await recorder.wait()
    assert loop.called is not None
    return loop.called, link, exchange


async def test_model_gets_what_the_tool_says() -> None:
    called, link, exchange = await run(headers={"traceparent": PARENT, "tracestate": "a=1"})
    assert called.result == ToolResult(content="sent to ada")
    assert (called.outcome, called.output, called.error) == ("ok", "sent to ada", None)
    (got,) = link.got
    trace = got.pop("meta")
    assert got == {"server": "mail", "name": "send", "arguments": {"to": "ada"}, "tenant": "", "timeout_s": 60.0}
    assert trace["traceparent"].split("-")[1] == PARENT.split("-")[1]
    assert trace["tracestate"] == "a=1"
    (record,) = exchange.tool_calls
    assert (record.name, record.server, record.ok) == ("mail__send", "mail", True)
    assert record.arguments_bytes == len(b'{"to":"ada"}')


CALLED = {"mcp.method.name": "tools/call", "chatproxy.mcp.tool": "send", "server.address": "mail.test"}


@pytest.mark.parametrize(
    ("error", "added"),
    [
        pytest.param(None, {}, id="answered"),
        pytest.param(CallRefusedError(-32602, "no"), {"rpc.response.status_code": "-32602"}, id="JSON-RPC error"),
        pytest.param(CallRefusedError(403, "no"), {}, id="HTTP status"),
        pytest.param(CallTimeoutError("late"), {}, id="timeout"),
    ],
)
async def test_a_call_is_put_on_record_without_what_was_said_in_it(error: Exception | None, added: Json) -> None:
    async def answers(arguments: Json) -> CallToolResult:
        if error is not None:
            raise error
        return await said(arguments)

    _, _, exchange = await run(answers, Masks(), call=masked(to="[NAME]"))
    assert exchange.tool_calls[0].details == {**CALLED, **added}


async def test_a_call_that_no_server_got_has_no_details() -> None:
    _, _, exchange = await run(call=ToolCall(id="1", name="mail__send", arguments={}))
    assert exchange.tool_calls[0].details == {}


async def test_error_of_the_tool_is_told_and_recorded() -> None:
    async def fails(arguments: Json) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="no such address")], is_error=True)

    called, _, exchange = await run(fails)
    assert called.result == ToolResult(content="no such address", is_error=True)
    assert (called.outcome, called.error) == ("error", "no such address")
    assert not exchange.tool_calls[0].ok


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(ServerDownError("server 'mail' cannot be reached"), "down", id="down"),
        pytest.param(ConnectionLostError("server 'mail' went away"), "down", id="lost"),
        pytest.param(CallTimeoutError("no answer within 60 s"), "timeout", id="timeout"),
        pytest.param(CallRefusedError(-32602, "Unknown tool: send"), "error", id="vanished"),
        pytest.param(MessageTooLargeError("the answer is too large"), "error", id="too large"),
        pytest.param(InputRefusedError(), "error", id="elicitation"),
    ],
)
async def test_server_that_fails_costs_the_call_alone(error: Exception, outcome: str) -> None:
    async def fails(arguments: Json) -> CallToolResult:
        raise error

    called, _, exchange = await run(fails)
    assert called.result == ToolResult(content=f"The call failed: {error}", is_error=True)
    assert (called.outcome, called.error) == (outcome, called.output)
    assert [record.ok for record in exchange.tool_calls] == [False]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        pytest.param(
            ToolCall(id="1", name="mail__send", arguments={}, malformed='{"to": '),
            "not a JSON object: Input data was truncated",
            id="cut off",
        ),
        pytest.param(
            ToolCall(id="1", name="mail__send", arguments={}, malformed="[1]"),
            "not a JSON object: found an array",
            id="array",
        ),
        pytest.param(
            ToolCall(id="1", name="mail__send", arguments={"to": 5}), 'to: the value is not of type "string"', id="type"
        ),
        pytest.param(ToolCall(id="1", name="mail__send", arguments={}), '"to" is a required property', id="missing"),
    ],
)
async def test_wrong_arguments_do_not_reach_the_server(call: ToolCall, told: str) -> None:
    called, link, exchange = await run(call=call)
    assert (called.outcome, called.result.is_error, link.got) == ("invalid", True, [])
    assert told in called.output
    assert [(record.server, record.ok) for record in exchange.tool_calls] == [("mail", False)]


class Masks:
    """Knows the value that a model knows by a placeholder only, as guardrails do."""

    chatproxy_name = "masks"

    @hookimpl
    async def before_tool_call(self, call: ToolCall) -> ToolCall:
        return msgspec.structs.replace(call, arguments=self._swapped(call.arguments, "[NAME]", "Ada"))

    @hookimpl
    async def after_tool_call(self, result: ToolResult) -> ToolResult:
        return msgspec.structs.replace(result, content=self._swapped(result.content, "Ada", "[NAME]"))

    def _swapped(self, value: Any, old: str, new: str) -> Any:
        return msgspec.json.decode(msgspec.json.encode(value).replace(old.encode(), new.encode()))


def masked(**arguments: Any) -> ToolCall:
    return ToolCall(id="1", name="mail__send", arguments=arguments)


async def test_hooks_change_what_the_server_and_the_model_see() -> None:
    called, link, _ = await run(said, Masks(), call=masked(to="[NAME]"))
    assert link.got[0]["arguments"] == {"to": "Ada"}
    assert (called.result.content, called.output) == ("sent to [NAME]", "sent to [NAME]")


async def test_server_errors_pass_the_hooks_too() -> None:
    async def fails(arguments: Json) -> CallToolResult:
        raise CallRefusedError(1, f"who is {arguments['to']}?")

    called, _, _ = await run(fails, Masks(), call=masked(to="[NAME]"))
    assert called.error == "The call failed: the server refused the call: who is [NAME]? (code 1)"


async def test_value_that_a_hook_put_in_is_not_quoted() -> None:
    class Unmasks:
        chatproxy_name = "unmasks"

        @hookimpl
        async def before_tool_call(self, call: ToolCall) -> ToolCall:
            return msgspec.structs.replace(call, arguments={"to": ["Ada"], "Ada": {"to": 1}})

    called, link, _ = await run(said, Unmasks(), call=masked(to="[NAME]"))
    assert (called.outcome, link.got) == ("invalid", [])
    assert "Ada" not in called.output
    assert 'to: the value is not of type "string"' in called.output


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_refused_call_tells_the_reason_and_nothing_else(hook: str) -> None:
    async def refuse(**_: Any) -> None:
        raise Reject("The tool call was blocked by the policy 'no mail'.", code="content_filter")

    class Before:
        chatproxy_name = "refuses"

        @hookimpl
        async def before_tool_call(self) -> None:
            await refuse()

    class After:
        chatproxy_name = "refuses"

        @hookimpl
        async def after_tool_call(self) -> None:
            await refuse()

    called, link, exchange = await run(said, Before() if hook == "before_tool_call" else After())
    assert called.result.content == "The call was refused: The tool call was blocked by the policy 'no mail'."
    assert (called.outcome, called.error) == ("refused", called.output)
    assert len(link.got) == (hook == "after_tool_call")
    assert [(record.ok, record.result_bytes) for record in exchange.tool_calls] == [(False, 0)]


async def test_hook_that_turns_a_result_into_an_error_is_heard() -> None:
    class Judges:
        chatproxy_name = "judges"

        @hookimpl
        async def after_tool_call(self) -> ToolResult:
            return ToolResult(content="Not for you.", is_error=True)

    called, _, _ = await run(said, Judges())
    assert (called.outcome, called.error) == ("error", "Not for you.")


@pytest.mark.parametrize(
    ("principal", "session", "tenant"),
    [
        pytest.param(Principal(id="k1"), "tenant", "('principal', 'knows', None, 'k1')", id="principal"),
        pytest.param(
            Principal(id="k1", organization_id="o1"), "tenant", "('organization', 'knows', 'o1')", id="organization"
        ),
        pytest.param(Principal(id="k1", organization_id="o1"), "shared", "", id="shared"),
    ],
)
async def test_session_is_the_tenants(principal: Principal, session: str, tenant: str) -> None:
    class Knows:
        chatproxy_name = "knows"

        @hookimpl
        async def authenticate(self) -> Principal:
            return principal

    _, link, _ = await run(said, Knows(), session=session)
    assert link.got[0]["tenant"] == tenant


@pytest.mark.parametrize(("own_s", "whole_s", "passed_s"), [(5.0, None, 5.0), (5.0, 2.0, 2.0), (5.0, 9.0, 5.0)])
async def test_shorter_deadline_holds(own_s: float, whole_s: float | None, passed_s: float) -> None:
    _, link, _ = await run(call_timeout_s=own_s, timeout_s=whole_s)
    assert link.got[0]["timeout_s"] == passed_s


async def test_no_call_is_made_when_the_time_is_over() -> None:
    called, link, _ = await run(timeout_s=0.0)
    assert (called.outcome, link.got) == ("timeout", [])


async def test_whole_deadline_holds_where_the_link_waits_for_longer() -> None:
    ended = asyncio.Event()

    async def hangs(arguments: Json) -> CallToolResult:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    called, _, _ = await run(hangs, timeout_s=0.01)
    assert called.outcome == "timeout"
    assert called.output == "The call failed: no answer within the time for tool calls"
    assert ended.is_set()


async def test_cancelled_call_is_cancelled_at_the_server() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hangs(arguments: Json) -> CallToolResult:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    task = asyncio.ensure_future(run(hangs))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await ended.wait()


async def test_result_is_cut_by_the_servers_limit() -> None:
    async def long(arguments: Json) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="x" * 5000)])

    called, _, _ = await run(long, max_result_bytes=1024)
    assert len(called.output) <= 1024
    assert called.output.endswith(" of 5000 bytes]")


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/chat/completions", "input_audio"), ("/v1/messages", "text")], ids=["chat", "messages"]
)
async def test_sound_goes_where_the_surface_has_it(path: str, kind: str) -> None:
    async def sings(arguments: Json) -> CallToolResult:
        return CallToolResult(content=[TextContent(text="la"), AudioContent(data="UklGRg==", mime_type="audio/wav")])

    called, _, _ = await run(sings, path=path)
    content = called.result.content
    assert (content[-1]["type"] if isinstance(content, list) else "text") == kind
    assert called.output == ("la\n[input_audio]" if kind == "input_audio" else content)
