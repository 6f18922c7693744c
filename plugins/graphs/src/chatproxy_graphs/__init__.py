"""Graphs: steps in Python, with branches, cycles and streams; each graph is a model of the gateway."""

import importlib
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from chatproxy import App, ChatRequest, Handler, Model, RequestContext, hookimpl
from chatproxy_graphs.chat import ChatAnswer, ChatCall
from chatproxy_graphs.config import Config
from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import DefinitionError, NodeFailed, NodeTimeout, RunError
from chatproxy_graphs.events import GraphEvent
from chatproxy_graphs.graph import CompiledGraph, Graph
from chatproxy_graphs.handler import NAME, GraphsHandler
from chatproxy_graphs.plan import END
from chatproxy_graphs.registry import GraphRegistry
from chatproxy_graphs.worker import Worker, async_worker

if TYPE_CHECKING:
    from chatproxy_graphs.serve import create_app


@hookimpl
def config_type() -> type[Config]:
    """What ``[plugins.graphs]`` may hold."""
    return Config


@hookimpl
def handlers(config: Any) -> Iterable[Handler]:
    """One for all graphs; ``handler = "graphs"`` in ``[models]`` gives a graph another name."""
    return [GraphsHandler()]


@hookimpl
@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[None]:
    """Make the application's registry, which other plugins may add to."""
    registry = GraphRegistry()
    for name, graph in app.config(Config).graphs:
        registry.register(name, graph)
    app.provide(registry)
    app.report_health(NAME, lambda: {"graphs": len(registry.list_graphs())})
    yield


@hookimpl
async def models(ctx: RequestContext) -> Iterable[Model]:
    """Every graph."""
    return [Model(id=name, owned_by=NAME) for name in ctx.plugin(GraphRegistry).list_graphs()]


@hookimpl
async def select_handler(ctx: RequestContext, request: ChatRequest) -> str | None:
    """Where the model is a graph."""
    return NAME if ctx.plugin(GraphRegistry).find(request.model) is not None else None


def __getattr__(name: str) -> Any:
    if name == "create_app":  # needs the web framework, which a plugin's import does not
        return importlib.import_module("chatproxy_graphs.serve").create_app
    raise AttributeError(f"module 'chatproxy_graphs' has no attribute {name!r}")


__all__ = [
    "END",
    "ChatAnswer",
    "ChatCall",
    "CompiledGraph",
    "Config",
    "Context",
    "DefinitionError",
    "Graph",
    "GraphEvent",
    "GraphRegistry",
    "NodeFailed",
    "NodeTimeout",
    "RunError",
    "Worker",
    "async_worker",
    "create_app",
]
