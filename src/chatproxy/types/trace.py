"""Trace: an exchange's place in a distributed trace, and what plugins add to it.

Rule: plain data, no tracing library. Without a tracer (`App.set_tracer`) the client's context passes on as it came and
nothing is kept; with one, every request that leaves the gateway has a span of its own as its parent.
Source: W3C Trace Context; W3C Baggage.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from chatproxy.types.context import RequestContext

AttributeValue = str | bool | int | float | Sequence[str] | Sequence[bool] | Sequence[int] | Sequence[float]

MAX_ATTRIBUTES = 64
MAX_EVENTS = 128
MAX_HIDDEN = 10_000
MAX_TEXT = 8_192
"""Characters that are kept, of names too: more than is shown, for secrets are taken out before a text is cut short."""
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_SCALARS = (str, bool, int, float)
_NOT_ZERO = 1 << 64 | 1  # neither of the two ids may be


class Hop(NamedTuple):
    """The span of one request that leaves the gateway: its id (empty where nobody traces), and the header that goes."""

    span_id: str
    traceparent: str


class TraceEvent(NamedTuple):
    """Something that happened during an exchange; ``at_s`` seconds from its start."""

    name: str
    at_s: float
    attributes: dict[str, AttributeValue]


class TraceSpan:
    """Part of an exchange's work, with a beginning and an end; `Trace.span` begins it.

    Attributes:
        started_s: from the exchange's start.
        duration_s: None while it goes on.
        error_type: a short code where it failed.
        span_id: 16 hexadecimal digits; empty where nobody traces.
        parent_id: the span it is part of; empty for the exchange's own.
        traceparent: W3C header for what is asked of others as part of it.
    """

    __slots__ = (
        "_clock_s", "attributes", "duration_s", "error_type", "name", "parent_id", "span_id", "started_s", "traceparent"
    )  # fmt: skip

    def __init__(self, name: str, hop: Hop, *, parent_id: str, started_s: float) -> None:
        self.name = name
        self.span_id, self.traceparent = hop
        self.parent_id = parent_id
        self.started_s = started_s
        self.duration_s: float | None = None
        self.error_type: str | None = None
        self.attributes: dict[str, AttributeValue] = {}
        self._clock_s = time.perf_counter()

    def set(self, name: str, value: AttributeValue) -> None:
        """Add an attribute; see `Trace.set`."""
        if len(self.attributes) < MAX_ATTRIBUTES or name in self.attributes:
            self.attributes[_named(name)] = _fitting(name, value)

    def end(self, error_type: str | None = None) -> None:
        """It is over; the first end counts."""
        if self.duration_s is None:
            self.duration_s = time.perf_counter() - self._clock_s
            self.error_type = error_type


class Trace:
    """``ctx.trace``: one for each exchange.

    Attributes:
        traceparent: W3C header that makes the exchange the parent: the client's as it came, or what a tracer adopted.
        tracestate: as it goes on; empty where there is none.
        baggage: as it goes on; empty unless a tracer lets some of the client's pass.
        is_remote: ``traceparent`` came from the client.
        is_traced: a tracer took over.
        is_recording: what is set here is kept; where it is False, setting costs nothing and does nothing.
        attributes: what plugins set, by name.
        events: what plugins said that happened, in order.
        spans: parts of the work, in the order of their beginnings.
        hidden: texts that must not stand in what is exported, with what stands for them.
        hides_all: more was hidden than is kept here, so that no content of a message may be exported at all.
    """

    __slots__ = (
        "_started_s", "attributes", "baggage", "events", "hidden", "hides_all", "is_recording", "is_remote",
        "is_traced", "spans", "traceparent", "tracestate",
    )  # fmt: skip

    def __init__(
        self, traceparent: str = "", tracestate: str = "", *, is_remote: bool = False, started_s: float = 0.0
    ) -> None:
        self.traceparent = traceparent
        self.tracestate = tracestate
        self.is_remote = is_remote
        self.baggage = ""
        self.is_traced = False
        self.is_recording = False
        self.attributes: Mapping[str, AttributeValue] = _NOTHING
        self.events: Sequence[TraceEvent] = ()
        self.spans: Sequence[TraceSpan] = ()
        self.hidden: Mapping[str, str] = _NOTHING
        self.hides_all = False
        self._started_s = started_s

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits."""
        return self.traceparent[3:35]

    @property
    def span_id(self) -> str:
        """16 hexadecimal digits: the exchange's own span where a tracer took over, else the client's."""
        return self.traceparent[36:52]

    @property
    def flags(self) -> int:
        """Bits of the W3C header: 1 is sampled."""
        return int(self.traceparent[53:55] or "0", 16)

    def adopt(self, trace_id: str, span_id: str, flags: int, *, tracestate: str = "", is_recording: bool) -> None:
        """Take over, for tracers: from now on every request that leaves the gateway has a span of its own.

        Args:
            trace_id: 32 hexadecimal digits; ``span_id`` 16, of the exchange's own span.
        """
        self.traceparent = f"00-{trace_id}-{span_id}-{flags:02x}"
        self.tracestate = tracestate
        self.is_traced = True
        self.is_recording = is_recording
        if is_recording:
            self.attributes, self.events, self.spans, self.hidden = {}, [], [], {}

    def hop(self) -> Hop:
        """A span for a request that leaves the gateway now: for handlers, and plugins that call others."""
        if not self.is_recording:  # no span will stand for it; the exchange's own does
            return Hop(self.span_id if self.is_traced else "", self.traceparent)
        span_id = f"{random.getrandbits(64) or 1:016x}"
        return Hop(span_id, f"{self.traceparent[:36]}{span_id}{self.traceparent[52:]}")

    def set(self, name: str, value: AttributeValue) -> None:
        """Add an attribute to the exchange's span, for example ``ctx.trace.set("billing.team", team)``.

        Args:
            name: begin it with the plugin's name; ``gen_ai``, ``http`` and other standard prefixes keep their meaning.
            value: a text (exporters cut it short), a number, a bool, or a list of one of these
                (of which the first 64 are kept).

        Raises:
            TypeError: another type; also where nothing is recorded, so that a test finds it.
        """
        short, fitting, kept = _named(name), _fitting(name, value), self.attributes
        if isinstance(kept, dict) and (short in kept or len(kept) < MAX_ATTRIBUTES):
            kept[short] = fitting

    def event(self, name: str, attributes: Mapping[str, AttributeValue] | None = None) -> None:
        """Add an event to the exchange's span, at the time of the call; see `set` for names, values and errors."""
        given = islice((attributes or {}).items(), MAX_ATTRIBUTES)
        short, fitting = _named(name), {_named(key): _fitting(key, value) for key, value in given}
        if isinstance(self.events, list) and len(self.events) < MAX_EVENTS:
            self.events.append(TraceEvent(short, time.perf_counter() - self._started_s, fitting))

    def span(
        self, name: str, attributes: Mapping[str, AttributeValue] | None = None, *, parent: TraceSpan | None = None
    ) -> TraceSpan:
        """Begin a part of the exchange's work, a span of its own in the trace; end it with `TraceSpan.end`.

        The first 128 of an exchange are kept. See `set` for names, values and errors.

        Args:
            parent: the part that this one belongs to; None for the exchange's own span.

        Example:
            ``span = ctx.trace.span("graph plan", {"graph.step": 3})``
        """
        is_kept = isinstance(self.spans, list) and len(self.spans) < MAX_EVENTS
        hop = self.hop() if is_kept else Hop("", self.traceparent)
        started_s = time.perf_counter() - self._started_s
        made = TraceSpan(_named(name), hop, parent_id=parent.span_id if parent else "", started_s=started_s)
        for key, value in (attributes or {}).items():
            made.set(key, value)
        if is_kept and isinstance(self.spans, list):
            self.spans.append(made)
        return made

    def hide(self, text: str, stand_in: str = "***") -> None:
        """Have a text replaced in all that is exported of this exchange, contents of messages included.

        For plugins that take something out of what a model sees and put it back for the client.
        """
        if isinstance(self.hidden, dict) and text:
            if len(self.hidden) < MAX_HIDDEN or text in self.hidden:
                self.hidden[text] = stand_in
            else:
                self.hides_all = True


class Tracer(Protocol):
    """Who decides about traces; see `App.set_tracer`."""

    def begin(self, ctx: RequestContext) -> Callable[[], None] | None:
        """Called for every exchange before anything else of it, in its task; must neither wait nor raise.

        It calls `Trace.adopt` of ``ctx.trace``.

        Returns:
            What is to be called in the same task after the last byte; it must neither wait nor raise.
        """


def new_traceparent() -> str:
    """The start of a trace of its own, sampled."""
    fresh = f"{random.getrandbits(192) | _NOT_ZERO:048x}"
    return f"00-{fresh[:32]}-{fresh[32:]}-01"


def _named(name: str) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name of a trace's attribute or event is a text, found {type(name).__name__}")
    return name[:MAX_TEXT]


def _fitting(name: str, value: AttributeValue) -> AttributeValue:
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, list | tuple):
        items, kind = value[:MAX_ATTRIBUTES], type(value[0]) if value else str
        if kind in _SCALARS and all(type(item) is kind for item in items):
            return [item[:MAX_TEXT] for item in items if isinstance(item, str)] if kind is str else items
    found = type(value).__name__  # its content may be what must not be written anywhere
    raise TypeError(
        f"a trace's attribute {name!r} is a text, a number, a bool, or a list of one of these, found {found}"
    )
