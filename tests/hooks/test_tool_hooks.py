"""`before_tool_call` (CHAIN) and `after_tool_call` (CHAIN_BACK), around a tool that a plugin has run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from chatproxy import Reject, ToolCall, ToolResult
from chatproxy.testing import Recorder
from tests.hooks.cases import Plugin, error_of, gateway, hang, policy


class Runner:
    """A plugin that runs one tool before every request, and keeps what went in and came out."""

    def __init__(self, *, fail: bool = False) -> None:
        self.ran: list[dict[str, Any]] = []
        self.got: list[Any] = []
        self.fail = fail

    async def around_execute(self, ctx: Any, request: Any, call_next: Any) -> Any:
        call = ToolCall(id="1", name="look", arguments={"q": "x"}, server="s")
        self.got.append((await ctx.call_tool(call, self.run)).content)
        return await call_next(request)

    async def run(self, call: ToolCall) -> ToolResult:
        self.ran.append(call.arguments)
        return ToolResult(content="raw", is_error=self.fail)

    @property
    def plugin(self) -> Plugin:
        return Plugin("runner", around_execute=self.around_execute)


def changing(name: str) -> Any:
    async def before_tool_call(call: ToolCall) -> ToolCall:
        return ToolCall(id=call.id, name=call.name, arguments={"q": call.arguments["q"] + name}, server=call.server)

    return before_tool_call


def wrapping(name: str) -> Any:
    async def after_tool_call(result: ToolResult) -> ToolResult:
        return ToolResult(content=f"{name}({result.content})")

    return after_tool_call


async def test_hook_before_tool_call() -> None:
    runner = Runner()
    plugins = [Plugin("a", before_tool_call=changing("a")), Plugin("b", before_tool_call=changing("b"))]
    async with gateway(runner.plugin, *plugins) as app:
        await app.chat("hi")
    assert runner.ran == [{"q": "xab"}]


async def test_hook_after_tool_call() -> None:
    runner = Runner()
    plugins = [Plugin("a", after_tool_call=wrapping("a")), Plugin("b", after_tool_call=wrapping("b"))]
    async with gateway(runner.plugin, *plugins) as app:
        await app.chat("hi")
    assert runner.got == ["a(b(raw))"]


async def test_without_implementer_the_tool_just_runs() -> None:
    runner = Runner()
    async with gateway(runner.plugin) as app:
        await app.chat("hi")
    assert (runner.ran, runner.got) == ([{"q": "x"}], ["raw"])


@pytest.mark.parametrize("fail", [False, True])
async def test_call_is_on_the_exchanges_record(fail: bool) -> None:
    recorder = Recorder()
    async with gateway(Runner(fail=fail).plugin, recorder) as app:
        await app.chat("hi")
        exchange = await recorder.wait()
    (call,) = exchange.tool_calls
    assert (call.name, call.server, call.ok) == ("look", "s", not fail)
    assert (call.arguments_bytes, call.result_bytes) == (len(b'{"q":"x"}'), len(b'"raw"'))


async def test_refused_call_reaches_the_plugin_that_made_it() -> None:
    async def refuse() -> None:
        raise Reject("Not this tool.", status=403, code="tool_blocked")

    runner = Runner()
    async with gateway(runner.plugin, Plugin("g", before_tool_call=refuse)) as app:
        answer = await app.chat("hi")
    assert error_of(answer)["code"] == "tool_blocked"
    assert runner.ran == []


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_raising_fails_closed_or_is_passed_over(hook: str) -> None:
    async def broken() -> None:
        raise ValueError("no")

    async with gateway(Runner().plugin, Plugin("g", **{hook: broken})) as app:
        assert (await app.chat("hi")).status_code == 500
    runner = Runner()
    async with gateway(runner.plugin, Plugin("g", **{hook: broken}), **policy("g", on_error="open")) as app:
        assert (await app.chat("hi")).status_code == 200
    assert runner.got == ["raw"]


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_hanging_is_ended_at_its_deadline(hook: str) -> None:
    async with gateway(Runner().plugin, Plugin("g", **{hook: hang}), **policy("g", deadline_s=0.05)) as app:
        assert (await app.chat("hi")).status_code == 504


@pytest.mark.parametrize("hook", ["before_tool_call", "after_tool_call"])
async def test_wrong_return_type_fails(hook: str) -> None:
    async def wrong() -> Any:
        return 7

    async with gateway(Runner().plugin, Plugin("g", **{hook: wrong})) as app:
        answer = await app.chat("hi")
    assert error_of(answer)["code"] == "plugin_failed"


async def test_time_of_the_tool_does_not_count_as_the_runners() -> None:
    async def around(ctx: Any, request: Any, call_next: Any) -> Any:
        async def run(call: ToolCall) -> ToolResult:
            await asyncio.sleep(0.2)
            return ToolResult(content="late")

        await ctx.call_tool(ToolCall(id="1", name="slow", arguments={}), run)
        return await call_next(request)

    async with gateway(Plugin("r", around_execute=around), **policy("r", deadline_s=0.05)) as app:
        assert (await app.chat("hi")).status_code == 200


@pytest.mark.parametrize(
    ("hooks", "fails", "ok", "error_type"),
    [({}, False, True, None), ({}, True, False, "tool_error"), ({"refuse": True}, False, False, "no_tools")],
    ids=["good", "failed", "refused"],
)
async def test_record_says_what_became_of_a_call(
    hooks: dict[str, bool], fails: bool, ok: bool, error_type: str | None
) -> None:
    async def refuse(call: ToolCall) -> ToolCall:
        raise Reject("Not this.", code="no_tools")

    runner, recorder = Runner(fail=fails), Recorder()
    plugins = [Plugin("guard", before_tool_call=refuse)] if hooks else []
    async with gateway(runner.plugin, recorder, *plugins) as app:
        await app.chat("hi")
        await recorder.wait()
    [call] = recorder.exchanges[0].tool_calls
    assert (call.call_id, call.ok, call.error_type) == ("1", ok, error_type)
    assert 0 < call.started_s < recorder.exchanges[0].duration_s
