"""Which upstream answers a request whose body passes through, and as what.

Rule: of the hooks only `authenticate`, `before_request` (for JSON bodies) and those of telemetry are called. The others
work on a handler's decoded reply, and here a reply may be audio, an image or a file of any length.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chatproxy.config import ModelConfig
from chatproxy.engine.core import Engine, encode_body
from chatproxy.engine.routing import apply_model, check_model, model_not_found
from chatproxy.errors import InvalidRequest, NotFound
from chatproxy.types.context import RequestContext
from chatproxy.types.passthrough import PASSTHROUGH, Relay
from chatproxy.types.request import ChatRequest


class Switchboard:
    """The upstreams that requests can be passed through to.

    Args:
        models: the model table; ``default_model`` does not apply, since it names a model to chat with.
        relays: in the configuration's order.
    """

    def __init__(self, engine: Engine, models: Mapping[str, ModelConfig], relays: Sequence[Relay]) -> None:
        self._engine = engine
        self._models = models
        self._relays = {relay.name: relay for relay in relays}

    async def admit(self, ctx: RequestContext, request: ChatRequest) -> tuple[Relay, bytes]:
        """Let the plugins see a JSON body; who gets it, and as what.

        Raises:
            ApiError: a plugin refused it, or nobody serves it.
        """
        request = await self._engine.hooks.before_request(ctx, request)
        if not self._engine.limits.enable_streaming and request.stream:
            raise InvalidRequest("Streaming is switched off here.", param="stream", code="streaming_disabled")
        if not PASSTHROUGH[ctx.surface].names_model:
            relay = self._serving(ctx.surface)[0]
        elif request.get("model") is None:
            relay = self.without_model(ctx, "Give the body a field 'model'.")
        else:
            relay, entry, upstream_model = self._of_model(ctx, request["model"])
            if entry is not None:
                apply_model(ctx, request, entry, upstream_model)
        return relay, encode_body(request, "a request")

    def without_model(self, ctx: RequestContext, advice: str) -> Relay:
        """Who answers a request that names no model (yet).

        Args:
            advice: what the client should do where that is not clear.

        Raises:
            NotFound: nobody (404, code ``unsupported_surface``).
            InvalidRequest: it depends on the model (400), also where the principal may name some only.
        """
        serving = self._serving(ctx.surface)
        is_restricted = ctx.principal is not None and ctx.principal.models is not None
        if (is_restricted or (self._models and len(serving) > 1)) and PASSTHROUGH[ctx.surface].names_model:
            raise InvalidRequest(f"The model decides who answers, and none was found. {advice}", param="model")
        return serving[0]

    def of_field(self, ctx: RequestContext, model: str) -> tuple[Relay, str]:
        """Who answers for the model that a form names, and what it is called there.

        Raises:
            NotFound: no such model (404).
        """
        relay, _, upstream_model = self._of_model(ctx, model)
        return relay, upstream_model

    def _of_model(self, ctx: RequestContext, model: Any) -> tuple[Relay, ModelConfig | None, str]:
        if not isinstance(model, str) or not model:
            raise InvalidRequest("'model' must be a string that is not empty.", param="model")
        serving = self._serving(ctx.surface)
        ctx.exchange.model = ctx.exchange.upstream_model = model
        check_model(ctx, model)
        if not self._models:
            return serving[0], None, model
        found = self._engine.router.entry(model)
        if found is None:
            raise model_not_found(model)
        entry, upstream_model = found
        relay = self._relays.get(entry.handler or f"upstream:{entry.upstream}")
        if relay is None or relay not in serving:
            message = f"The model '{model[:200]}' cannot be used with the {ctx.surface} API."
            raise NotFound(message, code="unsupported_surface", param="model")
        ctx.exchange.upstream_model = upstream_model
        return relay, entry, upstream_model

    def _serving(self, surface: str) -> list[Relay]:
        serving = [relay for relay in self._relays.values() if surface in relay.surfaces]
        if not serving:
            raise NotFound(
                f"No upstream here serves the {surface} API; one that does has '{surface}' in its 'surfaces'.",
                code="unsupported_surface",
            )
        return serving
