"""create_app: a whole gateway around a registry of graphs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import chatproxy
import chatproxy_graphs
from chatproxy import App, ChatRequest, NotFound, ProxyConfig, Reply, RequestContext, hookimpl
from chatproxy_graphs.registry import GraphRegistry

if TYPE_CHECKING:
    from chatproxy.app import ChatproxyApp

__all__ = ["GraphRegistry", "create_app"]


class GraphsOnly:
    """Answers for models that are no graphs, where there is no upstream: they do not exist."""

    name = "graphs_only"

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Refuse.

        Raises:
            NotFound: always (404, code ``model_not_found``).
        """
        raise NotFound(f"The model '{request.model:.200}' does not exist.", code="model_not_found", param="model")


class Registered:
    """A plugin that shows a registry's graphs, also those that it gets later."""

    chatproxy_name = "graphs_app"

    def __init__(self, registry: GraphRegistry) -> None:
        self._registry = registry

    @hookimpl(after=["graphs"])
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        """Add to what ``[plugins.graphs]`` loads."""
        app.plugin(GraphRegistry).include(self._registry)
        yield


def create_app(
    registry: GraphRegistry,
    config: ProxyConfig | None = None,
    *,
    plugins: Sequence[object] = (),
    demo: bool = False,
    **options: Any,
) -> ChatproxyApp:
    """An ASGI application whose models are graphs, with all that a gateway has.

    Other models exist where an upstream or a table of models is configured, for clients and for `Context.chat` alike.
    Requests without a model are answered by the registry's default.

    Args:
        config: None takes the environment (``PROXY_*``) and the defaults.
        plugins: objects with hook implementations, beside those that are installed.
        demo: add the offline model ``demo``.
        options: as `chatproxy.create_app` takes them.

    Raises:
        ConfigError: the configuration is wrong.
        PluginError: a plugin cannot be used.
    """
    config = config if config is not None else ProxyConfig()
    if config.fallback_model is None and registry.default is not None:
        config = config.replace(fallback_model=registry.default)
    if not (_has_upstream(config) or "handler" in options):
        options["handler"] = GraphsOnly()
    own = [Registered(registry)] if _is_loaded(config) else [chatproxy_graphs, Registered(registry)]
    return chatproxy.create_app(config, [*own, *plugins], demo=demo, **options)


def _has_upstream(config: ProxyConfig) -> bool:
    return bool(config.models or config.upstream_api_key) or config.upstream_url != ProxyConfig(environ={}).upstream_url


def _is_loaded(config: ProxyConfig) -> bool:
    """Whether the gateway loads this plugin by itself, because it is installed and may be."""
    choice, name = config.plugins, "graphs"
    if choice.disabled_all or name in choice.disabled or (choice.enabled is not None and name not in choice.enabled):
        return False
    return any(point.value == "chatproxy_graphs" for point in entry_points(group="chatproxy", name=name))
