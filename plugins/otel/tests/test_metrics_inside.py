"""What happened inside exchanges: outcomes, hooks, tools of MCP servers, verdicts of guardrails."""

from __future__ import annotations

from typing import Any

import pytest

from chatproxy import ChatRequest, Reject, Reply, RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import Fault, ScriptedUpstream, raw_reply, stream_reply

from .metering import Metering
from .test_metrics_models import CallNext, gateway_of

ENDED, HOOKS = "chatproxy.exchanges.ended", "chatproxy.hook.duration"
TOOLS, MCP = "gen_ai.execute_tool.duration", "mcp.client.operation.duration"
VERDICTS = "chatproxy.guardrail.verdicts"


class Notes:
    """Puts something on record under a name that is not its own."""

    chatproxy_name = "notes"

    def __init__(self, noted: Any) -> None:
        self._noted = noted

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.exchange.notes["guardrails"] = self._noted


class Busy:
    """Has hooks of every outcome."""

    chatproxy_name = "busy"

    @hookimpl
    async def select_handler(self) -> None:
        return None

    @hookimpl
    async def around_execute(self, request: ChatRequest, call_next: CallNext) -> Reply:
        return await call_next(request)

    @hookimpl
    async def before_response(self) -> None:
        raise Reject("no")

    @hookimpl(tryfirst=True)
    async def on_error(self) -> None:
        return None


class Runner:
    """Runs one tool for every request, and says how."""

    chatproxy_name = "runner"

    def __init__(self, details: dict[str, Any]) -> None:
        self._details = details

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        async def run(call: ToolCall) -> ToolResult:
            call.details.update(self._details)
            return ToolResult(content="done", is_error="rpc.response.status_code" in self._details)

        await ctx.call_tool(ToolCall(id="1", name="clock__now", arguments={}, server="clock"), run)


async def test_exchanges_are_counted_by_surface_and_outcome() -> None:
    metering = Metering()
    good, cut = stream_reply(), stream_reply(finish_reason=None, fault=Fault.RESET)
    upstream = ScriptedUpstream(good, good, cut, raw_reply(fault=Fault.REFUSE))
    async with gateway_of(metering, upstream) as gateway:
        for _ in range(4):
            await gateway.chat("hi", stream=True)
        await gateway.client.post("/v1/messages", json={"model": ""})
        await metering.wait(5)
        assert metering.counts(ENDED, "chatproxy.surface", "chatproxy.outcome") == {
            ("chat", "completed"): 2,
            ("chat", "failed"): 2,
            ("messages", "rejected"): 1,
        }
        metric: Any = metering.metric(ENDED)
        assert (metric.unit, metric.data.is_monotonic) == ("{exchange}", True)


async def test_hooks_of_the_request_path_are_timed_by_plugin_hook_and_outcome() -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(), Busy()) as gateway:
        await gateway.chat("hi")
        exchange = await metering.wait()
        times = {call.hook: call.duration_s for call in exchange.hook_calls}
        assert metering.points(HOOKS) == [
            {"chatproxy.plugin": "busy", "chatproxy.hook.name": hook, **outcome, "count": 1, "sum": times[hook]}
            for hook, outcome in [
                ("select_handler", {}),
                ("around_execute", {}),
                ("before_response", {"chatproxy.hook.outcome": "rejected"}),
            ]
        ]
        metric: Any = metering.metric(HOOKS)
        bounds = (0.00001, 0.0001, 0.001, 0.01, 0.1, 1.0, 10.0)
        assert {point.explicit_bounds for point in metric.data.data_points} == {bounds}
        assert metric.unit == "s"


async def test_a_tool_of_an_mcp_server_is_also_a_request_to_it() -> None:
    metering = Metering()
    details = {"mcp.method.name": "tools/call", "network.transport": "tcp", "server.address": "mcp", "server.port": 80}
    async with gateway_of(metering, ScriptedUpstream(), Runner({**details, "mcp.session.id": "s1"})) as gateway:
        await gateway.chat("hi")
        [call] = (await metering.wait()).tool_calls
        tool = {"gen_ai.tool.name": "clock__now"}
        assert metering.points(TOOLS) == [{**tool, "count": 1, "sum": call.duration_s}]
        assert metering.points(MCP) == [{**tool, **details, "count": 1, "sum": call.duration_s}]
        metric: Any = metering.metric(MCP)
        bounds = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
        assert metric.data.data_points[0].explicit_bounds == bounds


async def test_a_request_that_an_mcp_server_refused_has_its_code() -> None:
    metering = Metering()
    details = {"mcp.method.name": "tools/call", "rpc.response.status_code": "-32602"}
    async with gateway_of(metering, ScriptedUpstream(), Runner(details)) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        [point] = metering.points(MCP)
        assert {key: point.get(key) for key in ("error.type", *details)} == {"error.type": "tool_error", **details}


@pytest.mark.parametrize("details", [{}, {"mcp.method.name": 7}, {"server.address": "x"}], ids=str)
async def test_what_no_mcp_server_ran_is_a_tool_alone(details: dict[str, Any]) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(), Runner(details)) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        assert metering.counts(TOOLS, "gen_ai.tool.name") == {"clock__now": 1}
        assert metering.points(MCP) == []


async def test_verdicts_are_counted_by_policy_check_and_outcome() -> None:
    metering = Metering()
    blocked = {"policy": "keys", "check": "secrets", "outcome": "blocked", "findings": {"aws": 2}}
    flagged = {"policy": "tone", "check": "keywords", "outcome": "flagged"}
    async with gateway_of(metering, ScriptedUpstream(), Notes({"verdicts": [blocked, flagged]})) as gateway:
        await gateway.chat("hi")
        await gateway.chat("hi")
        await metering.wait(2)
        names = [f"chatproxy.guardrail.{name}" for name in ("policy", "check", "outcome")]
        found = metering.counts(VERDICTS, *names)
        assert found == {("keys", "secrets", "blocked"): 2, ("tone", "keywords", "flagged"): 2}


@pytest.mark.parametrize(
    ("noted", "counted"),
    [
        (None, 0),
        ("verdicts", 0),
        ({"verdicts": "blocked"}, 0),
        ({"verdicts": [None, 1, "x", []]}, 0),
        ({"verdicts": [{"policy": ["x"], "check": {}, "outcome": None}]}, 1),
        ({"verdicts": [{}] * 1000}, 100),
    ],
    ids=["nothing", "a text", "a text inside", "no objects", "values of other types", "a thousand"],
)
async def test_verdicts_of_unusual_shape_do_no_harm(noted: Any, counted: int) -> None:
    metering = Metering()
    async with gateway_of(metering, ScriptedUpstream(), Notes(noted)) as gateway:
        await gateway.chat("hi")
        await metering.wait()
        assert sum(metering.counts(VERDICTS, "chatproxy.guardrail.policy").values()) == counted
        assert metering.counts(ENDED, "chatproxy.outcome") == {"completed": 1}
