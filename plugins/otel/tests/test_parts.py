"""Spans that plugins make of parts of an exchange's work, and exchanges inside of exchanges."""

from __future__ import annotations

from collections.abc import Iterable

from chatproxy import ChatRequest, Completed, Handler, Reply, RequestContext, hookimpl
from chatproxy.testing import ScriptedUpstream, SpanTree, make_app, reply

from .metering import Metering
from .tracing import traced

MESSAGES = [{"role": "user", "content": "Hello"}]


class Planner:
    """A model that works in two parts, one inside of the other, and asks a model in the inner one."""

    name = "planner"

    @hookimpl
    def handlers(self) -> Iterable[Handler]:
        return [self]

    @hookimpl
    async def select_handler(self, request: ChatRequest) -> str | None:
        return "planner" if request.model == "planner" else None

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        plan = ctx.trace.span("plan", {"planner.step": 1})
        search = ctx.trace.span("search", parent=plan)
        answer = await ctx.ask({"model": "scripted", "messages": MESSAGES}, span=search)
        search.set("planner.key", "sk-proj-" + "a1B2" * 12)
        search.end("not_found")
        ctx.trace.span("left open", parent=plan)
        plan.end()
        return Completed(answer)


def named(tree: SpanTree) -> list[str]:
    return [span.name for span in tree.walk()]


async def test_parts_are_spans_below_their_parents() -> None:
    async with traced(Planner(), upstream=ScriptedUpstream(reply("fine"))) as gateway:
        await gateway.gateway.chat("Hello", model="planner")
        (tree,) = await gateway.spans.trees()
    plan = tree.find("plan")
    assert [child.name for child in plan.children] == ["search", "left open"]
    assert (plan.kind, plan.attributes, plan.status) == ("INTERNAL", {"planner.step": 1}, "UNSET")
    search = tree.find("search")
    assert (search.status, search.attributes["error.type"]) == ("ERROR", "not_found")
    assert "a1B2a1B2" not in search.attributes["planner.key"]


async def test_inner_exchange_is_no_answer_of_the_server_in_metrics() -> None:
    metering = Metering()
    async with make_app(plugins=[metering, Planner()], upstream=ScriptedUpstream(reply("fine"))) as gateway:
        await gateway.chat("Hello", model="planner")
        await metering.wait(2)
        answered = [point["count"] for point in metering.points("http.server.request.duration")]
        asked = [point["count"] for point in metering.points("gen_ai.client.operation.duration")]
    assert (answered, sum(asked)) == ([1], 2)


async def test_inner_exchange_stands_below_the_part_that_asked() -> None:
    async with traced(Planner(), upstream=ScriptedUpstream(reply("fine"))) as gateway:
        await gateway.gateway.chat("Hello", model="planner")
        (tree,) = await gateway.spans.trees()
    (inner,) = tree.find("search").children
    assert (inner.kind, inner.name) == ("INTERNAL", "ask scripted")
    assert [name for name in inner.attributes if name.startswith(("http.", "url.", "client.", "server."))] == []
    assert inner.attributes["chatproxy.outcome"] == "completed"
    assert "chat scripted" in named(inner)
