"""What every hook's tests share: plugins made of one function, and the ways in which a plugin fails."""

from __future__ import annotations

import asyncio
from typing import Any

from chatproxy import hookimpl
from chatproxy.testing import Gateway, ScriptedUpstream, make_app


class Plugin:
    """A plugin made of hook implementations given by name."""

    def __init__(self, name: str, /, *, options: dict[str, Any] | None = None, **hooks: Any) -> None:
        self.chatproxy_name = name
        for hook, function in hooks.items():
            setattr(self, hook, hookimpl(**(options or {}))(function))


def gateway(*plugins: object, upstream: ScriptedUpstream | None = None, **settings: Any) -> Gateway:
    """A gateway with these plugins."""
    return make_app(plugins=plugins, upstream=upstream, **settings)


def policy(name: str, **values: Any) -> dict[str, Any]:
    """A configuration table that sets one plugin's policy."""
    return {"plugin_settings": {name: values}}


async def hang(*_: Any, **__: Any) -> None:
    """Wait for ever."""
    await asyncio.get_running_loop().create_future()


class Stuck:
    """Waits for ever and ignores every cancellation; `release` lets it go."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.released = False

    async def wait(self) -> None:
        while not self.released:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                self.cancelled += 1


def error_of(response: Any) -> dict[str, Any]:
    """The error of an answer in OpenAI's envelope."""
    error: dict[str, Any] = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error
