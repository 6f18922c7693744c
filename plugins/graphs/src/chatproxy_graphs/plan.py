"""Plan: the parts of a graph, and what must hold before it may run.

Rule: plain data and checks; nothing runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chatproxy_graphs.context import Context
from chatproxy_graphs.worker import Step, Streaming

END = "__end__"
"""Where a graph ends."""

Route = Callable[[Context], Any]
Merge = Callable[[Context, Mapping[str, Context]], Context | None]


@dataclass(frozen=True, slots=True)
class Node:
    """One worker in a graph.

    Attributes:
        run: None where it only streams.
        timeout_s: for one attempt; None takes the run's own.
        retries: attempts after the first.
        retry_delay_s: before the first of those; doubled each time.
        streams: its texts reach the client as they come.
        graph: the worker, where that is a graph.
    """

    name: str
    worker: object
    run: Step | None
    stream: Streaming | None
    timeout_s: float | None
    retries: int
    retry_delay_s: float
    streams: bool
    graph: Any = None


@dataclass(frozen=True, slots=True)
class Conditional:
    """An edge that leads to one of several nodes."""

    route: Route
    paths: Mapping[Any, str]


@dataclass(frozen=True, slots=True)
class Parallel:
    """An edge that leads to several nodes at once, whose paths meet at ``join``."""

    branches: tuple[str, ...]
    join: str
    merge: Merge | None


Edge = str | Conditional | Parallel


@dataclass(frozen=True, slots=True)
class Plan:
    """A graph that may run."""

    name: str
    max_steps: int
    entry: str
    nodes: Mapping[str, Node]
    edges: Mapping[str, Edge]


def targets(edge: Edge | None) -> tuple[str, ...]:
    """Where an edge leads. A fork's join is reached by its branches."""
    if edge is None:
        return ()
    if isinstance(edge, str):
        return (edge,)
    if isinstance(edge, Conditional):
        return tuple(edge.paths.values())
    return edge.branches


def with_joins(edges: Mapping[str, Edge]) -> dict[str, Edge]:
    """The edges, with one to the join from each branch that has none of its own."""
    complete = dict(edges)
    for edge in edges.values():
        if isinstance(edge, Parallel):
            for branch in edge.branches:
                complete.setdefault(branch, edge.join)
    return complete


def find_faults(entry: str | None, nodes: Mapping[str, Node], edges: Mapping[str, Edge]) -> list[str]:
    """What keeps a graph from running, a clause each; ``edges`` as `with_joins` gives them."""
    if not nodes:
        return ["it has no nodes"]
    missing = sorted(_missing(entry, nodes, edges))
    if missing:
        return missing
    faults = [f"node {name!r} leads nowhere: add an edge, to END where the graph ends" for name in nodes.keys() - edges]
    if faults:
        return sorted(faults)
    reached = reachable(str(entry), edges)
    faults += [f"node {name!r} is never reached from {entry!r}" for name in sorted(nodes.keys() - reached)]
    trapped = sorted(name for name in reached & nodes.keys() if END not in reachable(name, edges))
    if trapped:
        faults.append(f"END cannot be reached from {', '.join(map(repr, trapped))}")
    for name, edge in edges.items():
        if isinstance(edge, Parallel):
            faults += _fork_faults(name, edge, edges)
    return faults


def reachable(start: str, edges: Mapping[str, Edge], *, stop: str | None = None) -> frozenset[str]:
    """Every node that can be reached, ``start`` and `END` included; not beyond ``stop``."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        if name != stop:
            waiting.extend(targets(edges.get(name)))
    return frozenset(found)


def _missing(entry: str | None, nodes: Mapping[str, Node], edges: Mapping[str, Edge]) -> Iterator[str]:
    if entry not in nodes:
        yield f"its entry {entry!r} is no node"
    for name, edge in edges.items():
        if name not in nodes:
            yield f"an edge leaves {name!r}, which is no node"
        ends: Sequence[str] = (*targets(edge), edge.join) if isinstance(edge, Parallel) else targets(edge)
        for target in ends:
            if target != END and target not in nodes:
                yield f"the edge of {name!r} leads to {target!r}, which is no node"


def _fork_faults(name: str, edge: Parallel, edges: Mapping[str, Edge]) -> Iterator[str]:
    ways = {branch: reachable(branch, edges, stop=edge.join) for branch in edge.branches}
    for branch, way in ways.items():
        if edge.join not in way:
            yield f"branch {branch!r} of {name!r} does not reach the join {edge.join!r}"
        elif edge.join != END and END in way:
            yield f"branch {branch!r} of {name!r} may end before the join {edge.join!r}"
        if name in way:
            yield f"branch {branch!r} of {name!r} leads back to {name!r} before the join"
