"""Steps and what comes after which: a draft is judged, and written again until it is short enough."""

from collections.abc import AsyncIterator

import uvicorn
from chatproxy_graphs import END, Context, Graph, Worker, async_worker
from chatproxy_graphs.serve import GraphRegistry, create_app

from chatproxy import ProxyConfig

ENOUGH = 3  # words


@async_worker
async def draft(ctx: Context) -> None:
    """The whole question at first, then one word less each time."""
    ctx.words = ctx.user_query.split() if ctx.words is None else ctx.words[:-1]
    ctx.log(f"{len(ctx.words)} words")


def judge(ctx: Context) -> str:
    """Where to go from a draft."""
    return "good" if len(ctx.words) <= ENOUGH else "long"


class Ask(Worker):
    """Asks a model through the gateway, and hands its answer on as it streams."""

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        """Yield its texts."""
        async for text in ctx.chat(" ".join(ctx.words), model="demo"):
            yield text


graph = Graph("shorten", max_steps=50)
graph.add_node("draft", draft).add_node("ask", Ask(), timeout_s=30)
graph.add_conditional_edge("draft", judge, {"good": "ask", "long": "draft"})
graph.add_edge("ask", END)

registry = GraphRegistry()
registry.register("shorten", graph)
config = ProxyConfig()
app = create_app(registry, config, demo=True)

if __name__ == "__main__":
    print(graph.visualize(), flush=True)
    uvicorn.run(app, host=config.host, port=config.port)
