"""``/``, ``/health``, ``/livez`` and ``/readyz``: open to everybody, and free of anything secret."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Report = dict[str, Any]


def health_routes(version: str, readiness: Callable[[], tuple[bool, Report]]) -> list[HTTPRouteHandler]:
    """The routes.

    Args:
        readiness: whether new requests are welcome, and what stands in the way.
    """

    @get("/", sync_to_thread=False, tags=["health"], opt={"public": True})
    def index() -> Report:
        """What this is and where to go on."""
        return {
            "name": "chatproxy",
            "version": version,
            "endpoints": ["/v1/chat/completions", "/v1/models", "/health", "/livez", "/readyz"],
            "docs": "/docs",
            "schema": "/schema/openapi.json",
        }

    @get("/health", sync_to_thread=False, tags=["health"], opt={"public": True})
    def health() -> Report:
        """A summary for people and dashboards; always 200 while the process lives."""
        ready, report = readiness()
        return {
            "status": "ok" if ready else "degraded",
            "version": version,
            "circuit_breaker_status": "closed",
            "active_agents": [],
            **report,
        }

    @get("/livez", sync_to_thread=False, tags=["health"], opt={"public": True})
    def livez() -> Report:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @get("/readyz", sync_to_thread=False, tags=["health"], opt={"public": True})
    def readyz() -> Response[Report]:
        """Whether new requests are welcome: 503 while draining."""
        ready, report = readiness()
        status = {"status": "ready" if ready else "draining"}
        return Response({**status, **report}, status_code=200 if ready else 503)

    return [index, health, livez, readyz]
