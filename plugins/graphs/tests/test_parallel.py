"""Parallel branches: copies, the join, and what a failure does to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from chatproxy_graphs import END, Context, Graph, NodeFailed, NodeTimeout, RunError
from chatproxy_graphs.errors import MergeConflict

from .workers import Answers, Append, Hangs, Stubborn, line


def fork(join: str = "join", merge: Any = None, **branches: Any) -> Graph:
    """``begin``, the branches, and what joins them."""
    graph = Graph("forked").add_node("begin", Append("begin"))
    for name, worker in branches.items():
        graph.add_node(name, worker)
    if join != END:
        graph.add_node(join, Append(join)).add_edge(join, END)
    return graph.add_parallel("begin", list(branches), join, merge=merge)


async def test_branches_run_at_once_and_meet_at_the_join() -> None:
    met = asyncio.Barrier(2)

    class Meets(Append):
        async def arun(self, ctx: Context) -> Context:
            await met.wait()
            return await super().arun(ctx)

    ctx = await fork(a=Meets("a"), b=Meets("b")).arun(Context())
    assert ctx.values == ["begin", "a", "b", "join"]
    assert ctx.execution_path == ["begin", "a", "b", "join"]


async def test_branches_cannot_change_each_others_values() -> None:
    async def change(ctx: Context) -> None:
        ctx.shared["deep"].append("mine")
        assert ctx.shared == {"deep": ["base", "mine"]}

    ctx = await fork(a=change, b=change, merge=lambda before, left: None).arun(Context(shared={"deep": ["base"]}))
    assert ctx.shared == {"deep": ["base"]}


async def test_join_may_be_the_end() -> None:
    assert (await fork(END, a=Answers(x=1), b=Answers(y=2)).arun(Context())).data == {
        "values": ["begin"],
        "x": 1,
        "y": 2,
    }


async def test_logs_and_paths_come_in_the_order_of_the_branches() -> None:
    async def slow(ctx: Context) -> None:
        for _ in range(5):
            await asyncio.sleep(0)
        ctx.log("slow")

    async def quick(ctx: Context) -> None:
        ctx.log("quick")

    start = Context()
    start.log("start")
    ctx = await fork(slow=slow, quick=quick).arun(start)
    assert ctx.history == ["start", "slow", "quick"]


async def test_branches_may_be_paths_with_cycles_and_forks_of_their_own() -> None:
    graph = Graph("deep")
    for name in ("begin", "a", "a1", "a2", "again", "b", "join", "middle"):
        graph.add_node(name, Append(name))
    graph.add_parallel("begin", ["a", "b"], join="join").add_edge("join", END)
    graph.add_parallel("a", ["a1", "a2"], join="middle").add_edge("middle", "join")
    graph.add_edge("b", "again")
    graph.add_conditional_edge("again", lambda ctx: len(ctx.values) < 5, {True: "again", False: "join"})
    ctx = await graph.arun(Context())
    assert ctx.values == ["begin", "a", "a1", "a2", "middle", "b", "again", "again", "again", "join"]


MERGES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "one changed": ({"x": 1}, {"x": 2}, {"x": 1}, {"x": 2}),
    "the other changed": ({"x": 1}, {"x": 1}, {"x": 2}, {"x": 2}),
    "both the same": ({}, {"x": [1]}, {"x": [1]}, {"x": [1]}),
    "lists grew": ({"x": [0]}, {"x": [0, 1]}, {"x": [0, 2]}, {"x": [0, 1, 2]}),
    "dicts": ({"x": {"k": 0}}, {"x": {"k": 0, "a": 1}}, {"x": {"k": 0, "b": 2}}, {"x": {"k": 0, "a": 1, "b": 2}}),
    "new dicts": ({}, {"x": {"a": {"p": 1}}}, {"x": {"a": {"q": 2}}}, {"x": {"a": {"p": 1, "q": 2}}}),
    "removed": ({"x": 1, "y": 2}, {"y": 2}, {"x": 1, "y": 2}, {"y": 2}),
    "both removed": ({"x": 1}, {}, {}, {}),
    "one is true": ({"x": 1}, {"x": True}, {"x": 1}, {"x": True}),
}


def replacing(data: dict[str, Any]) -> Any:
    async def work(ctx: Context) -> Context:
        return Context(data)

    return work


@pytest.mark.parametrize(("before", "a", "b", "after"), MERGES.values(), ids=MERGES)
async def test_values_are_merged(
    before: dict[str, Any], a: dict[str, Any], b: dict[str, Any], after: dict[str, Any]
) -> None:
    graph = Graph().add_node("begin", lambda ctx: None).add_node("a", replacing(a)).add_node("b", replacing(b))
    ctx = await graph.add_parallel("begin", ["a", "b"], join=END).arun(Context(before))
    assert ctx.data == after
    assert [type(value) for value in ctx.data.values()] == [type(value) for value in after.values()]


CONFLICTS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]] = {
    "different": ({}, {"x": 1}, {"x": 2}, "x"),
    "changed and removed": ({"x": 1}, {"x": 2}, {}, "x"),
    "list cut": ({"x": [1, 2]}, {"x": [1]}, {"x": [1, 2, 3]}, "x"),
    "deep": ({"x": {"y": 1}}, {"x": {"y": 2}}, {"x": {"y": 3}}, "x.y"),
    "types": ({}, {"x": 1}, {"x": 1.0}, "x"),
}


@pytest.mark.parametrize(("before", "a", "b", "name"), CONFLICTS.values(), ids=CONFLICTS)
async def test_conflict_names_the_value_and_the_branches(
    before: dict[str, Any], a: dict[str, Any], b: dict[str, Any], name: str
) -> None:
    with pytest.raises(MergeConflict, match=rf"the branches 'a' and 'b' left different values of '{name}'"):
        await fork(END, a=replacing(a), b=replacing(b)).arun(Context({**before, "values": []}))


async def test_values_that_cannot_be_compared_conflict() -> None:
    class Array:
        def __eq__(self, other: object) -> Any:
            raise ValueError("ambiguous")

        __hash__ = None  # type: ignore[assignment]

    with pytest.raises(MergeConflict):
        await fork(END, a=Answers(x=Array()), b=Answers(x=Array())).arun(Context())


async def test_own_merge_gets_the_context_before_and_the_branches() -> None:
    def best(before: Context, branches: Mapping[str, Context]) -> Context | None:
        before.response = max(branches.values(), key=lambda ctx: ctx.score).response
        return None

    graph = fork(a=Answers(response="low", score=1), b=Answers(response="high", score=2), merge=best)
    ctx = await graph.arun(Context())
    assert (ctx.response, ctx.score, ctx.values) == ("high", None, ["begin", "join"])


@pytest.mark.parametrize(
    ("merge", "said"),
    [(lambda before, left: 5, "the merge returned int"), (lambda before, left: 1 / 0, "the merge raised ZeroDivision")],
    ids=["wrong type", "raises"],
)
async def test_merge_that_fails_is_told(merge: Any, said: str) -> None:
    with pytest.raises(RunError, match=f"graph 'forked', node 'begin', step 1: {said}"):
        await fork(a=Answers(), b=Answers(), merge=merge).arun(Context())


async def test_branch_that_fails_cancels_the_others() -> None:
    hangs = Hangs()

    async def fails(ctx: Context) -> None:
        await hangs.started.wait()
        raise ValueError("boom")

    with pytest.raises(NodeFailed, match="node 'bad'"):
        await fork(slow=hangs, bad=fails).arun(Context())
    assert hangs.stopped.is_set()


async def test_branch_that_does_not_stop_is_left_behind(short_grace: None) -> None:
    stubborn = Stubborn()

    async def fails(ctx: Context) -> None:
        await stubborn.started.wait()
        raise ValueError("boom")

    with pytest.raises(NodeFailed, match="node 'bad'"):
        await fork(stubborn=stubborn, bad=fails).arun(Context())
    assert stubborn.cancelled == 1
    stubborn.let_go.set()
    await stubborn.over.wait()


async def test_deadline_of_a_branch_that_swallows_it_ends_the_run(short_grace: None) -> None:
    stubborn, hangs = Stubborn(), Hangs()
    graph = Graph("g").add_node("begin", Append("begin")).add_node("a", stubborn, timeout_s=0.02).add_node("b", hangs)
    with pytest.raises(NodeTimeout, match="node 'a'"):
        await graph.add_parallel("begin", ["a", "b"], join=END).arun(Context())
    await hangs.stopped.wait()
    stubborn.let_go.set()
    await stubborn.over.wait()


async def test_cancelling_the_run_cancels_every_branch() -> None:
    a, b = Hangs(), Hangs()
    task = asyncio.ensure_future(fork(a=a, b=b).arun(Context()))
    await asyncio.gather(a.started.wait(), b.started.wait())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert a.stopped.is_set()
    assert b.stopped.is_set()


async def test_branches_share_the_count_of_steps() -> None:
    graph = fork(a=Answers(), b=Answers(), c=Answers())
    graph.max_steps = 3
    with pytest.raises(RunError, match="3 steps"):
        await graph.arun(Context())


async def test_graph_may_be_a_branch() -> None:
    ctx = await fork(a=line("x", "y"), b=Append("b")).arun(Context())
    assert ctx.values == ["begin", "x", "y", "b", "join"]
    assert ctx.execution_path == ["begin", "a/x", "a/y", "a", "b", "join"]
