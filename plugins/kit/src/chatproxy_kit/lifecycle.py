"""A kit's hooks around its life and around each exchange: startup, shutdown, connect, disconnect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from chatproxy import Exchange, RequestContext
from chatproxy.errors import ApiError
from chatproxy_kit.context import Context
from chatproxy_kit.declared import Declared
from chatproxy_kit.errors import handler_error
from chatproxy_kit.hooks import call_hook
from chatproxy_kit.stepping import DeadlinePassedError
from chatproxy_kit.threads import Threads

logger = logging.getLogger("chatproxy.kit")

START_S = 50.0
CONNECT_S = 10.0
_CLOSE_S = 5.0


class Lifecycle:
    """The hooks of one kit in one application."""

    def __init__(self, kit: Declared, threads: Threads) -> None:
        self._kit = kit
        self._threads = threads
        self._leaving: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The kit's life: `on_startup` hooks in order, and `on_shutdown` hooks in order at its end.

        Raises:
            Exception: what a startup hook raised; the start is stopped.
        """
        who = f"a startup hook of '{self._kit.model}'"
        for hook in self._kit.startup_hooks:
            try:
                await call_hook(hook, threads=self._threads, timeout_s=START_S, who=who)
            except DeadlinePassedError:
                raise TimeoutError(f"{who} took over {START_S:g} s") from None
        try:
            yield
        finally:
            await self._settle()
            for hook in self._kit.shutdown_hooks:
                await self._call_last(hook, (), START_S, f"a shutdown hook of '{self._kit.model}'")

    async def connect(self, ctx: RequestContext, context: Context) -> None:
        """Call the `on_connect` hooks, and have the `on_disconnect` hooks called when the exchange is over: once each.

        Raises:
            ApiError: a hook refused the client or failed.
        """
        kit = self._kit
        key = f"kit.connected:{kit.model}"
        if key in ctx.state or not (kit.connect_hooks or kit.disconnect_hooks):
            return
        ctx.state[key] = True
        if kit.disconnect_hooks:
            ctx.at_end(partial(self._leave, context))
        who = f"a connect hook of '{kit.model}'"
        for hook in kit.connect_hooks:
            try:
                await call_hook(hook, context, threads=self._threads, timeout_s=CONNECT_S, who=who)
            except ApiError:
                raise
            except DeadlinePassedError:
                raise ApiError(
                    f"Connecting to '{kit.model}' took too long.", status=504, code="connect_timeout"
                ) from None
            except Exception as exc:
                logger.exception("%s failed", who)
                raise handler_error(kit.model, exc, debug=kit.debug, redact=ctx.app.redact) from exc

    def _leave(self, context: Context, exchange: Exchange) -> None:
        task = asyncio.get_running_loop().create_task(
            self._disconnect(context), name=f"kit-leave {exchange.request_id}"
        )
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    async def _disconnect(self, context: Context) -> None:
        for hook in self._kit.disconnect_hooks:
            await self._call_last(hook, (context,), CONNECT_S, f"a disconnect hook of '{self._kit.model}'")

    async def _call_last(self, hook: Callable[..., Any], args: tuple[object, ...], timeout_s: float, who: str) -> None:
        """Call a hook whose failure has nobody to tell but the log."""
        try:
            await call_hook(hook, *args, threads=self._threads, timeout_s=timeout_s, who=who)
        except DeadlinePassedError:
            logger.error("%s took over %g s", who, timeout_s)  # noqa: TRY400 - there is no more to know
        except Exception:
            logger.exception("%s failed", who)

    async def _settle(self) -> None:
        """Wait for the disconnect hooks that still run, within a limit."""
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=_CLOSE_S)
        for task in self._leaving:
            task.cancel()
