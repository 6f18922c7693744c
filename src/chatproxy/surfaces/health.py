"""``/``, ``/health``, ``/livez`` and ``/readyz``: open to everybody, and free of anything secret."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

Report = dict[str, Any]


_STATES = ("closed", "half_open", "open")


def worst(states: Iterable[Any]) -> str:
    """The worst of circuit breakers' states; ``closed`` where there is none."""
    return max((state for state in states if state in _STATES), key=_STATES.index, default="closed")


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
        told = report.get("plugins", {}).values()
        return {
            "status": "ok" if ready else "degraded",
            "version": version,
            "circuit_breaker_status": worst(one.get("circuit_breaker_status") for one in told),
            "active_agents": sorted({agent for one in told for agent in one.get("active_agents", ())}),
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
