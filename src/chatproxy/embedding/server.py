"""ChatCompletionServer: a whole gateway from a few Python objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatproxy.app import ChatproxyApp, create_app
from chatproxy.config import ModelConfig, ProxyConfig
from chatproxy.embedding.handler import HandlerAdapter
from chatproxy.embedding.plugin import adapt_plugin
from chatproxy.handlers.upstreams import make_upstreams
from chatproxy.types.handler import Handler


class ChatCompletionServer:
    """An OpenAI-compatible server; ``app`` is the ASGI application to run.

    Args:
        config: None takes the environment (``PROXY_*``) and the defaults.
        models: the model table; added to the configuration's own.
        plugins: `ProxyPlugin` objects, or any objects or modules with hook implementations.
        handler: answers instead of the upstream: a `ProxyHandler`, or a `chatproxy.Handler`.

    Raises:
        ConfigError: the configuration is wrong.
        PluginError: a plugin cannot be used.

    Example:
        ``app = ChatCompletionServer().app``, then ``uvicorn module:app``.
    """

    def __init__(
        self,
        config: ProxyConfig | None = None,
        models: Mapping[str, ModelConfig] | None = None,
        plugins: Sequence[object] = (),
        handler: Any = None,
    ) -> None:
        self.config = config if config is not None else ProxyConfig()
        if models:
            self.config = self.config.replace(models={**self.config.models, **models})
        self.app: ChatproxyApp = create_app(
            self.config,
            [adapt_plugin(plugin) for plugin in plugins],
            handler=None if handler is None else self._adapted(handler),
        )

    def _adapted(self, handler: Any) -> Handler:
        own: Handler
        if _takes_context(handler):
            own = handler
            return own
        (builtin, *_) = [made for made in make_upstreams(self.config) if made.name == "upstream:default"]
        return HandlerAdapter(handler, builtin)


def _takes_context(handler: Any) -> bool:
    """Whether it is a `chatproxy.Handler` (``execute(ctx, request)``) rather than a `ProxyHandler`."""
    code = getattr(handler.execute, "__code__", None)
    return code is not None and code.co_argcount == 3 and hasattr(handler, "name")
