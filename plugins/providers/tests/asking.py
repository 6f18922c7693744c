"""Gateways with the plugin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import chatproxy_providers

from chatproxy.testing import Gateway, make_app
from chatproxy.testing.matrix import CELLS, DIALECTS, Said

KEY = "sk-ant-api03-not-a-real-key"
MODEL = "claude"
NAME = "claude-of-the-vendor"
CELLS_OF_MESSAGES = tuple(cell for cell in CELLS if cell.spoken == "messages")
HELLO = Said(content="hello there", usage=(9, 12))
MESSAGES = DIALECTS["messages"]
HI = {"max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


def entry(url: str, **more: Any) -> dict[str, Any]:
    """A model of Anthropic's, at this address."""
    return {"provider": "anthropic", "model": NAME, "api_key": KEY, "base_url": url, **more}


def gateway_to(url: str, plugins: tuple[object, ...] = (), **more: Any) -> Gateway:
    """A gateway in memory whose one model is reached there."""
    return gateway_with({MODEL: entry(url, **more)}, plugins)


def gateway_with(model: Mapping[str, Any], plugins: tuple[object, ...] = (), **settings: Any) -> Gateway:
    """A gateway in memory with these models."""
    return make_app(
        plugins=[chatproxy_providers, *plugins], plugin_settings={"providers": {"model": model}}, **settings
    )
