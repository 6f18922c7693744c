"""What a run leaves on the exchange's record and in its trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatproxy.types import AttributeValue, TraceSpan
from chatproxy_graphs.events import NodeRun

if TYPE_CHECKING:
    from chatproxy import RequestContext
    from chatproxy_graphs.run import Run

PLUGIN = "graphs"
MAX_NOTED = 50


def begin_span(gateway: RequestContext | None, record: NodeRun, parent: TraceSpan | None) -> TraceSpan | None:
    """The span of a visit; None where nobody traces.

    Args:
        parent: of the node whose worker is this node's graph.
    """
    if gateway is None or not gateway.trace.is_recording:
        return None
    return gateway.trace.span(f"node {record.node}", _place(record), parent=parent)


def end_span(span: TraceSpan | None, record: NodeRun) -> None:
    """The visit is over."""
    if span is not None:
        span.set("graphs.attempts", record.attempts)
        span.end(record.error_type)


def tell_retry(gateway: RequestContext | None, record: NodeRun, code: str | None) -> None:
    """An event: a worker failed and is tried again."""
    if gateway is not None and gateway.trace.is_recording:
        gateway.trace.event("graphs.retry", {**_place(record), "error.type": code or "error"})


def note_run(gateway: RequestContext, graph: str, run: Run) -> None:
    """The run, on the exchange's record: every step counted, the first `MAX_NOTED` visits shown."""
    nodes = [_shown(record) for record in run.records[:MAX_NOTED]]
    gateway.note(PLUGIN, graph=graph, steps=run.steps, nodes=nodes)


def _place(record: NodeRun) -> dict[str, AttributeValue]:
    return {"graphs.graph": record.graph, "graphs.node": record.node, "graphs.step": record.step}


def _shown(record: NodeRun) -> dict[str, Any]:
    shown: dict[str, Any] = {"node": record.node, "step": record.step}
    if record.duration_s is not None:
        shown["duration_s"] = round(record.duration_s, 6)
    if record.attempts > 1:
        shown["attempts"] = record.attempts
    if record.error_type is not None:
        shown["error"] = record.error_type
    return shown
