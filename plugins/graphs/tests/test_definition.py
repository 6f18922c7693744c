"""What keeps a graph from running is said before it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from chatproxy_graphs import END, DefinitionError, Graph

from .workers import Append, line


def nodes(*names: str) -> Graph:
    graph = Graph("g")
    for name in names:
        graph.add_node(name, Append(name))
    return graph


def always(key: Any) -> Callable[[Any], Any]:
    return lambda ctx: key


FAULTY: dict[str, tuple[Callable[[], Graph], str]] = {
    "empty": (lambda: Graph("g"), "it has no nodes"),
    "missing entry": (lambda: nodes("a").add_edge("a", END).set_entry("b"), "its entry 'b' is no node"),
    "missing target": (lambda: nodes("a").add_edge("a", "b"), "the edge of 'a' leads to 'b', which is no node"),
    "missing source": (
        lambda: nodes("a").add_edge("a", END).add_edge("b", "a"),
        "an edge leaves 'b', which is no node",
    ),
    "missing path": (
        lambda: nodes("a").add_conditional_edge("a", always("x"), {"x": "b", "y": END}),
        "the edge of 'a' leads to 'b', which is no node",
    ),
    "missing join": (
        lambda: nodes("a", "b", "c").add_parallel("a", ["b", "c"], join="d"),
        "the edge of 'a' leads to 'd', which is no node",
    ),
    "dangling": (lambda: nodes("a", "b").add_edge("a", "b"), "node 'b' leads nowhere"),
    "never reached": (
        lambda: nodes("a", "b").add_edge("a", END).add_edge("b", END),
        "node 'b' is never reached from 'a'",
    ),
    "no end": (
        lambda: nodes("a", "b").add_edge("a", "b").add_edge("b", "a"),
        "END cannot be reached from 'a', 'b'",
    ),
    "trap": (
        lambda: nodes("a", "b").add_conditional_edge("a", always(0), {0: "b", 1: END}).add_edge("b", "b"),
        "END cannot be reached from 'b'",
    ),
    "branch ends": (
        lambda: (
            nodes("a", "b", "c", "d")
            .add_parallel("a", ["b", "c"], join="d")
            .add_conditional_edge("b", always(0), {0: "d", 1: END})
            .add_edge("d", END)
        ),
        "branch 'b' of 'a' may end before the join 'd'",
    ),
    "branch misses": (
        lambda: nodes("a", "b", "c", "d").add_parallel("a", ["b", "c"], join="d").add_edge("b", END).add_edge("d", END),
        "branch 'b' of 'a' does not reach the join 'd'",
    ),
    "branch goes back": (
        lambda: (
            nodes("a", "b", "c", "d")
            .add_parallel("a", ["b", "c"], join="d")
            .add_conditional_edge("b", always(0), {0: "d", 1: "a"})
            .add_edge("d", END)
        ),
        "branch 'b' of 'a' leads back to 'a' before the join",
    ),
}


@pytest.mark.parametrize(("make", "fault"), FAULTY.values(), ids=FAULTY)
def test_fault_is_found(make: Callable[[], Graph], fault: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        make().compile()
    assert any(clause.startswith(fault) for clause in caught.value.faults), caught.value
    assert caught.value.graph == "g"


async def test_graph_with_faults_does_not_begin() -> None:
    with pytest.raises(ValueError, match="graph 'g': node 'b' leads nowhere"):
        await nodes("a", "b").add_edge("a", "b").arun(None)  # type: ignore[arg-type]


def test_all_faults_are_told_at_once() -> None:
    graph = nodes("a", "b").add_edge("a", "x").add_edge("b", "y")
    with pytest.raises(DefinitionError) as caught:
        graph.compile()
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda graph: graph.add_edge("a", "b"), "has an edge already"),
        (lambda graph: graph.add_conditional_edge("a", always(1), {1: END}), "has an edge already"),
        (lambda graph: graph.add_parallel("a", ["b", "c"], join=END), "has an edge already"),
        (lambda graph: graph.add_node("a", Append()), "exists already"),
        (lambda graph: graph.add_node("", Append()), "name"),
        (lambda graph: graph.add_node(END, Append()), "name"),
        (lambda graph: graph.add_node("x", Append(), timeout_s=0), "timeout_s"),
        (lambda graph: graph.add_node("x", Append(), retries=-1), "retries"),
        (lambda graph: graph.add_conditional_edge("b", always(1), {}), "paths"),
        (lambda graph: graph.add_conditional_edge("b", "no function", {1: END}), "function"),
        (lambda graph: graph.add_parallel("b", ["a"], join=END), "two or more"),
        (lambda graph: graph.add_parallel("b", ["a", "a"], join=END), "two or more"),
        (lambda graph: Graph("x", max_steps=0), "max_steps"),
    ],
)
def test_wrong_step_of_building_is_a_value_error(change: Callable[[Graph], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        change(nodes("a").add_edge("a", END))


def test_graphs_must_not_contain_themselves() -> None:
    outer, inner = Graph("outer"), Graph("inner")
    inner.add_node("again", outer).add_edge("again", END)
    outer.add_node("inner", inner).add_edge("inner", END)
    with pytest.raises(DefinitionError, match="contains itself"):
        outer.compile()


def test_faults_of_a_graph_within_the_graph_are_found() -> None:
    with pytest.raises(DefinitionError, match="graph 'inner'"):
        Graph("outer").add_node("x", Graph("inner")).add_edge("x", END).compile()


async def test_compiled_graph_stays_as_it_was() -> None:
    graph = line("a", "b")
    compiled = graph.compile()
    graph.add_node("c", Append("c"))
    from chatproxy_graphs import Context

    assert (await compiled.arun(Context())).values == ["a", "b"]
    assert compiled.compile() is compiled
    assert repr(compiled) == "CompiledGraph(name='line')"
    with pytest.raises(DefinitionError):
        graph.compile()


def test_order_of_building_does_not_matter() -> None:
    graph = Graph().add_edge("a", "b").add_edge("b", END).add_node("b", Append()).add_node("a", Append()).set_entry("a")
    assert graph.compile().name == "graph"
