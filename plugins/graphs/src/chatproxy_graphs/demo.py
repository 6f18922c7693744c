"""The demo: three graphs that need no network, for a first run."""

from __future__ import annotations

from collections.abc import AsyncIterator

from chatproxy_graphs.context import Context
from chatproxy_graphs.graph import Graph
from chatproxy_graphs.plan import END
from chatproxy_graphs.registry import GraphRegistry
from chatproxy_graphs.worker import Worker, async_worker


class Ask(Worker):
    """Asks the built-in model, through the gateway, and hands its answer on as it streams."""

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        """Yield its texts."""
        async for text in ctx.chat(ctx.messages, model="demo"):
            yield text


@async_worker
async def count_words(ctx: Context) -> None:
    """One branch: how many words."""
    ctx.words = len(ctx.user_query.split())


@async_worker
async def count_letters(ctx: Context) -> None:
    """The other branch: how many letters."""
    ctx.letters = sum(character.isalpha() for character in ctx.user_query)


@async_worker
async def report(ctx: Context) -> None:
    """What both branches found."""
    ctx.response = {"words": ctx.words, "letters": ctx.letters}


@async_worker
async def halve(ctx: Context) -> None:
    """One step of the cycle."""
    ctx.text = ctx.user_query if ctx.text is None else ctx.text[: len(ctx.text) // 2]
    ctx.response = ctx.text


def ask() -> Graph:
    """One worker that streams."""
    return Graph("ask").add_node("ask", Ask()).add_edge("ask", END)


def count() -> Graph:
    """Two branches and a join; the answer is JSON."""
    graph = Graph("count").add_node("begin", _begin).add_node("words", count_words).add_node("letters", count_letters)
    graph.add_node("report", report).add_edge("report", END)
    return graph.add_parallel("begin", ["words", "letters"], join="report")


def shorten() -> Graph:
    """A cycle, until the text is short enough."""
    graph = Graph("shorten", max_steps=20).add_node("halve", halve)
    return graph.add_conditional_edge(
        "halve", lambda ctx: "long" if len(ctx.text) > 16 else "short", {"long": "halve", "short": END}
    )


def demo_registry() -> GraphRegistry:
    """All of them."""
    registry = GraphRegistry()
    registry.register("ask", ask(), set_default=True)
    registry.register("count", count())
    registry.register("shorten", shorten())
    return registry


async def _begin(ctx: Context) -> None:
    ctx.log("counting")
