"""From the configuration to handlers, one for each model.

Rule: a vendor's library is imported only where a model needs it.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from typing import Any

import msgspec

from chatproxy import Handler, Model
from chatproxy.errors import ConfigError
from chatproxy_providers.config import NATIVE, Config, Entry
from chatproxy_providers.hiding import Hider

PREFIX = "providers:"

_OF_CLIENTS = (
    "provider", "api_key", "base_url", "max_retries", "headers", "options", "connect_timeout_s", "max_connections",
)  # fmt: skip
_ANTHROPIC = ("chatproxy_providers.anthropic_handler", "anthropic")
_ANY_LLM = ("chatproxy_providers.any_llm_handler", "any-llm")


def make_handlers(config: Config) -> list[Handler]:
    """One handler for each model; models that are reached in the same way share connections.

    Raises:
        ConfigError: a library is not installed, or refuses what it is given.
    """
    hider = Hider(secret for entry in config.model.values() for secret in entry.secrets())
    clients: dict[Any, Any] = {}
    return [_make(name, entry, hider, clients) for name, entry in config.model.items()]


def listed(config: Config) -> Iterable[Model]:
    """What ``GET /v1/models`` shows."""
    return [
        Model(
            id=name,
            owned_by=entry.provider,
            provider=entry.provider,
            description=entry.description,
            context_length=entry.context_length,
        )
        for name, entry in config.model.items()
    ]


def _make(name: str, entry: Entry, hider: Hider, clients: dict[Any, Any]) -> Handler:
    place = f'plugins.providers.model."{name}"'
    is_native = entry.provider == NATIVE
    module = _library(*(_ANTHROPIC if is_native else _ANY_LLM), place)
    key = msgspec.json.encode([getattr(entry, field) for field in _OF_CLIENTS])
    if key not in clients:
        clients[key] = module.make_client(entry, place)
    make = module.AnthropicHandler if is_native else module.AnyLlmHandler
    handler: Handler = make(PREFIX + name, entry.model or name, entry, clients[key], hider)
    return handler


def _library(module: str, extra: str, place: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as exc:
        if (exc.name or "").startswith("chatproxy"):
            raise
        message = f"{place}: {exc.name} is not installed; pip install 'chatproxy-providers[{extra}]'"
        raise ConfigError(message) from exc
