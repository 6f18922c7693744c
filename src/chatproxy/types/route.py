"""Route: what the gateway serves at a path, and who may ask there; ModelRoute: a path that a plugin wants served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

AsgiApp = Callable[
    [
        MutableMapping[str, Any],
        Callable[[], Awaitable[MutableMapping[str, Any]]],
        Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ],
    Awaitable[None],
]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route of the application.

    Attributes:
        paths: templates, for example ``/v1/sessions/{session_id}``; what lies below a mount belongs to it.
        methods: that it answers; empty where it decides itself.
        plugin: whose it is; None for the core's own.
        access: the role it is declared for, in its ``opt``: ``public`` (everybody, without credentials), ``user``, or
            whatever else the plugin that authenticates knows; empty where nothing is declared.
        model: the one that is served there, see `ModelRoute`; None where requests name their model.
    """

    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    plugin: str | None = None
    access: str = ""
    model: str | None = None


class ModelRoute(msgspec.Struct, frozen=True, kw_only=True):
    """A path of its own for one model: POST there is a chat completion, an exchange like any other.

    A plugin's `routes` hook returns it, beside routes of the web framework.

    Attributes:
        path: for example ``/chatkit``.
        model: takes the place of whatever the body names.
        stream: what a body without ``stream`` asks for.
        wrap: puts ASGI middleware around the path, for example for CORS; every method reaches it.
        name: in the description of the API; unique, None takes the path.
    """

    path: str
    model: str
    stream: bool = True
    wrap: Callable[[AsgiApp], AsgiApp] | None = None
    name: str | None = None


UNKNOWN_ROUTE = Route()
