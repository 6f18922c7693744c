"""LIFESPAN: plugins' context managers around the application's life."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from chatproxy.errors import PluginError
from chatproxy.plugins.registry import Registry, start_up_call
from chatproxy.types.app import App


async def enter_plugins(stack: AsyncExitStack, registry: Registry, app: App) -> None:
    """Enter every plugin's `lifespan` in order; the stack leaves them in reverse, also after a half-way failure.

    Raises:
        PluginError: a plugin raised, or did not start within its deadline.
    """
    stack.callback(app.forget)
    for placed in registry.placed["lifespan"]:
        impl = placed.impl
        manager: Any = start_up_call(impl, app)
        if manager is None:
            continue
        if not hasattr(manager, "__aenter__"):
            found = f"an async context manager, found {type(manager).__name__}"
            raise PluginError(f"plugin {impl.plugin!r}: lifespan must return {found} ({impl.location})")
        try:
            async with asyncio.timeout(impl.policy.deadline_s):
                await stack.enter_async_context(manager)
        except TimeoutError as exc:
            raise PluginError(
                f"plugin {impl.plugin!r}: lifespan did not start in {impl.policy.deadline_s:g} s ({impl.location})"
            ) from exc
        except Exception as exc:
            raise PluginError(
                f"plugin {impl.plugin!r}: lifespan raised {type(exc).__name__}: {exc} ({impl.location})"
            ) from exc
