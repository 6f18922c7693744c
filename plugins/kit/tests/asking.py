"""Gateways with kits, and ways to ask them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
from chatproxy_kit import ChatKit, plugin_of

from chatproxy.testing import Gateway, events_of, make_app

USER = {"role": "user", "content": "Hi"}


def kit_with(function: Callable[..., Any], *, state_class: Any = None, **settings: Any) -> ChatKit:
    """A kit whose handler is this function."""
    ck = ChatKit(**settings)
    ck.handler(state_class=state_class)(function)
    return ck


def gateway_of(*kits: ChatKit, plugins: tuple[object, ...] = (), **options: Any) -> Gateway:
    """A gateway in memory with these kits and the demo model."""
    return make_app(plugins=[plugin_of(kits), *plugins], demo=True, **options)


async def ask(gateway: Gateway, path: str = "/chatkit", *, headers: Any = None, **fields: Any) -> httpx.Response:
    """A whole exchange at a kit's own path; buffered unless the fields say otherwise."""
    body = {"messages": [USER], "stream": False, **fields}
    return await gateway.client.post(path, json=body, headers=headers)


def said(answer: httpx.Response) -> str:
    """The text of a buffered answer."""
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


def error_of(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, type and code of a refused request."""
    error = answer.json()["error"]
    return answer.status_code, error["type"], error["code"]


def last_error(answer: httpx.Response) -> dict[str, Any]:
    """The error event that ended a stream, with nothing behind it."""
    assert answer.status_code == 200
    *before, last = events_of(answer.content)
    assert "[DONE]" not in before
    assert all("error" not in event for event in before)
    error: dict[str, Any] = last["error"]
    return error
