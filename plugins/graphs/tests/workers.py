"""Workers and graphs that tests are made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import chatproxy_graphs
import httpx
from chatproxy_graphs import END, Context, Graph, GraphRegistry, Worker
from chatproxy_graphs.serve import Registered

from chatproxy.testing import Gateway, ScriptedUpstream, events_of, make_app


class Append(Worker):
    """Adds a label to ``ctx.values``."""

    async def arun(self, ctx: Context) -> Context:
        ctx.values = [*(ctx.values or []), self.name]
        return ctx


class Says(Worker):
    """Streams texts."""

    def __init__(self, *texts: str, name: str = "says") -> None:
        super().__init__(name)
        self.texts = texts

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        for text in self.texts:
            yield text


class Answers(Worker):
    """Sets values of the context."""

    def __init__(self, name: str = "answers", **values: Any) -> None:
        super().__init__(name)
        self.values = values

    async def arun(self, ctx: Context) -> None:
        ctx.data.update(self.values)


class Stubborn(Worker):
    """Goes on although it is cancelled, until it is let go."""

    def __init__(self) -> None:
        super().__init__("stubborn")
        self.let_go = asyncio.Event()
        self.cancelled = 0
        self.started = asyncio.Event()
        self.over = asyncio.Event()

    async def arun(self, ctx: Context) -> Context:
        self.started.set()
        while not self.let_go.is_set():
            try:
                await self.let_go.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
        ctx.response = "too late"
        self.over.set()
        return ctx


async def echo(ctx: Context) -> None:
    """Says what it was told."""
    ctx.response = f"You said: {ctx.user_query}"


class Hangs(Worker):
    """Waits until it is cancelled, and says so."""

    def __init__(self, name: str = "hangs") -> None:
        super().__init__(name)
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def arun(self, ctx: Context) -> Context:
        self.started.set()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self.stopped.set()
        return ctx


def one(worker: object, name: str = "test", node: str = "work", **options: Any) -> Graph:
    """A graph of one node."""
    return Graph(name).add_node(node, worker, **options).add_edge(node, END)


def line(*names: str, name: str = "line", **options: Any) -> Graph:
    """`Append` after `Append`."""
    graph = Graph(name, **options)
    for own in names:
        graph.add_node(own, Append(own))
    for own, following in zip(names, [*names[1:], END], strict=True):
        graph.add_edge(own, following)
    return graph


def serving(
    *,
    plugins: tuple[object, ...] = (),
    settings: dict[str, Any] | None = None,
    upstream: ScriptedUpstream | None = None,
    **graphs: Any,
) -> Gateway:
    """A gateway with these graphs by name; workers or functions stand for graphs of one node."""
    registry = GraphRegistry()
    for name, graph in graphs.items():
        registry.register(name, graph if isinstance(graph, Graph) else one(graph, name))
    tables = {"graphs": settings or {}}
    own = [chatproxy_graphs, Registered(registry), *plugins]
    return make_app(plugins=own, plugin_settings=tables, upstream=upstream, demo=upstream is None)


def chunks_in(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream, without its end."""
    return [event for event in events_of(answer.content) if event != "[DONE]"]


async def until(is_true: Callable[[], bool]) -> None:
    """Wait for something that the event loop will bring."""
    for _ in range(10_000):
        if is_true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")
