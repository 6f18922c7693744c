"""Pictures of graphs: Mermaid's flowcharts, and what a library makes of them.

Source: Mermaid, "Flowcharts - Basic Syntax". Nodes are numbered, since names such as ``end`` mean something there.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from html import escape
from typing import Any

from chatproxy_graphs.plan import END, Conditional, Edge, Parallel, Plan

KINDS = ("mermaid", "svg", "png")


def drawn(plan: Plan) -> str:
    """The flowchart."""
    ids = {name: f"n{number}" for number, name in enumerate(plan.nodes)} | {END: "finish"}
    lines = ["flowchart TD", "    start([start])"]
    for name, node in plan.nodes.items():
        left, right = _shape(plan.edges.get(name), is_graph=node.graph is not None)
        lines.append(f"    {ids[name]}{left}{_quoted(name)}{right}")
    lines.append("    finish([end])")
    if plan.entry in ids:
        lines.append(f"    start --> {ids[plan.entry]}")
    for name, edge in plan.edges.items():
        for label, target in _arrows(edge):
            if name in ids and target in ids:
                lines.append(f"    {ids[name]} -->{label} {ids[target]}")
    return "\n".join(lines)


def rendered(text: str, kind: str) -> Any:
    """A flowchart as a picture; see `CompiledGraph.visualize`."""
    if kind not in KINDS:
        raise ValueError(f"graphs are drawn as {', '.join(KINDS)}, found {kind!r}")
    if kind == "mermaid":
        return text
    try:
        library: Any = importlib.import_module("mermaidx")
    except ImportError as exc:
        raise RuntimeError(f"{kind} needs a library: pip install 'chatproxy-graphs[images]'") from exc
    picture = library.render(text)
    return picture.svg() if kind == "svg" else picture.png()


def _shape(edge: Edge | None, *, is_graph: bool) -> tuple[str, str]:
    if is_graph:
        return "[[", "]]"
    return ("{", "}") if isinstance(edge, Conditional) else ("[", "]")


def _arrows(edge: Edge) -> Iterator[tuple[str, str]]:
    """(label, target) of each arrow; a fork's lead to its branches, which lead to the join."""
    if isinstance(edge, str):
        yield "", edge
    elif isinstance(edge, Parallel):
        for branch in edge.branches:
            yield "", branch
    else:
        for key, target in edge.paths.items():
            yield f"|{_quoted(str(key))}|", target


def _quoted(text: str) -> str:
    """Quoted, with what Mermaid reads as markup written as entities."""
    plain = escape(text, quote=True).replace("&", "#").replace("`", "#96;").replace("\n", " ")
    return f'"{plain}"'
