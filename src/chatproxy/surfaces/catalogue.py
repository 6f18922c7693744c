"""Catalogue: the models this gateway offers, from the table, the plugins and, without a table, the upstream.

Rule: no HTTP here; `models.py` serves it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from chatproxy.config import ModelConfig, find_model
from chatproxy.engine.routing import model_not_found
from chatproxy.plugins.hooks import Hooks
from chatproxy.types.context import RequestContext
from chatproxy.types.model import Model

FRESH_S = 60.0


class Catalogue:
    """The list of models, kept for a minute.

    Args:
        models: the model table; globs are not listed.
        fallback: a handler asked for its models where there is no table; None asks nobody.
    """

    def __init__(
        self,
        models: Mapping[str, ModelConfig],
        hooks: Hooks,
        fallback: Any = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._models = models
        self._hooks = hooks
        self._fallback = fallback
        self._clock = clock
        self._listed: dict[str, dict[str, Any]] = {}
        self._fresh_until = float("-inf")
        self._lock = asyncio.Lock()
        self._started = int(time.time())

    async def list(self, ctx: RequestContext) -> list[dict[str, Any]]:
        """Every model that the principal may use, as the JSON object a client gets; the first entry of an id wins.

        Raises:
            ApiError: a plugin or the upstream failed.
        """
        listed, principal = await self._current(ctx), ctx.principal
        if principal is None or principal.models is None:
            return list(listed.values())
        return [model for model_id, model in listed.items() if principal.may_use(model_id)]

    async def get(self, ctx: RequestContext, model: str) -> dict[str, Any]:
        """One model; an id that only a glob of the table matches is a model too.

        Raises:
            NotFound: there is none (404, code ``model_not_found``).
        """
        if ctx.principal is not None and not ctx.principal.may_use(model):
            raise model_not_found(model)
        listed = await self._current(ctx)
        if model in listed:
            return listed[model]
        found = find_model(self._models, model)
        if found is None:
            raise model_not_found(model)
        return self._of_table(found[0], model)

    async def _current(self, ctx: RequestContext) -> dict[str, dict[str, Any]]:
        async with self._lock:
            if self._clock() >= self._fresh_until:
                self._listed = await self._collect(ctx)
                self._fresh_until = self._clock() + FRESH_S
            return self._listed

    async def _collect(self, ctx: RequestContext) -> dict[str, dict[str, Any]]:
        listed = {entry.id: self._of_table(entry, entry.id) for entry in self._models.values() if not entry.is_glob}
        found = [model for _, model in await self._hooks.models(ctx)]
        if not self._models and self._fallback is not None:
            found.extend(await self._fallback(ctx))
        for model in found:
            listed.setdefault(model.id, model.to_dict())
        return listed

    def _of_table(self, entry: ModelConfig, name: str) -> dict[str, Any]:
        return Model(
            id=name,
            created=self._started,
            owned_by=entry.owned_by,
            description=entry.description,
            context_length=entry.context_length,
            capabilities=list(entry.capabilities),
        ).to_dict()
