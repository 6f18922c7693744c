"""Every error of graphs.

ValueError
└── DefinitionError              a graph cannot be built or compiled
ApiError                         answered to a client in OpenAI's envelope
├── RunError                 500 a graph failed; names graph, node and step
│   ├── NodeFailed           500 a worker raised, or returned what it must not
│   │   └── NodeTimeout      504 a worker passed its deadline
│   ├── RouteFailed          500 a route raised, or returned a key that leads nowhere
│   ├── MergeConflict        500 parallel branches left different values
│   ├── TooManySteps         500 a run passed ``max_steps``
│   └── WrongResult          500 a run ended with what cannot be answered
├── GraphInvalid             500 a registered graph was changed and does not compile any more
└── InvalidOutput            422 the answer does not match the request's ``response_format``
"""

from __future__ import annotations

from chatproxy.errors import ApiError


class DefinitionError(ValueError):
    """A graph is not one that could run.

    Args:
        graph: its name.
        faults: one clause for each fault; at least one.
    """

    def __init__(self, graph: str, *faults: str) -> None:
        super().__init__(f"graph {graph!r}: {'; '.join(faults)}")
        self.graph = graph
        self.faults = faults


class RunError(ApiError):
    """A graph failed while it ran.

    Args:
        reason: a clause; what a worker's exception says is chained for the log, never shown.
        node: None where the graph as a whole is at fault.
        step: counted from 1 in each graph.
    """

    default_status = 500
    default_code = "graph_failed"

    def __init__(self, reason: str, *, graph: str, node: str | None = None, step: int | None = None) -> None:
        place = f"graph '{graph}'"
        if node is not None:
            place += f", node '{node}', step {step}"
        super().__init__(f"{place}: {reason}.")
        self.graph = graph
        self.node = node
        self.step = step


class NodeFailed(RunError):
    """A worker raised, or returned what it must not (500)."""

    default_code = "graph_node_failed"


class NodeTimeout(NodeFailed):
    """A worker passed its deadline (504)."""

    default_status = 504
    default_code = "graph_node_timeout"


class RouteFailed(RunError):
    """A conditional edge led nowhere (500)."""

    default_code = "graph_route_failed"


class MergeConflict(RunError):
    """Parallel branches left different values under one name (500)."""

    default_code = "graph_merge_conflict"


class TooManySteps(RunError):
    """A run passed ``max_steps`` (500)."""

    default_code = "graph_max_steps"


class WrongResult(RunError):
    """A run ended with what cannot be answered (500)."""

    default_code = "graph_wrong_result"


class GraphInvalid(ApiError):
    """A registered graph was changed and does not compile any more (500)."""

    default_status = 500
    default_code = "graph_invalid"


class InvalidOutput(ApiError):
    """The answer does not match the request's ``response_format`` (422)."""

    default_status = 422
    default_code = "response_format_mismatch"
