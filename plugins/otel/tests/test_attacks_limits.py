"""Very much of everything: what is lost then is what matters least, and it is counted."""

from __future__ import annotations

from typing import Any

import chatproxy_otel
from chatproxy_otel.content.content import MAX_TOOL_CALLS

from chatproxy import RequestContext, ToolCall, ToolResult, hookimpl
from chatproxy.testing import ScriptedUpstream, make_app, reply, tool_calls_reply

from .beside import Clock
from .sink import Sink
from .test_attacks_lifecycles import Ended
from .tracing import traced

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "hi"}]}
PATH = "/v1/chat/completions"
CALLS = 300


def many_calls() -> ScriptedUpstream:
    return ScriptedUpstream(tool_calls_reply(*[("now", "{}")] * CALLS), reply())


class Watcher:
    """A plugin with a hook for each tool call, which fails once, and a verdict at the start."""

    chatproxy_name = "watcher"

    def __init__(self) -> None:
        self.seen = 0

    @hookimpl
    async def before_request(self, ctx: RequestContext) -> None:
        ctx.exchange.notes["guardrails"] = {"verdicts": [{"policy": "p", "outcome": "found"}]}
        ctx.trace.event("watcher.began")

    @hookimpl
    async def before_tool_call(self, call: ToolCall) -> None:
        self.seen += 1
        if self.seen == 2:
            raise ValueError("the second")

    @hookimpl
    async def after_tool_call(self, call: ToolCall, result: ToolResult) -> None:
        """Has nothing to say."""


async def test_verdicts_survive_a_flood_of_hook_calls() -> None:
    policy: dict[str, Any] = {"watcher": {"on_error": "open"}}
    async with traced(Clock(), Watcher(), upstream=many_calls(), plugin_settings=policy) as running:
        assert (await running.gateway.client.post(PATH, json=CHAT)).status_code == 200
        await running.tree()
        (root,) = (span for span in running.spans.finished if span.parent is None)
    names = [event.name for event in root.events]
    assert names.count("chatproxy.guardrail") == 1
    assert names.count("watcher.began") == 1
    assert len(names) == 128
    assert root.dropped_events > 0


async def test_hook_spans_are_bounded_and_failures_among_them() -> None:
    policy: dict[str, Any] = {"watcher": {"on_error": "open"}}
    settings = {"hook_spans": True}
    async with traced(Clock(), Watcher(), upstream=many_calls(), plugin_settings=policy, otel=settings) as running:
        assert (await running.gateway.client.post(PATH, json=CHAT)).status_code == 200
        tree = await running.tree()
    hooks = [span for span in tree.children if span.name.startswith("chatproxy.hook ")]
    assert len(hooks) == 256
    assert [span.name for span in hooks if span.status == "ERROR"] == ["chatproxy.hook before_tool_call"]
    assert len([span for span in tree.children if span.name == "execute_tool now"]) == CALLS


async def test_full_queue_loses_leaves_and_no_parents() -> None:
    settings = {"metrics": "none", "logs": "none", "log_level": None, "queue_size": 8, "delay_s": 60}
    end = Ended()
    with Sink() as sink:
        sink.answer("traces", is_silent=True)
        plugins, table = [chatproxy_otel, Clock(), end], {"otel": {**settings, "endpoint": sink.http_url}}
        async with make_app(plugins=plugins, upstream=many_calls(), plugin_settings=table) as gateway:
            assert (await gateway.client.post(PATH, json=CHAT)).status_code == 200
            await end.wait(1)
            sink.release()
        found = sink.wait_spans(8)
    assert len(found) == 8
    ids = {span["span_id"] for span in found} | {""}
    assert {span["parent_id"] for span in found} <= ids
    assert [span["kind"] for span in found if not span["parent_id"]] == ["SERVER"]


async def test_contents_of_tools_are_kept_of_a_bounded_number() -> None:
    async with traced(Clock(), upstream=many_calls(), otel={"capture_content": "span_only"}) as running:
        assert (await running.gateway.client.post(PATH, json=CHAT)).status_code == 200
        tree = await running.tree()
    tools = [span for span in tree.children if span.name == "execute_tool now"]
    assert len(tools) == CALLS
    assert len([tool for tool in tools if "gen_ai.tool.call.result" in tool.attributes]) == MAX_TOOL_CALLS
