"""What is on record of the calls of hooks: usually those that did something, all of them where somebody wants all."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any

import pytest

from chatproxy import Principal, Reject, ToolCall, ToolResult, UpstreamError
from chatproxy.testing import Fault, Recorder, ScriptedUpstream, error_reply, make_app, stream_reply
from chatproxy.types import Exchange
from tests.engine.tracing import Tracing
from tests.hooks.cases import Plugin, hang, policy

Calls = list[tuple[str, str, str]]


async def nothing() -> None:
    """A hook that returns None at once."""


async def waiting() -> None:
    """A hook that returns None after a wait."""
    await asyncio.sleep(0)


async def recorded(
    *plugins: object, is_detailed: bool, upstream: ScriptedUpstream | None = None, stream: bool = False, **settings: Any
) -> Exchange:
    """The record of one chat request."""
    recorder = Ended()
    given = [*plugins, recorder, *([Tracing()] if is_detailed else [])]
    async with make_app(plugins=given, upstream=upstream, **settings) as app:
        await app.chat("hi", stream=stream)
        return await recorder.wait()


class Ended(Recorder):
    """Records the ends alone, so that only the tests' own plugins have calls of other hooks."""

    before_request = select_handler = around_execute = before_response = None  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__("ended")


def calls_of(exchange: Exchange, *plugins: str) -> Calls:
    """(plugin, hook, outcome) of the calls, as they began."""
    calls = sorted(exchange.hook_calls, key=lambda call: call.started_s)
    return [(call.plugin, call.hook, call.outcome) for call in calls if call.plugin in plugins]


def check_times(exchange: Exchange) -> None:
    for call in exchange.hook_calls:
        assert call.started_s >= 0
        assert call.duration_s >= 0


async def passing(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def find_principal() -> Principal:
    return Principal(id="p")


async def transform_stream() -> Any:
    async def same(events: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for event in events:
            yield event

    return same


async def test_calls_that_did_nothing_are_left_out() -> None:
    quiet = Plugin("quiet", before_request=nothing, select_handler=waiting, before_response=nothing)
    exchange = await recorded(quiet, Plugin("who", authenticate=find_principal), is_detailed=False)
    assert calls_of(exchange, "quiet", "who") == [("who", "authenticate", "ok")]
    check_times(exchange)


async def test_every_call_is_on_record_where_somebody_wants_all() -> None:
    hooks = {
        "authenticate": find_principal, "before_request": nothing, "select_handler": waiting, "around_execute": passing,
        "before_response": waiting,
    }  # fmt: skip
    exchange = await recorded(Plugin("all", **hooks), is_detailed=True)
    assert calls_of(exchange, "all") == [("all", hook, "ok") for hook in hooks]
    check_times(exchange)
    ends = [call.started_s + call.duration_s for call in exchange.hook_calls if call.plugin == "all"]
    assert max(ends) <= exchange.duration_s


async def test_calls_of_streams_and_tools_are_on_record() -> None:
    async def run(call: ToolCall) -> ToolResult:
        return ToolResult(content="done")

    async def around_execute(ctx: Any, request: Any, call_next: Any) -> Any:
        await ctx.call_tool(ToolCall(id="1", name="look", arguments={}), run)
        return await call_next(request)

    tools = Plugin("tools", before_tool_call=nothing, after_tool_call=waiting)
    plugins = [Plugin("loop", around_execute=around_execute), tools, Plugin("layer", transform_stream=transform_stream)]
    exchange = await recorded(*plugins, upstream=ScriptedUpstream(stream_reply()), stream=True, is_detailed=True)
    assert calls_of(exchange, "loop", "tools", "layer") == [
        ("loop", "around_execute", "ok"),
        ("tools", "before_tool_call", "ok"),
        ("tools", "after_tool_call", "ok"),
        ("layer", "transform_stream", "ok"),
    ]
    check_times(exchange)


async def test_calls_lie_where_they_were_made() -> None:
    plugins = [Plugin(name, before_request=waiting, before_response=nothing, around_execute=passing) for name in "abc"]
    exchange = await recorded(*plugins, is_detailed=True)
    names = [name for name, hook, _ in calls_of(exchange, *"abc") if hook == "before_request"]
    back = [name for name, hook, _ in calls_of(exchange, *"abc") if hook == "before_response"]
    around = {call.plugin: call for call in exchange.hook_calls if call.hook == "around_execute"}
    (attempt,) = exchange.attempts
    assert (names, back) == (["a", "b", "c"], ["c", "b", "a"])
    assert around["a"].started_s <= around["b"].started_s <= around["c"].started_s <= attempt.started_s
    assert around["a"].duration_s >= around["b"].duration_s >= around["c"].duration_s


# ── errors ──


async def refuse() -> None:
    raise Reject("no", status=403, code="no")


async def break_down() -> None:
    raise ValueError("no")


@pytest.mark.parametrize("is_detailed", [False, True], ids=["plain", "detailed"])
@pytest.mark.parametrize(
    ("hook", "function", "outcome"),
    [
        ("before_request", refuse, "rejected"),
        ("before_response", refuse, "rejected"),
        ("before_request", break_down, "error"),
        ("around_execute", break_down, "error"),
        ("before_response", hang, "timeout"),
        ("around_execute", hang, "timeout"),
    ],
)
async def test_calls_that_failed_are_always_on_record(
    hook: str, function: Any, outcome: str, is_detailed: bool
) -> None:
    settings = policy("bad", deadline_s=0.05)
    exchange = await recorded(Plugin("bad", **{hook: function}), is_detailed=is_detailed, **settings)
    assert calls_of(exchange, "bad") == [("bad", hook, outcome)]
    check_times(exchange)


async def again_and_fail(request: Any, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except UpstreamError:
        raise Reject("ours", status=429, code="ours") from None


async def own_word(request: Any, call_next: Any) -> Any:
    await call_next(request)
    raise Reject("ours", status=403, code="ours")


async def twice(request: Any, call_next: Any) -> Any:
    try:
        return await call_next(request)
    except UpstreamError:
        return await call_next(request)


@pytest.mark.parametrize(
    ("function", "outcome"),
    [(passing, "ok"), (twice, "ok"), (again_and_fail, "rejected")],
    ids=["passes it on", "tries again in vain", "another in its place"],
)
async def test_error_is_the_plugins_own_only_where_it_raised_one(function: Any, outcome: str) -> None:
    upstream = ScriptedUpstream(error_reply(503))
    exchange = await recorded(Plugin("p", around_execute=function), upstream=upstream, is_detailed=True)
    assert calls_of(exchange, "p") == [("p", "around_execute", outcome)]
    assert exchange.outcome == ("failed" if outcome == "ok" else "rejected")


async def test_refusal_of_one_plugin_passes_through_the_outer_ones() -> None:
    plugins = [Plugin("a", around_execute=passing), Plugin("b", around_execute=own_word)]
    exchange = await recorded(*plugins, is_detailed=True)
    assert calls_of(exchange, "a", "b") == [("a", "around_execute", "ok"), ("b", "around_execute", "rejected")]


@pytest.mark.parametrize("is_detailed", [False, True], ids=["plain", "detailed"])
@pytest.mark.parametrize("hook", ["before_request", "around_execute"])
async def test_call_that_ends_with_its_exchange_is_cancelled(hook: str, is_detailed: bool) -> None:
    entered = asyncio.Event()

    async def waits() -> None:
        entered.set()
        await hang()

    recorder = Ended()
    plugins = [Plugin("p", **{hook: waits}), recorder, *([Tracing()] if is_detailed else [])]
    async with make_app(plugins=plugins) as app:
        asked = asyncio.ensure_future(app.chat("hi"))
        await entered.wait()
        asked.cancel()
        exchange = await recorder.wait()
    assert exchange.outcome == "client_disconnected"
    assert calls_of(exchange, "p") == ([("p", hook, "cancelled")] if is_detailed else [])
    check_times(exchange)


# ── in the background ──


async def test_background_hooks_run_in_a_context_of_nobodys() -> None:
    """The first exchange's variables, for example its span, are not those of all later ones."""
    current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="nobody's")
    seen: list[str] = []

    async def before_request(ctx: Any) -> None:
        current.set(ctx.request_id)

    async def at_once() -> None:
        seen.append(current.get())

    async def later() -> None:
        await asyncio.sleep(0)
        seen.append(current.get())

    quick = Plugin("a", before_request=before_request, after_response=at_once, on_error=at_once)
    slow = Plugin("b", after_response=later, on_error=later)
    recorder = Ended()
    upstream = ScriptedUpstream(stream_reply(), stream_reply(fault=Fault.RESET, finish_reason=None))
    async with make_app(plugins=[quick, slow, recorder], upstream=upstream) as app:
        for _ in range(4):
            await app.chat("hi", stream=True)
        await recorder.wait(4)
    assert seen == ["nobody's"] * 8
