"""Platform: the parts of the plugin, put together and opened once for an application.

Rule: nothing is decided here; what belongs to keys, limits, sessions, usage and the audit log is theirs.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from chatproxy import App, ChatRequest, Exchange, Principal, RequestContext
from chatproxy.errors import ConfigError
from chatproxy_platform.administration.access import check_declared
from chatproxy_platform.administration.browsers import check_browser
from chatproxy_platform.administration.services import Services
from chatproxy_platform.audit.blocks import block_events
from chatproxy_platform.audit.events import AuditEvent
from chatproxy_platform.audit.generation import record_generation
from chatproxy_platform.audit.log import AuditLog
from chatproxy_platform.config import Config
from chatproxy_platform.errors import StorageUnavailable
from chatproxy_platform.identity.authenticator import Authenticator
from chatproxy_platform.identity.bootstrap import bootstrap
from chatproxy_platform.identity.cache import KeyCache
from chatproxy_platform.identity.current import identity_of
from chatproxy_platform.identity.jwt import TokenVerifier
from chatproxy_platform.identity.keys import KeyService
from chatproxy_platform.identity.people import PeopleService
from chatproxy_platform.identity.pepper import home_of, load_hasher
from chatproxy_platform.identity.tokens import Hasher
from chatproxy_platform.limits.choice import counters_of
from chatproxy_platform.limits.limiter import Limiter
from chatproxy_platform.limits.spending import BudgetWarning
from chatproxy_platform.sessions.recorder import Sessions
from chatproxy_platform.sessions.retention import Retention
from chatproxy_platform.sessions.store import History
from chatproxy_platform.storage.database import Database
from chatproxy_platform.storage.schema import prepare
from chatproxy_platform.storage.spool import Spool
from chatproxy_platform.storage.state import StateStore
from chatproxy_platform.usage.prices import Prices
from chatproxy_platform.usage.recorder import UsageRecorder
from chatproxy_platform.usage.reports import Reports

logger = logging.getLogger("chatproxy.platform")

PASSED_THROUGH = frozenset({"audio", "images", "files", "batches"})
SPOOL = "chatproxy-spool"
_FOLLOWED = "platform.followed"


class Platform:
    """What the hooks use. Make it by `opened`."""

    def __init__(self, config: Config, database: Database, hasher: Hasher, prices: Prices, host: str) -> None:
        self.config = config
        self.database = database
        self.host = host
        self.prices = prices
        self.spool = Spool(_spool_dir(config), config.usage.max_spool_bytes)
        self.audit = AuditLog(database, config.audit, self.spool)
        self.hasher = hasher
        self.cache = KeyCache(database, config, hasher)
        self.tokens = TokenVerifier(config.jwt, config.limits) if config.jwt is not None else None
        self.authenticator = Authenticator(self.cache, self.tokens, self.audit, config)
        self.keys = KeyService(database, self.cache, self.audit, hasher, config)
        self.people = PeopleService(database, self.cache, self.audit, config)
        self.limiter = Limiter(config, prices, database, counters_of(config), warn=self._warn_of_budget)
        self.usage = UsageRecorder(database, self.spool, config.usage)
        self.reports = Reports(database)
        self.sessions = Sessions(database, self.spool, config.sessions)
        self.history = History(database, self.audit)
        self.has_begun = False

    # -- one exchange ---------------------------------------------------------------------------------------------

    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal:
        """Who asks, and whether there is room for what passes through; raises as `Authenticator.authenticate`."""
        check_browser(ctx, self.config, self.host)
        principal = await self.authenticator.authenticate(ctx, headers)
        if ctx.is_exchange:
            self.follow(ctx)
            identity = identity_of(ctx)
            if identity is not None and ctx.surface in PASSED_THROUGH:
                await self.limiter.admit(ctx, identity)
        return principal

    async def begin(self, ctx: RequestContext, request: ChatRequest) -> None:
        """Find the conversation, and reserve what the request may use."""
        self.follow(ctx)
        identity = identity_of(ctx)
        await self.sessions.begin(ctx, identity, request)
        if identity is not None and ctx.surface not in PASSED_THROUGH:
            await self.limiter.reserve(ctx, identity, request)

    def follow(self, ctx: RequestContext) -> None:
        """Have the exchange's books closed at its end, once."""
        if _FOLLOWED not in ctx.state:
            ctx.state[_FOLLOWED] = True
            ctx.at_end(partial(self._ended, ctx))

    def _ended(self, ctx: RequestContext, exchange: Exchange) -> None:
        identity = identity_of(ctx)
        cost = self.prices.cost(exchange.model, exchange.usage, upstream_model=exchange.upstream_model)
        self.limiter.settle(ctx, exchange, cost)
        self.usage.record(exchange, identity, cost)
        self.sessions.ended(ctx, exchange)
        if self.config.audit.guardrail_blocks and "guardrails" in exchange.notes:
            for event in block_events(exchange, identity):
                self.audit.note(event)

    def _warn_of_budget(self, warning: BudgetWarning) -> None:
        metadata = {
            "period": warning.period,
            "share": warning.share,
            "spent_usd": warning.spent_nanousd / 1e9,
            "budget_usd": warning.budget_nanousd / 1e9,
        }
        self.audit.note(AuditEvent("budget.warning", "budget", warning.subject, metadata=metadata))

    # -- the application's life -----------------------------------------------------------------------------------

    async def begin_life(self, app: App) -> None:
        """Make the first key where there is none, and put the configuration on record.

        Raises:
            ConfigError: the pepper or the key's file cannot be used.
            StorageUnavailable: the database does not answer.
        """
        await bootstrap(self.database, self.audit, self.hasher, self.config)
        await record_generation(self.database, app, self.audit.note)
        self.has_begun = True

    def report(self) -> dict[str, Any]:
        """For ``/readyz``."""
        return {
            "database": self.database.report(),
            "limits": self.limiter.report(),
            "usage": self.usage.report(),
            "audit": self.audit.report(),
            "spool": self.spool.report(),
        }

    @property
    def services(self) -> Services:
        """What the administration's routes use."""
        return Services(
            database=self.database,
            audit=self.audit,
            keys=self.keys,
            people=self.people,
            history=self.history,
            reports=self.reports,
        )


@asynccontextmanager
async def opened(app: App) -> AsyncIterator[Platform]:
    """The platform of an application, while it runs.

    A database that does not answer does not stop the start: nobody is let in (503) until it does, and ``/readyz`` says
    so.

    Raises:
        ConfigError: the configuration, the schema or the pepper cannot be used.
    """
    config = app.config(Config)
    check_declared(app.routes)
    _check_settings(app.settings)
    hasher = await asyncio.to_thread(load_hasher, config)
    prices = await asyncio.to_thread(Prices, config.prices)
    store = _state_store(app, config)
    database = store.database
    platform = Platform(config, database, hasher, prices, str(app.settings.get("host", "")))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(database.aclose)
        await database.open(prepare)
        for part in (platform.spool, store, platform.audit, platform.usage, platform.sessions):
            await part.open()
            stack.push_async_callback(part.aclose)
        stack.callback(platform.authenticator.close)
        await platform.limiter.open(workers=int(app.settings.get("workers", 1)))
        stack.push_async_callback(platform.limiter.aclose)
        if platform.tokens is not None:
            await platform.tokens.open()
            stack.push_async_callback(platform.tokens.aclose)
        await stack.enter_async_context(_begun(platform, app))
        await platform.cache.open()
        stack.push_async_callback(platform.cache.aclose)
        if config.sessions.enabled and config.sessions.retention_days is not None:
            retention = Retention(database, config.sessions.retention_days)
            retention.open()
            stack.push_async_callback(retention.aclose)
        app.report_health("platform", platform.report)
        yield platform


@asynccontextmanager
async def _begun(platform: Platform, app: App) -> AsyncIterator[None]:
    """Begin at once, or in the background as soon as the database answers."""
    try:
        await platform.begin_life(app)
    except StorageUnavailable:
        logger.error("the database does not answer; nobody is let in until it does")  # noqa: TRY400
    if platform.has_begun:
        yield
        return
    task = asyncio.get_running_loop().create_task(_begin_late(platform, app), name="platform: begin late")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _begin_late(platform: Platform, app: App) -> None:
    while True:
        await asyncio.sleep(platform.config.database.cooling_s)
        try:
            await platform.begin_life(app)
        except StorageUnavailable:
            continue
        except ConfigError as exc:
            logger.error("the database cannot be used, and nobody is let in: %s", exc)  # noqa: TRY400
            return
        logger.info("the database answers")
        return


def _state_store(app: App, config: Config) -> StateStore:
    """Ours, whose database all parts share; a new one where another plugin's `session_store` came first."""
    store = app.session_store
    return store if isinstance(store, StateStore) else StateStore(Database(config.database_url, config.database))


def _check_settings(settings: Mapping[str, Any]) -> None:
    if settings.get("forward_authorization"):
        raise ConfigError(
            "forward_authorization: plugins.platform takes the client's credential for itself, and its keys must not "
            "be sent to an upstream; give the upstream an 'api_key' of its own"
        )


def _spool_dir(config: Config) -> Path:
    return Path(config.usage.spool_dir) if config.usage.spool_dir else home_of(config) / SPOOL
