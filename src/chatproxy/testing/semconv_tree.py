"""What spans must be together: one tree for each trace, whose branches make sense.

Rule: reads ids, times and kinds only; what a span is by itself, `chatproxy.testing.semconv_rules` says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from chatproxy.testing.semconv_registry import (
    AGENT,
    CLIENT,
    EMBEDDINGS,
    INFERENCE,
    LATEST_ONLY,
    MCP,
    OTHER,
    SERVER,
    STABLE_ONLY,
    TOOL,
    SpanType,
)
from chatproxy.testing.semconv_rules import SpanLike, type_of

SLACK_NS = 1_000_000
"""A child may stand out of its parent by a millisecond: the two may have been measured by two clocks."""
PARENTS: Mapping[SpanType, tuple[SpanType, ...]] = {
    INFERENCE: (SERVER, AGENT, TOOL, OTHER),
    EMBEDDINGS: (SERVER, AGENT, TOOL, OTHER),
    TOOL: (SERVER, AGENT, OTHER),
    CLIENT: (INFERENCE, EMBEDDINGS, TOOL, MCP, AGENT, OTHER),
    SERVER: (CLIENT, MCP, OTHER, INFERENCE, EMBEDDINGS),
}
"""Of which type a span's parent is, where it has one here."""

Key = tuple[int, int]


def tree_faults(spans: Sequence[SpanLike]) -> Iterator[str]:
    """What is wrong with the trees of spans, one sentence for each fault."""
    by_id = {_key(span): span for span in spans}
    for key, times in Counter(map(_key, spans)).items():
        if times > 1:
            yield f"{by_id[key].name!r}: {times} spans have the id {key[1]:016x}"
    asking = {_key(span)[0] for span in spans if type_of(span) in {INFERENCE, EMBEDDINGS}}
    roots: dict[int, list[str]] = {span.context.trace_id: [] for span in spans}
    for span in spans:
        parent = _parent(span, by_id)
        if parent is not None:
            asks = span.context.trace_id in asking
            yield from (f"{span.name!r}: {fault}" for fault in _branch_faults(span, parent, asks_model=asks))
        elif span.parent is None or span.parent.is_remote:
            roots[span.context.trace_id].append(span.name)
        else:
            yield f"{span.name!r}: its parent {span.parent.span_id:016x} was not recorded"
    for trace_id, names in roots.items():
        if len(names) > 1:
            yield f"trace {trace_id:032x} has {len(names)} roots: {', '.join(names)}"


def vocabulary_faults(spans: Sequence[SpanLike], vocabulary: str) -> Iterator[str]:
    """Names that are not in a vocabulary, or in ``any`` mixed with names of the other one in the same trace."""
    used: dict[int, set[str]] = {}
    for span in spans:
        used.setdefault(span.context.trace_id, set()).update(span.attributes or {})
    for trace_id, names in used.items():
        old, new = sorted(names & STABLE_ONLY), sorted(names & LATEST_ONLY)
        if vocabulary == "any" and old and new:
            yield f"trace {trace_id:032x} mixes two vocabularies: {', '.join(old)} with {', '.join(new)}"
        for name in {"stable": new, "latest": old}.get(vocabulary, []):
            yield f"trace {trace_id:032x} has {name}, which the vocabulary {vocabulary!r} does not know"


def _branch_faults(span: SpanLike, parent: SpanLike, *, asks_model: bool) -> Iterator[str]:
    wanted, kinds = PARENTS.get(type_of(span)), (type_of(span), type_of(parent))
    is_plain = kinds == (CLIENT, SERVER) and not asks_model  # a request that asks no model is passed on as it is
    if wanted is not None and type_of(parent) not in wanted and not is_plain:
        yield f"a span of {type_of(span).name} below {parent.name!r}, a span of {type_of(parent).name}"
    if span.parent.is_remote:
        return  # another process, as far as clocks are concerned
    if span.start_time < parent.start_time - SLACK_NS:
        yield f"it starts {_ms(parent.start_time - span.start_time)} before its parent {parent.name!r}"
    if span.end_time > parent.end_time + SLACK_NS:
        yield f"it ends {_ms(span.end_time - parent.end_time)} after its parent {parent.name!r}"


def _parent(span: SpanLike, by_id: Mapping[Key, SpanLike]) -> SpanLike | None:
    if span.parent is None:
        return None
    return by_id.get((span.parent.trace_id, span.parent.span_id))


def _key(span: SpanLike) -> Key:
    return span.context.trace_id, span.context.span_id


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / 1e6:.1f} ms"
