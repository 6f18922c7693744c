"""GraphRegistry: graphs by the names that clients send as ``model``."""

from __future__ import annotations

from chatproxy_graphs.graph import CompiledGraph, Graph

AnyGraph = Graph | CompiledGraph


class GraphRegistry:
    """Graphs by name; one of them answers where none is named.

    In a running gateway each application has its own, ``app.plugin(GraphRegistry)``.
    """

    def __init__(self) -> None:
        self._graphs: dict[str, AnyGraph] = {}
        self._default: str | None = None
        self._included: list[GraphRegistry] = []

    def register(self, name: str, graph: AnyGraph, set_default: bool = False, *, replace: bool = False) -> None:
        """Make a graph a model.

        Args:
            name: what clients send as ``model``.
            set_default: it answers requests without a model; else the first graph does.
            replace: another graph of that name leaves.

        Raises:
            ValueError: the name is empty or taken; the graph cannot run, see `Graph.compile`.
            TypeError: it is no graph.
        """
        if not isinstance(graph, Graph | CompiledGraph):
            raise TypeError(f"{name!r} must be a Graph, found {type(graph).__name__}")
        if not name.strip():
            raise ValueError(f"a graph's name must not be empty, found {name!r}")
        if self._graphs.get(name, graph) is not graph and not replace:
            raise ValueError(f"a graph {name!r} is registered already; use replace=True to put another in its place")
        graph.compile()
        self._graphs[name] = graph
        if set_default or self._default is None:
            self._default = name

    @property
    def default(self) -> str | None:
        """The name of the graph that answers where none is named; None where there are no graphs."""
        return self._default or next((found for other in self._included if (found := other.default)), None)

    def get(self, name: str | None = None) -> tuple[AnyGraph, str]:
        """A graph and its name; without a name, the default.

        Raises:
            KeyError: there is none.
        """
        wanted = name or self.default
        found = self.find(wanted) if wanted else None
        if wanted is None or found is None:
            raise KeyError(f"no graph {wanted!r} is registered; there are {self.list_graphs()}")
        return found, wanted

    def find(self, name: str) -> AnyGraph | None:
        """A graph by its name; None where there is none."""
        found = self._graphs.get(name)
        if found is None:
            for other in self._included:
                found = other.find(name)
                if found is not None:
                    break
        return found

    def list_graphs(self) -> list[str]:
        """The names, in the order of registration."""
        return list(dict.fromkeys([*self._graphs, *(name for other in self._included for name in other.list_graphs())]))

    def include(self, other: GraphRegistry) -> None:
        """Show another registry's graphs too, also those that it gets later; own ones come first."""
        if other is not self and other not in self._included:
            self._included.append(other)
