"""Pictures of graphs."""

from __future__ import annotations

import sys

import pytest
from chatproxy_graphs import END, Graph

from .workers import Append, line, one


def drawing() -> Graph:
    graph = Graph("drawing")
    for name in ("retrieve", "critique", "end", "left", "right"):
        graph.add_node(name, Append(name))
    graph.add_node("inner", line("x"))
    graph.add_edge("retrieve", "critique")
    graph.add_conditional_edge("critique", lambda ctx: "bad", {"bad": "retrieve", "good": "end"})
    return graph.add_parallel("end", ["left", "right"], "inner").add_edge("inner", END)


def test_every_kind_of_edge_is_drawn() -> None:
    assert (
        drawing().visualize()
        == """\
flowchart TD
    start([start])
    n0["retrieve"]
    n1{"critique"}
    n2["end"]
    n3["left"]
    n4["right"]
    n5[["inner"]]
    finish([end])
    start --> n0
    n0 --> n1
    n1 -->|"bad"| n0
    n1 -->|"good"| n2
    n2 --> n3
    n2 --> n4
    n5 --> finish
    n3 --> n5
    n4 --> n5"""
    )


def test_names_cannot_break_the_drawing() -> None:
    graph = Graph().add_node('a"]; click x "javascript:', Append()).add_node("b`\n<c>|&#", Append())
    graph.add_conditional_edge('a"]; click x "javascript:', lambda ctx: 1, {'|"': "b`\n<c>|&#", (1, 2): END})
    graph.add_edge("b`\n<c>|&#", END)
    text = graph.visualize()
    assert len(text.splitlines()) == 9
    assert all(line_.count('"') in {0, 2} for line_ in text.splitlines())
    assert "<c>" not in text


def test_graph_that_does_not_compile_can_still_be_drawn() -> None:
    graph = Graph().add_node("a", Append()).add_edge("a", "missing").add_edge("gone", "a")
    assert "missing" not in graph.visualize()
    assert Graph().visualize().startswith("flowchart TD")


def test_library_draws_svg_and_png() -> None:
    svg, png = drawing().visualize("svg"), drawing().compile().visualize("png")
    assert svg.startswith("<svg")
    assert "critique" in svg
    assert png.startswith(b"\x89PNG")


def test_other_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="mermaid, svg, png"):
        one(Append()).visualize("jpg")


def test_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mermaidx", None)
    with pytest.raises(RuntimeError, match=r"chatproxy-graphs\[images\]"):
        one(Append()).visualize("svg")
