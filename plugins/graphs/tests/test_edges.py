"""From node to node: edges, routes, cycles, graphs within graphs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from chatproxy_graphs import END, Context, Graph, NodeFailed
from chatproxy_graphs.errors import RouteFailed, TooManySteps

from chatproxy import Reject

from .workers import Append, line, one


async def test_nodes_run_in_the_order_of_edges_from_the_entry() -> None:
    graph = line("a", "b", "c").set_entry("b")
    with pytest.raises(ValueError, match="'a' is never reached"):
        graph.compile()
    ctx = await line("a", "b", "c").arun(Context())
    assert ctx.values == ctx.execution_path == ["a", "b", "c"]


def cycle(limit: int, **options: Any) -> Graph:
    async def more(ctx: Context) -> None:
        ctx.n = (ctx.n or 0) + 1

    graph = Graph("cycle", **options).add_node("more", more)
    return graph.add_conditional_edge("more", lambda ctx: ctx.n < limit, {True: "more", False: END})


async def test_cycles_go_on_until_the_route_leaves() -> None:
    assert (await cycle(7).arun(Context())).n == 7


async def test_endless_cycle_ends_at_max_steps() -> None:
    with pytest.raises(TooManySteps, match=r"graph 'cycle', node 'more', step 6: .* 5 steps") as caught:
        await cycle(10**9, max_steps=5).arun(Context())
    assert (caught.value.graph, caught.value.node, caught.value.step) == ("cycle", "more", 6)


async def test_last_step_that_is_allowed_runs() -> None:
    assert (await cycle(5, max_steps=5).arun(Context())).n == 5


async def test_cycle_that_never_waits_lets_others_go_on() -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    task = asyncio.ensure_future(count())
    await cycle(1_000, max_steps=1_000).arun(Context())
    task.cancel()
    assert turns > 10


@pytest.mark.parametrize("paths", [["b", END], {"b": "b", END: END}], ids=["list", "mapping"])
async def test_routes_choose_by_key(paths: Any) -> None:
    graph = Graph().add_node("a", Append("a")).add_node("b", Append("b")).add_edge("b", END)
    graph.add_conditional_edge("a", lambda ctx: "b" if ctx.more else END, paths)
    assert (await graph.arun(Context(more=True))).values == ["a", "b"]
    assert (await graph.arun(Context())).values == ["a"]


async def test_routes_may_be_async() -> None:
    async def route(ctx: Context) -> str:
        await asyncio.sleep(0)
        return "on"

    graph = Graph().add_node("a", Append("a")).add_conditional_edge("a", route, {"on": END})
    assert (await graph.arun(Context())).values == ["a"]


@pytest.mark.parametrize(
    ("key", "said"),
    [("x" * 500, "returned 'xxx"), (None, "returned None"), ([], "raised TypeError")],
    ids=["unknown", "none", "unhashable"],
)
async def test_route_that_leads_nowhere_is_told(key: Any, said: str) -> None:
    graph = Graph("g").add_node("a", Append("a")).add_conditional_edge("a", lambda ctx: key, {"b": END})
    with pytest.raises(RouteFailed, match=f"graph 'g', node 'a', step 1: the route {said}") as caught:
        await graph.arun(Context())
    assert len(caught.value.message) < 300


@pytest.mark.parametrize("error", [ValueError("s3cret"), SystemExit("s3cret")], ids=["raises", "exits"])
async def test_route_that_raises_is_told_without_what_it_says(error: BaseException) -> None:
    def route(ctx: Context) -> str:
        raise error

    graph = Graph("g").add_node("a", Append("a")).add_conditional_edge("a", route, {"b": END})
    with pytest.raises(RouteFailed, match=f"raised {type(error).__name__}") as caught:
        await graph.arun(Context())
    assert "s3cret" not in caught.value.message
    assert str(caught.value.__cause__) == "s3cret"


async def test_rejections_pass_as_they_are() -> None:
    def route(ctx: Context) -> str:
        raise Reject("not you", status=403)

    async def work(ctx: Context) -> None:
        raise Reject("not now", status=409)

    graph = Graph("g").add_node("a", Append("a")).add_conditional_edge("a", route, {"b": END})
    with pytest.raises(Reject, match="not you"):
        await graph.arun(Context())
    with pytest.raises(Reject, match="not now"):
        await one(work).arun(Context())


async def test_graphs_within_graphs_name_their_nodes_by_path() -> None:
    inner = line("x", "y", name="inner")
    outer = Graph("outer").add_node("a", Append("a")).add_node("in", inner).add_edge("a", "in").add_edge("in", END)
    ctx = await outer.arun(Context())
    assert ctx.values == ["a", "x", "y"]
    assert ctx.execution_path == ["a", "in/x", "in/y", "in"]


async def test_error_within_a_graph_names_that_graph() -> None:
    async def fails(ctx: Context) -> None:
        raise KeyError("x")

    outer = Graph("outer").add_node("in", one(fails, "inner", "bad")).add_edge("in", END)
    with pytest.raises(NodeFailed, match="graph 'inner', node 'in/bad', step 1: the worker raised KeyError"):
        await outer.arun(Context())


async def test_graphs_within_graphs_count_their_own_steps() -> None:
    inner = line("x", "y", "z", name="inner", max_steps=3)
    outer = Graph("outer", max_steps=2).add_node("one", inner).add_node("two", inner)
    ctx = await outer.add_edge("one", "two").add_edge("two", END).arun(Context())
    assert ctx.values == ["x", "y", "z"] * 2


@pytest.mark.parametrize("value", [5, "text", {}, True], ids=repr)
async def test_worker_that_returns_something_else_is_told(value: Any) -> None:
    async def work(ctx: Context) -> Any:
        return value

    with pytest.raises(NodeFailed, match=rf"node 'work', step 1: the worker returned {type(value).__name__}"):
        await one(work).arun(Context())


@pytest.mark.parametrize(
    "error", [ValueError("s3cret"), SystemExit(3), asyncio.CancelledError(), TimeoutError()], ids=repr
)
async def test_worker_that_raises_is_told_without_what_it_says(error: BaseException) -> None:
    async def work(ctx: Context) -> None:
        raise error

    with pytest.raises(NodeFailed, match="graph 'test', node 'work', step 1") as caught:
        await one(work).arun(Context())
    assert caught.value.__cause__ is error
    assert "s3cret" not in caught.value.message
    assert (caught.value.status, caught.value.code) == (500, "graph_node_failed")


async def test_graph_runs_many_times_at_once() -> None:
    graph = line("a", "b")
    done = await asyncio.gather(*[graph.arun(Context(values=[n])) for n in range(20)])
    assert [ctx.values for ctx in done] == [[n, "a", "b"] for n in range(20)]
