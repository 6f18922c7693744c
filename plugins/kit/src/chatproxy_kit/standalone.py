"""A kit on its own: a gateway whose models are the kit's and those of installed plugins, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import uvicorn

from chatproxy import ChatRequest, Model, Reply, RequestContext, create_app
from chatproxy.errors import NotFound

_CONNECTIONS = "chatproxy.server:GatewayProtocol"
_DRAIN_S = 30


class _NoOtherModel:
    """Stands where a gateway has its default upstream."""

    name = "kit:no-other-model"

    async def models(self, ctx: RequestContext) -> Iterable[Model]:
        """None."""
        del ctx
        return ()

    async def execute(self, ctx: RequestContext, request: ChatRequest) -> Reply:
        """Refuse.

        Raises:
            NotFound: always (404, code ``model_not_found``).
        """
        del ctx
        message = f"The model '{request.model[:200]}' does not exist."
        raise NotFound(message, code="model_not_found", param="model")


def application(plugin: object) -> Any:
    """The ASGI application; configured by ``PROXY_*`` where that does not concern upstreams.

    Raises:
        PluginError: the kit or an installed plugin cannot be used.
    """
    return create_app(plugins=[plugin], handler=_NoOtherModel())


def serve(app: Any, host: str, port: int) -> None:
    """Serve until a signal; running exchanges may go on for 30 seconds."""
    uvicorn.run(app, host=host, port=port, http=_CONNECTIONS, timeout_graceful_shutdown=_DRAIN_S, access_log=False)
