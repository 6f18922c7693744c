"""ChatCompletionServer: a whole gateway from a few Python objects."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from chatproxy.app import ChatproxyApp, create_app
from chatproxy.config import ModelConfig, ProxyConfig
from chatproxy.embedding.handler import HandlerAdapter
from chatproxy.embedding.plugin import adapt_plugin
from chatproxy.types.handler import Handler


class ChatCompletionServer:
    """An OpenAI-compatible server; ``app`` is the ASGI application to run.

    Args:
        config: None takes the environment (``PROXY_*``) and the defaults.
        models: the model table; added to the configuration's own.
        plugins: `ProxyPlugin` objects, or any objects or modules with hook implementations.
        handler: answers instead of the default upstream, for every model whose entry names neither a handler nor
            another upstream: a `ProxyHandler`, or a `chatproxy.Handler`.

    Raises:
        ConfigError: the configuration is wrong.
        PluginError: a plugin or the handler cannot be used.

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
        config = config if config is not None else ProxyConfig()
        if models:
            config = config.replace(models={**config.models, **models})
        own = None if handler is None else adapt_handler(handler)
        self.config = config if own is None else answered_by(config, own.name)
        self.app: ChatproxyApp = create_app(self.config, [adapt_plugin(plugin) for plugin in plugins], handler=own)
        if isinstance(own, HandlerAdapter):
            own.bind(self.app.handlers)


def adapt_handler(handler: Any) -> Handler:
    """A `ProxyHandler`, or any object with ``execute(params)``, as a handler; a `chatproxy.Handler` as it is."""
    handler = handler() if inspect.isclass(handler) else handler
    if not _takes_context(handler):
        return HandlerAdapter(handler)
    own: Handler = handler
    return own


def answered_by(config: ProxyConfig, name: str) -> ProxyConfig:
    """The configuration with a handler in place of the default upstream, in the model table too."""
    models = {
        key: replace(entry, handler=name) if entry.handler is None and entry.upstream == "default" else entry
        for key, entry in config.models.items()
    }
    return config.replace(models=models) if models else config


def _takes_context(handler: Any) -> bool:
    """Whether it is a `chatproxy.Handler` (``execute(ctx, request)``) rather than a `ProxyHandler`."""
    return len(inspect.signature(handler.execute).parameters) == 2 and hasattr(handler, "name")
