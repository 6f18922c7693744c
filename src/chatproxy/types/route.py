"""Route: what the gateway serves at a path, and who may ask there."""

from __future__ import annotations

import msgspec


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A route of the application.

    Attributes:
        paths: templates, for example ``/v1/sessions/{session_id}``; what lies below a mount belongs to it.
        methods: that it answers; empty where it decides itself.
        plugin: whose it is; None for the core's own.
        access: the role it is declared for, in its ``opt``: ``public`` (everybody, without credentials), ``user``, or
            whatever else the plugin that authenticates knows; empty where nothing is declared.
    """

    paths: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    plugin: str | None = None
    access: str = ""


UNKNOWN_ROUTE = Route()
