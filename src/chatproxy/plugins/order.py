"""The order in which plugins stand on one hook, and the reason for each place.

Rule: pure; nothing here imports, logs or calls a plugin, so that every case is a table test.

1. By plugin name; ``tryfirst`` before all others, ``trylast`` behind them.
2. Constraints (``before``, ``after``) by a stable topological sort: the next place goes to the first one, in the order
   of step 1, that waits for nobody. A name that no plugin has and none provides is ignored.
3. ``[plugins] order`` wins: the plugins it lists stand in that order, a constraint that says otherwise is dropped.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from chatproxy.errors import PluginError
from chatproxy.hookimpl import Order

CONFIGURED = "[plugins] order"
NO_ORDER = Order()


@dataclass(slots=True, frozen=True)
class Candidate:
    """One implementation that wants a place.

    Attributes:
        distribution: the package it comes from, for messages.
        location: ``file:line`` of the implementation, for messages.
        impl: whatever the caller wants back; not looked at.
    """

    plugin: str
    tryfirst: bool = False
    trylast: bool = False
    order: Order = NO_ORDER
    distribution: str | None = None
    location: str | None = None
    impl: Any = field(default=None, compare=False)

    @property
    def label(self) -> str:
        """Name, distribution and place, for messages."""
        known = ", ".join(part for part in (self.distribution, self.location) if part)
        return f"'{self.plugin}' ({known})" if known else f"'{self.plugin}'"


@dataclass(slots=True, frozen=True)
class Placed:
    """A candidate in its final place.

    Attributes:
        reason: a short phrase: ``name``, ``tryfirst``, ``before mcp``, ``configured`` and so on.
        dropped: its constraints that ``[plugins] order`` overruled, for example ``("before mcp",)``.
    """

    candidate: Candidate
    reason: str
    dropped: tuple[str, ...] = ()


@dataclass(slots=True, frozen=True)
class _Edge:
    """``first`` must stand before ``second``; ``owner`` (an index, None for the configuration) says so by ``text``."""

    first: int
    second: int
    owner: int | None
    text: str


def order_plugins(impls: Sequence[Candidate], configured: Sequence[str], *, hook: str = "") -> list[Placed]:
    """Order the implementations of one hook; the result does not depend on the order they come in.

    Args:
        configured: plugin names from ``[plugins] order``; those without an implementation here are ignored.
        hook: the hook's name, for messages.

    Raises:
        PluginError: the constraints contradict each other, or one implementation is both tryfirst and trylast.
    """
    nodes = sorted(impls, key=_by_name)
    _check_flags(nodes, hook)
    present = {node.plugin for node in nodes}
    rank = {name: place for place, name in enumerate(dict.fromkeys(configured)) if name in present}
    wanted = _constraints(nodes)
    dropped = [edge for edge in wanted if _contradicts(edge, nodes, rank)]
    kept = [edge for edge in wanted if edge not in dropped] + _configured_edges(nodes, rank)
    places = _sorted(len(nodes), kept)
    if len(places) < len(nodes):
        raise PluginError(_cycle_message(nodes, _cycle(kept, set(range(len(nodes))) - set(places)), hook))
    return [
        Placed(nodes[i], _reason(i, nodes, kept, rank), tuple(edge.text for edge in dropped if edge.owner == i))
        for i in places
    ]


def _by_name(candidate: Candidate) -> tuple[int, str, str]:
    side = candidate.trylast - candidate.tryfirst
    return side, candidate.plugin, candidate.location or ""


def _check_flags(nodes: Iterable[Candidate], hook: str) -> None:
    for node in nodes:
        if node.tryfirst and node.trylast:
            raise PluginError(f"plugin {node.label}: {hook or 'a hook'} is both tryfirst and trylast; choose one")


def _constraints(nodes: Sequence[Candidate]) -> list[_Edge]:
    """What the implementations themselves ask for; a constraint on oneself is ignored."""
    named: dict[str, list[int]] = {}
    for index, node in enumerate(nodes):
        for name in {node.plugin, *node.order.provides}:
            named.setdefault(name, []).append(index)
    edges: list[_Edge] = []
    for index, node in enumerate(nodes):
        for name in node.order.before:
            edges += [_Edge(index, other, index, f"before {name}") for other in _others(nodes, named, index, name)]
        for name in node.order.after:
            edges += [_Edge(other, index, index, f"after {name}") for other in _others(nodes, named, index, name)]
    return edges


def _others(nodes: Sequence[Candidate], named: dict[str, list[int]], index: int, name: str) -> list[int]:
    return [other for other in named.get(name, ()) if nodes[other].plugin != nodes[index].plugin]


def _contradicts(edge: _Edge, nodes: Sequence[Candidate], rank: dict[str, int]) -> bool:
    first, second = rank.get(nodes[edge.first].plugin), rank.get(nodes[edge.second].plugin)
    return first is not None and second is not None and first > second


def _configured_edges(nodes: Sequence[Candidate], rank: dict[str, int]) -> list[_Edge]:
    """Each listed plugin before the next listed one."""
    listed: list[list[int]] = [[i for i, node in enumerate(nodes) if node.plugin == name] for name in rank]
    return [_Edge(i, j, None, CONFIGURED) for these, those in pairwise(listed) for i in these for j in those]


def _sorted(count: int, edges: Sequence[_Edge]) -> list[int]:
    """Kahn's algorithm with the lowest index first; indexes on or behind a cycle are left out."""
    waits = [0] * count
    followers: list[list[int]] = [[] for _ in range(count)]
    for edge in edges:
        waits[edge.second] += 1
        followers[edge.first].append(edge.second)
    ready = [index for index in range(count) if not waits[index]]
    places: list[int] = []
    while ready:
        index = heapq.heappop(ready)
        places.append(index)
        for follower in followers[index]:
            waits[follower] -= 1
            if not waits[follower]:
                heapq.heappush(ready, follower)
    return places


def _cycle(edges: Sequence[_Edge], left: set[int]) -> list[_Edge]:
    """One cycle among the indexes that found no place: each of them waits for another of them."""
    incoming = {edge.second: edge for edge in reversed(edges) if edge.first in left and edge.second in left}
    path: list[_Edge] = []
    seen: dict[int, int] = {}
    index = min(left)
    while index not in seen:
        seen[index] = len(path)
        path.append(incoming[index])
        index = incoming[index].first
    return path[seen[index] :][::-1]


def _cycle_message(nodes: Sequence[Candidate], cycle: Sequence[_Edge], hook: str) -> str:
    first = min(range(len(cycle)), key=lambda at: cycle[at].first)
    steps = [*cycle[first:], *cycle[:first]]
    says = [
        f"'{nodes[s.first].plugin}' before '{nodes[s.second].plugin}'"
        f" ({s.text if s.owner is None else f'{nodes[s.owner].plugin}: {s.text}'})"
        for s in steps
    ]
    labels = ", ".join(nodes[step.first].label for step in steps)
    where = f" on {hook}" if hook else ""
    return (
        f"plugins cannot be ordered{where}, their constraints form a cycle: {'; '.join(says)}. "
        f"Plugins: {labels}. Change a constraint, or list all of them in {CONFIGURED}."
    )


def _reason(index: int, nodes: Sequence[Candidate], edges: Sequence[_Edge], rank: dict[str, int]) -> str:
    node = nodes[index]
    if node.plugin in rank and len(rank) > 1:
        return "configured"
    own = [edge.text for edge in edges if edge.owner == index]
    asked = [f"after {nodes[edge.first].plugin}, which asks" for edge in edges if _asked(edge, index)]
    flag = ["tryfirst"] * node.tryfirst + ["trylast"] * node.trylast
    return ", ".join(dict.fromkeys([*flag, *own, *asked])) or "name"


def _asked(edge: _Edge, index: int) -> bool:
    return edge.second == index and edge.owner not in {None, index}
