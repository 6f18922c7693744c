"""SpanCapture: a plugin that keeps the spans of a gateway under test, and hands them out as trees of plain data.

Rule: importing it needs no OpenTelemetry, making one does; nothing global is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from chatproxy.hookimpl import hookimpl
from chatproxy.types.app import App

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
    from opentelemetry.sdk.trace.sampling import Sampler


Key = tuple[int, int]


class SpanEvent(NamedTuple):
    """An event of a span."""

    name: str
    attributes: dict[str, Any]


class SpanTree(NamedTuple):
    """A span with those below it: plain data, without ids and times, so that two can be compared.

    Attributes:
        kind: ``SERVER``, ``CLIENT``, ``INTERNAL``, ``PRODUCER`` or ``CONSUMER``.
        attributes: lists where the SDK has tuples.
        status: ``UNSET``, ``OK`` or ``ERROR``; ``description`` may stand beside the last.
        links: how many other spans it is linked to.
        children: in the order in which they started.
    """

    name: str
    kind: str
    attributes: dict[str, Any]
    events: list[SpanEvent]
    status: str
    description: str | None
    links: int
    children: list[SpanTree]

    def walk(self) -> Iterator[SpanTree]:
        """This span, then all below it, each before its children."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, name: str) -> SpanTree:
        """The first span of that name.

        Raises:
            LookupError: there is none; the message shows the tree.
        """
        for span in self.walk():
            if span.name == name:
                return span
        raise LookupError(f"no span is called {name!r}:\n{self.outline()}")

    def outline(self) -> str:
        """Kinds and names, a line each, indented by two spaces a level."""
        lines = [f"{self.kind} {self.name}"]
        lines += [f"  {line}" for child in self.children for line in child.outline().splitlines()]
        return "\n".join(lines)


class SpanCapture:
    """Keeps every span that ends; give it to `make_app` among the plugins, and it provides the tracer provider.

    Args:
        sampler: as OpenTelemetry's SDK has them; None takes what `TracerProvider` takes by itself.

    Attributes:
        provider: an ``opentelemetry.sdk.trace.TracerProvider`` of its own; plugins find it by ``app.plugin``.

    Raises:
        ImportError: opentelemetry-sdk is not installed.
    """

    chatproxy_name = "span_capture"

    def __init__(self, *, sampler: Sampler | None = None) -> None:
        # The core does not depend on OpenTelemetry; who tests spans has it.
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415

        self._spans: list[ReadableSpan] = []
        self._begun: dict[Key, str] = {}
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(_processor(self))

    @hookimpl(tryfirst=True)
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        """Provide the tracer provider, before anybody asks for it."""
        app.provide(self.provider)
        yield

    @property
    def finished(self) -> tuple[ReadableSpan, ...]:
        """All spans that have ended, in that order."""
        return tuple(self._spans)

    def clear(self) -> None:
        """Forget them, and those that have not ended."""
        self._spans.clear()
        self._begun.clear()

    async def tree(self, count: int = 1, *, timeout_s: float = 10.0) -> SpanTree:
        """Wait until so many exchanges have all their spans; the tree of the last of them.

        Raises:
            TimeoutError: they have not come; the message shows what has.
        """
        return (await self.trees(count, timeout_s=timeout_s))[count - 1]

    async def trees(self, count: int = 1, *, timeout_s: float = 10.0) -> list[SpanTree]:
        """As `tree`: the trees of all exchanges, in the order in which they started."""
        changed = asyncio.Event()
        waiting = (asyncio.get_running_loop(), changed)
        self._waiting.append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                while not self._is_whole(count):
                    await changed.wait()
                    changed.clear()
        except TimeoutError:
            shown = [tree.outline() for tree in trees_of(self._spans)] or ["(none)"]
            shown += [f"{name}, which has not ended" for name in self._begun.values()]
            raise TimeoutError("\n".join([f"{count} exchanges should have ended in {timeout_s} s:", *shown])) from None
        finally:
            self._waiting.remove(waiting)
        return exchanges_of(self._spans)

    def begin(self, span: ReadableSpan) -> None:
        """A span has started, on any thread."""
        self._begun[_id(span.context)] = span.name

    def end(self, span: ReadableSpan) -> None:
        """It has ended; kept where it was sampled."""
        if span.context is not None and span.context.trace_flags.sampled:
            self._spans.append(span)
        self._begun.pop(_id(span.context), None)
        for loop, changed in list(self._waiting):
            loop.call_soon_threadsafe(changed.set)

    def _is_whole(self, count: int) -> bool:
        spans = self.finished
        ids = {_id(span.context) for span in spans}
        is_connected = all(span.parent is None or span.parent.is_remote or _id(span.parent) in ids for span in spans)
        return not self._begun and is_connected and len(exchanges_of(spans)) >= count


def _processor(capture: SpanCapture) -> SpanProcessor:
    """What tells a capture of spans; its class is the SDK's, which may not be there when this module is imported."""
    from opentelemetry.sdk.trace import SpanProcessor  # noqa: PLC0415

    class Processor(SpanProcessor):
        def on_start(self, span: ReadableSpan, parent_context: object = None) -> None:
            capture.begin(span)

        def on_end(self, span: ReadableSpan) -> None:
            capture.end(span)

    return Processor()


def trees_of(spans: Sequence[ReadableSpan]) -> list[SpanTree]:
    """Spans as trees, in the order in which their roots started; a span whose parent is missing is a root."""
    ordered = sorted(spans, key=lambda span: span.start_time or 0)
    known = {_id(span.context) for span in ordered}
    children: dict[Key | None, list[ReadableSpan]] = {}
    for span in ordered:
        parent = _id(span.parent) if span.parent is not None else None
        children.setdefault(parent if parent in known else None, []).append(span)
    return [_tree(root, children) for root in children.get(None, [])]


def exchanges_of(spans: Sequence[ReadableSpan]) -> list[SpanTree]:
    """The trees below spans of servers, wherever these stand."""
    return [span for tree in trees_of(spans) for span in tree.walk() if span.kind == "SERVER"]


def _tree(span: ReadableSpan, children: Mapping[Key | None, Sequence[ReadableSpan]]) -> SpanTree:
    return SpanTree(
        name=span.name,
        kind=span.kind.name,
        attributes=_plain(span.attributes),
        events=[SpanEvent(event.name, _plain(event.attributes)) for event in span.events],
        status=span.status.status_code.name,
        description=span.status.description,
        links=len(span.links),
        children=[_tree(child, children) for child in children.get(_id(span.context), ()) if child is not span],
    )


def _plain(attributes: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in (attributes or {}).items()}


def _id(context: Any) -> Key:
    return context.trace_id, context.span_id
