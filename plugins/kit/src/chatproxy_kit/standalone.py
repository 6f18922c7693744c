"""A kit on its own: a gateway whose models are the kit's and those of installed plugins, and no others."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import chatproxy
from chatproxy import ChatRequest, Model, Reply, RequestContext, ServerOptions, create_app
from chatproxy.errors import NotFound, StartupError

logger = logging.getLogger("chatproxy.kit")

_NOT_STARTED = 3


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
    """Serve until a signal, by chatproxy's own server; streams that outlast the drain end with ``server_shutdown``.

    Raises:
        SystemExit: the start failed (3), or a second signal hurried the stop (128 + its number).
    """
    config = app.config
    options = ServerOptions(
        host=host,
        port=port,
        header_timeout_s=config.header_timeout_s,
        body_timeout_s=config.body_timeout_s,
        drain_timeout_s=config.drain_timeout_s,
        max_body_bytes=config.max_body_bytes,
        max_upload_bytes=config.max_upload_bytes,
    )
    try:
        code = chatproxy.serve(lambda: (app, app.gateway), options, on_ready=_tell)
    except StartupError as exc:
        logger.critical("the server cannot start: %s", exc, exc_info=exc.__cause__)
        raise SystemExit(_NOT_STARTED) from exc
    if code:
        raise SystemExit(code)


def _tell(urls: Sequence[str]) -> None:
    sys.stderr.write(f"INFO:     Uvicorn running on {', '.join(urls)} (Press CTRL+C to quit)\n")
    sys.stderr.flush()
