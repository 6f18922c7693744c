"""Graph: workers, and which comes after which."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Self

from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import DefinitionError
from chatproxy_graphs.events import GraphEvent
from chatproxy_graphs.mermaid import drawn, rendered
from chatproxy_graphs.plan import END, Conditional, Edge, Merge, Node, Parallel, Plan, Route, find_faults, with_joins
from chatproxy_graphs.run import Run, events_of
from chatproxy_graphs.worker import chained, name_of, runner_of, streamer_of

MAX_STEPS = 100


class CompiledGraph:
    """A graph that was checked, and does not change any more.

    Attributes:
        plan: its parts.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @property
    def name(self) -> str:
        """The graph's."""
        return self.plan.name

    def compile(self) -> CompiledGraph:
        """Itself."""
        return self

    async def arun(self, ctx: Context) -> Context:
        """Run from the entry to the end.

        Raises:
            RunError: a worker, a route or a join failed, or the run took too many steps.
            ApiError: what a worker raised of that kind.
        """
        return await Run(self.plan, ctx).result()

    async def stream(self, ctx: Context) -> AsyncGenerator[GraphEvent, None]:
        """Run, and tell what happens as it happens; use `contextlib.aclosing` where you may leave early.

        Raises:
            RunError: see `arun`.
        """
        async with aclosing(events_of(self.plan, ctx)) as events:
            async for event in events:
                yield event

    def visualize(self, kind: str = "mermaid") -> Any:
        """A picture of the graph.

        Args:
            kind: ``mermaid`` (a text), ``svg`` (a text) or ``png`` (bytes); the latter two need the extra ``images``.

        Raises:
            ValueError: another kind.
            RuntimeError: the extra is not installed.
        """
        return rendered(drawn(self.plan), kind)

    def __rshift__(self, other: object) -> Graph:
        return chained(self, other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


class Graph:
    """Workers by name, and edges between them. The first node is the entry.

    Args:
        name: shown in errors and traces.
        max_steps: so many workers may run in one run, the same one each time that it runs.

    Raises:
        DefinitionError: ``max_steps`` is none. It is a ValueError, as all that is raised while a graph is built.
    """

    def __init__(self, name: str = "graph", max_steps: int = MAX_STEPS) -> None:
        if max_steps < 1:
            raise DefinitionError(name, f"max_steps must be a whole number from 1, found {max_steps!r}")
        self.name = name
        self.max_steps = max_steps
        self._nodes: dict[str, Node] = {}
        self._edges: dict[str, Edge] = {}
        self._entry: str | None = None
        self._compiled: CompiledGraph | None = None
        self._chain: tuple[object, ...] = ()

    @property
    def nodes(self) -> tuple[str, ...]:
        """The names of its nodes, in the order in which they were added."""
        return tuple(self._nodes)

    def add_node(
        self,
        name: str,
        worker: object,
        *,
        timeout_s: float | None = None,
        retries: int = 0,
        retry_delay_s: float = 0.0,
        stream: bool = True,
    ) -> Self:
        """Add a worker: a `Worker`, a graph, an ``async def`` function, or a plain one, which runs in a thread.

        Args:
            timeout_s: seconds for one attempt; None: the gateway's ``node_timeout_s``, and no limit outside of one.
            retries: attempts after the first; each gets the context as it was before. None follows once a text of the
                node was streamed, nor after an error that is the request's (4xx).
            retry_delay_s: seconds before the first retry; doubled for each further one.
            stream: False keeps what ``astream`` yields from the client until the graph is over, so that a later node
                may replace it.

        Raises:
            DefinitionError: the name is taken or none, or a number is wrong.
            TypeError: the worker is nothing that could be run.
        """
        if not name or name.startswith("__"):
            raise DefinitionError(self.name, f"a node's name is a text that does not begin with '__', found {name!r}")
        if name in self._nodes:
            raise DefinitionError(self.name, f"node {name!r} exists already")
        if timeout_s is not None and not timeout_s > 0:
            raise DefinitionError(self.name, f"timeout_s of node {name!r} must be more than 0, found {timeout_s!r}")
        if retries < 0 or retry_delay_s < 0:
            raise DefinitionError(self.name, f"retries and retry_delay_s of node {name!r} must not be less than 0")
        graph = worker if isinstance(worker, Graph | CompiledGraph) else None
        run = None if graph is not None else runner_of(worker)
        streamer = None if graph is not None else streamer_of(worker)
        self._nodes[name] = Node(name, worker, run, streamer, timeout_s, retries, retry_delay_s, stream, graph)
        self._entry = self._entry or name
        return self._changed()

    def set_entry(self, name: str) -> Self:
        """Start at this node."""
        self._entry = name
        return self._changed()

    def add_edge(self, from_node: str, to_node: str) -> Self:
        """Go from one node to another, or to `END`.

        Raises:
            DefinitionError: the node has an edge already.
        """
        return self._add_edge(from_node, to_node)

    def add_conditional_edge(self, from_node: str, route: Route, paths: Mapping[Any, str] | Sequence[str]) -> Self:
        """Go where ``route`` says.

        Args:
            route: called with the context, plain or async; returns one of the keys of ``paths``.
            paths: a node (or `END`) for each key; a list of nodes where the keys are their names.

        Raises:
            DefinitionError: the node has an edge already, or there are no paths.
        """
        table = dict(paths) if isinstance(paths, Mapping) else {path: path for path in paths}
        if not table or not callable(route):
            raise DefinitionError(self.name, f"the conditional edge of {from_node!r} needs a function and paths")
        return self._add_edge(from_node, Conditional(route, table))

    def add_parallel(self, from_node: str, branches: Iterable[str], join: str, *, merge: Merge | None = None) -> Self:
        """Go on with several nodes at once, each with a copy of the context, until all have come to ``join``.

        A branch may have edges of its own that lead to the join; without any, it goes there. When one branch fails, the
        others are cancelled.

        Args:
            join: a node, or `END`; runs once, with what `merge` made of the copies.
            merge: called with the context before the fork and the branches' contexts by name; returns the one that
                goes on (None: the first, as it was changed). None merges by the rule of `chatproxy_graphs.merge`.

        Raises:
            DefinitionError: the node has an edge already, or there are not two different branches.
        """
        names = tuple(branches)
        if len(names) < 2 or len(set(names)) < len(names):
            raise DefinitionError(self.name, f"the fork of {from_node!r} needs two or more different branches")
        return self._add_edge(from_node, Parallel(names, join, merge))

    def compile(self) -> CompiledGraph:
        """Check the graph, and make one of it that does not change any more.

        Raises:
            DefinitionError: an entry, node or edge is missing, END cannot be reached, a node is never reached, a
                branch does not come to its join, or the graph contains itself; all faults at once.
        """
        if self._compiled is None:
            edges = with_joins(self._edges)
            faults = find_faults(self._entry, self._nodes, edges)
            if contains(self, self):
                faults.append("it contains itself")
            if faults:
                raise DefinitionError(self.name, *faults)
            plan = Plan(self.name, self.max_steps, str(self._entry), dict(self._nodes), edges)
            self._compiled = CompiledGraph(plan)
        for node in self._nodes.values():
            if node.graph is not None:
                node.graph.compile()
        return self._compiled

    async def arun(self, ctx: Context) -> Context:
        """As `CompiledGraph.arun`; compiled first where it was changed."""
        return await self.compile().arun(ctx)

    async def stream(self, ctx: Context) -> AsyncGenerator[GraphEvent, None]:
        """As `CompiledGraph.stream`; compiled first where it was changed."""
        async with aclosing(self.compile().stream(ctx)) as events:
            async for event in events:
                yield event

    def visualize(self, kind: str = "mermaid") -> Any:
        """As `CompiledGraph.visualize`; also of a graph that does not compile."""
        plan = Plan(self.name, self.max_steps, self._entry or "", self._nodes, with_joins(self._edges))
        return rendered(drawn(plan), kind)

    def _add_edge(self, from_node: str, edge: Edge) -> Self:
        if from_node in self._edges:
            raise DefinitionError(
                self.name,
                f"node {from_node!r} has an edge already; use add_conditional_edge or add_parallel for several",
            )
        self._edges[from_node] = edge
        return self._changed()

    def _changed(self) -> Self:
        self._compiled = None
        self._chain = ()
        return self

    def __rshift__(self, other: object) -> Graph:
        return chained(self, other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"


def pipeline(first: object, second: object) -> Graph:
    """One after the other; what ``>>`` made before goes on as a chain, not as a graph within it."""
    steps = (*_steps(first), *_steps(second))
    made = Graph(name=" >> ".join(name_of(step) for step in steps))
    names: list[str] = []
    for step in steps:
        base = name_of(step)
        name, number = base, 1
        while name in names:
            number += 1
            name = f"{base}_{number}"
        made.add_node(name, step)
        names.append(name)
    for name, following in zip(names, [*names[1:], END], strict=True):
        made.add_edge(name, following)
    made._chain = steps  # noqa: SLF001 - of the same class
    return made


def contains(graph: Graph, sought: Graph) -> bool:
    """Whether a graph is among the nodes of another, at any depth."""
    seen: set[int] = set()
    waiting = _inner(graph)
    while waiting:
        found = waiting.pop()
        if found is sought:
            return True
        if id(found) not in seen:
            seen.add(id(found))
            waiting += _inner(found)
    return False


def _inner(graph: Graph | CompiledGraph) -> list[Graph | CompiledGraph]:
    nodes = graph.plan.nodes if isinstance(graph, CompiledGraph) else graph._nodes  # noqa: SLF001 - of the same class
    return [node.graph for node in nodes.values() if node.graph is not None]


def _steps(step: object) -> tuple[object, ...]:
    chain = step._chain if isinstance(step, Graph) else ()  # noqa: SLF001 - of the same class
    return chain or (step,)
