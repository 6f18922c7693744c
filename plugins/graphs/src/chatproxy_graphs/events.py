"""What a running graph tells."""

from __future__ import annotations

from typing import Literal

import msgspec

from chatproxy_graphs.context import Context


class GraphEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened.

    Attributes:
        type: ``start`` (``node`` is the entry), ``node`` (a worker is done, or said something), ``end``.
        node: its name; one of a graph within the graph as ``outer/inner``.
        step: counted from 1 in each graph.
        streaming: of ``node``: the worker goes on; ``text`` is what it just said.
        ctx: as it is now; of a parallel branch, the branch's own.
    """

    type: Literal["start", "node", "end"]
    ctx: Context
    node: str | None = None
    step: int = 0
    streaming: bool = False
    text: str = ""


class NodeRun(msgspec.Struct, kw_only=True):
    """The record of one visit of a node, for telemetry.

    Attributes:
        graph: the graph that the node is of; ``node`` is named as in `GraphEvent`.
        clock_s: when it began, on `time.perf_counter`.
        duration_s: None while it runs.
        error_type: a short code where it failed; None where it did not.
    """

    graph: str
    node: str
    step: int
    clock_s: float
    duration_s: float | None = None
    attempts: int = 1
    error_type: str | None = None
