"""The platform in numbers, and how it is doing."""

from __future__ import annotations

from litestar import get
from litestar.handlers import HTTPRouteHandler
from sqlalchemy import func, select

from chatproxy import App
from chatproxy_platform.administration.described import operation
from chatproxy_platform.administration.paths import for_role, platform_paths
from chatproxy_platform.administration.reading import AnyRequest
from chatproxy_platform.administration.services import Services, asked, context_of
from chatproxy_platform.administration.shapes import PlatformStats, SystemHealth
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.tables import Organization


def stats_routes() -> list[HTTPRouteHandler]:
    """``GET …/stats``."""

    @get(
        platform_paths("stats"),
        opt=for_role("platform_admin"),
        operation_class=operation(),
        summary="Show the platform in numbers.",
    )
    async def show_stats(request: AnyRequest) -> PlatformStats:
        """Users, requests and tokens, in all and today, and the state of the system."""
        services, _ = asked(request, "platform_admin")
        totals = await services.reports.totals()
        app = context_of(request).app
        return PlatformStats(
            total_users=totals.total_users,
            active_users=totals.active_users,
            total_organizations=await _count_organizations(services.database),
            total_requests=totals.total_requests,
            requests_today=totals.requests_today,
            total_tokens=totals.total_tokens,
            tokens_today=totals.tokens_today,
            total_mcp_servers=_count_mcp_servers(app),
            system_health=_system_health(app, services),
        )

    return [show_stats]


async def _count_organizations(database: Database) -> int:
    async with database.read() as session:
        return (await session.scalars(select(func.count()).select_from(Organization))).one()


def _count_mcp_servers(app: App) -> int:
    """Those of the configuration, as plugins/mcp reports them; 0 where it is not installed."""
    report = app.health.get("mcp")
    servers = {} if report is None else report().get("servers", {})
    return len(servers)


def _system_health(app: App, services: Services) -> SystemHealth:
    stats = app.stats()
    breaker = services.database.state
    quarantined = any(plugin.quarantined for plugin in stats.plugins.values())
    is_well = breaker == "closed" and not stats.draining and not quarantined
    return SystemHealth(
        status="ok" if is_well else "degraded",
        circuit_breaker_status=breaker,
        active_agents=sorted({str(agent) for told in app.health.values() for agent in told().get("active_agents", ())}),
    )
