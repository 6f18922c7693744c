"""The table ``[plugins.graphs]``."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec

from chatproxy_graphs.graph import CompiledGraph, Graph
from chatproxy_graphs.registry import AnyGraph, GraphRegistry

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Config(msgspec.Struct, forbid_unknown_fields=True, dict=True):
    """The table ``[plugins.graphs]``.

    Attributes:
        load: graphs, each ``package.module:object``: a graph, a `GraphRegistry`, or a function without arguments that
            returns one of them. A graph's own name becomes its model; ``name=package.module:object`` gives another.
        node_timeout_s: for workers that have no ``timeout_s`` of their own.
    """

    load: tuple[str, ...] = ()
    node_timeout_s: Seconds = 600.0

    def __post_init__(self) -> None:
        """Load at once, so that what is wrong is said before anything starts."""
        self.graphs: list[tuple[str, AnyGraph]] = []
        registry = GraphRegistry()
        for item in self.load:
            for name, graph in loaded(item):
                try:
                    registry.register(name, graph)
                except (ValueError, TypeError) as exc:
                    raise ValueError(f"load {item!r}: {exc}") from exc
                self.graphs.append((name, graph))


def loaded(item: str) -> Iterator[tuple[str, AnyGraph]]:
    """The graphs of one item of ``load``, with their names.

    Raises:
        ValueError: the item is no such reference, the import failed, or what was found is no graph.
    """
    alias, _, reference = item.rpartition("=")
    module, _, attribute = reference.partition(":")
    if not module or not attribute:
        raise ValueError(f"load {item!r}: wanted 'package.module:object'")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
        if callable(found) and not isinstance(found, Graph | CompiledGraph | GraphRegistry):
            found = found()
    except (Exception, SystemExit) as exc:  # what somebody's module raises
        raise ValueError(f"load {item!r}: {type(exc).__name__}: {exc}") from exc
    if isinstance(found, Graph | CompiledGraph):
        yield alias or found.name, found
    elif isinstance(found, GraphRegistry) and not alias:
        yield from ((name, found.get(name)[0]) for name in found.list_graphs())
    else:
        raise ValueError(f"load {item!r}: wanted a graph, found {type(found).__name__}")
