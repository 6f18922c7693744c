"""``GET /plugins/guardrails/status``: the policies, and how often each acted."""

from __future__ import annotations

from typing import Any

from litestar import Request, get

from chatproxy_guardrails.guard import Guard


@get("/status", summary="The policies and how often each acted since the start", sync_to_thread=False)
def status(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Counts are exchanges of this process."""
    guard: Guard = request.state.context.plugin(Guard)
    return {"policies": guard.status()}


def status_routes() -> list[Any]:
    """For the hook ``routes``."""
    return [status]
