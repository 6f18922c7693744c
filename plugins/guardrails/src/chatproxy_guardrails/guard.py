"""Guard: the policies of one application, and the watch they keep over each exchange."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from chatproxy.types import ChatRequest, ChatResponse, RequestContext, StreamEvent, ToolCall, ToolResult
from chatproxy_guardrails.bound import Bound, bind
from chatproxy_guardrails.checks.base import HasLifespan
from chatproxy_guardrails.config import Config
from chatproxy_guardrails.masking import NAMESPACE, Vault, session_key
from chatproxy_guardrails.streams import GuardedStream
from chatproxy_guardrails.watch import STATE, Watch

logger = logging.getLogger("chatproxy_guardrails")
Transform = Callable[[AsyncIterator[StreamEvent]], AsyncIterator[StreamEvent]]


class Guard:
    """What the hooks call.

    Attributes:
        totals: exchanges by (policy, outcome) since the start.
    """

    def __init__(self, config: Config, bounds: Sequence[Bound]) -> None:
        self._config = config
        self._bounds = bounds
        self.totals: Counter[tuple[str, str]] = Counter()

    async def request(self, ctx: RequestContext, request: ChatRequest) -> None:
        """Check a request; from now on the exchange is watched."""
        bounds = [bound for bound in self._bounds if bound.holds_for(ctx.exchange.model, ctx.principal)]
        if not bounds:
            return
        key = self._session(ctx) if any(bound.masks for bound in bounds) else None
        watch = Watch(ctx, bounds, self.totals)
        ctx.state[STATE] = watch
        if watch.masks:
            ctx.client_view = watch.vault.reveal
        async with self._kept(ctx, key, watch.vault):
            await watch.request(request)

    async def response(self, ctx: RequestContext, response: ChatResponse) -> None:
        """Check a buffered reply."""
        watch = _watch(ctx)
        if watch is not None and watch.acts_on_replies:
            await watch.response(response)

    def stream(self, ctx: RequestContext, request: ChatRequest) -> Transform | None:
        """What checks a streamed reply; None where nothing does."""
        watch = _watch(ctx)
        if watch is None or not watch.acts_on_replies:
            return None
        return GuardedStream(ctx, request, watch).events

    async def tool_call(self, ctx: RequestContext, call: ToolCall) -> ToolCall | None:
        """Check the arguments of a tool that the gateway is about to run."""
        watch = _watch(ctx)
        return None if watch is None else await watch.tool_call(call)

    async def tool_result(self, ctx: RequestContext, result: ToolResult) -> ToolResult | None:
        """Check what a tool answered."""
        watch = _watch(ctx)
        if watch is None:
            return None
        async with self._kept(ctx, self._session(ctx) if watch.masks else None, watch.vault):
            return await watch.tool_result(result)

    def status(self) -> list[dict[str, Any]]:
        """The policies and how often each acted since the start, in exchanges."""
        return [
            {
                "policy": bound.name,
                "check": bound.policy.check,
                "action": bound.policy.action,
                "mode": bound.policy.mode,
                "on": sorted(bound.targets) if bound.review is None else ["parameters"],
                "exchanges": {outcome: n for (name, outcome), n in sorted(self.totals.items()) if name == bound.name},
            }
            for bound in self._bounds
        ]

    # -- masked values of a session -------------------------------------------------------------------------------

    def _session(self, ctx: RequestContext) -> str | None:
        return session_key(ctx, self._config.session_header) if self._config.mask_scope == "session" else None

    @asynccontextmanager
    async def _kept(self, ctx: RequestContext, key: str | None, vault: Vault) -> AsyncIterator[None]:
        """The vault holds what its session does, and the session then what the vault does.

        One exchange of a session at a time, so that no two give the same placeholder to different values.
        """
        if key is None:
            yield
            return
        store = ctx.app.session_store
        async with store.lock(NAMESPACE, key):
            kept = await store.get(NAMESPACE, key)
            if kept is not None:
                vault.load(kept)
            yield
            if len(vault):
                await store.put(NAMESPACE, key, vault.encode(), ttl_s=self._config.session_ttl_s)


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Guard]:
    """A guard with its checks open; raises `CheckError` for policies that cannot be."""
    bounds = bind(config.policy)
    if not bounds:
        logger.warning("guardrails is installed but has no policy: nothing is checked")
    async with AsyncExitStack() as stack:
        for bound in bounds:
            if isinstance(bound.check, HasLifespan):
                await stack.enter_async_context(bound.check.lifespan())
        yield Guard(config, bounds)


def _watch(ctx: RequestContext) -> Watch | None:
    found = ctx.state.get(STATE)
    return found if isinstance(found, Watch) else None
