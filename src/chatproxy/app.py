"""Assembly: from a configuration and plugins to an ASGI application.

Rule: everything is put together here and nothing runs here; `create_app` has no global state, two applications in one
process know nothing of each other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import httpx
from litestar import Litestar
from litestar import Router as RoutesUnder

from chatproxy import __version__
from chatproxy.config import ModelConfig, ProxyConfig
from chatproxy.engine import Engine, EngineLimits
from chatproxy.engine.routing import Router
from chatproxy.errors import PluginError, StartupError
from chatproxy.handlers.demo import CAPABILITIES, DemoHandler
from chatproxy.handlers.relay import UpstreamRelay
from chatproxy.handlers.upstreams import make_upstreams, upstream_secrets
from chatproxy.logs import ExchangeLog, register_secret, secrets_of_process
from chatproxy.plugins.background import Background
from chatproxy.plugins.discovery import discover
from chatproxy.plugins.hooks import Hooks
from chatproxy.plugins.lifespan import enter_plugins
from chatproxy.plugins.registry import Registry, find_duplicates, start_up_call
from chatproxy.plugins.sessions import MemorySessionStore
from chatproxy.plugins.settings import plugin_configs
from chatproxy.plugins.watchdog import Watchdog
from chatproxy.surfaces.base import Gateway
from chatproxy.surfaces.catalogue import Catalogue
from chatproxy.surfaces.declared import declared_routes
from chatproxy.surfaces.edge import ASGIApp, EdgeGuard, EdgeLimits, Message, Receive, Scope, Send
from chatproxy.surfaces.exchanges import exchange_routes
from chatproxy.surfaces.faults import exception_handlers, identified, plugin_route_guard
from chatproxy.surfaces.health import health_routes
from chatproxy.surfaces.models import models_routes
from chatproxy.surfaces.openapi import Description, docs_routes, openapi_config
from chatproxy.surfaces.passthrough import passthrough_routes
from chatproxy.surfaces.plugin_routes import model_route_paths, plugin_routes
from chatproxy.surfaces.responses_routes import ResponsesSurface
from chatproxy.translation.entries import entries_of
from chatproxy.types.app import App
from chatproxy.types.handler import Handler
from chatproxy.types.stats import GatewayStats, PluginStats

AFTER_DRAIN_S = 5.0


class ChatproxyApp:
    """The ASGI application.

    Attributes:
        gateway: what a server needs for an orderly stop.
        registry: the plugins, for display.
        handlers: by name.
        litestar: the framework's application, behind the edge guard.
    """

    def __init__(self, config: ProxyConfig, registry: Registry, parts: _Parts) -> None:
        self.config = config
        self.registry = registry
        self.handlers = parts.handlers
        self.gateway = Drain(parts.engine, parts.background)
        self._parts = parts
        self._start_error: StartupError | None = None
        everything = (placed.impl for found in registry.placed.values() for placed in found)
        self._watchdog = Watchdog(everything, registry.states)
        parts.app.stats = self._stats
        self.litestar = self._litestar()
        self._guarded = EdgeGuard(
            cast("ASGIApp", self.litestar),
            EdgeLimits(max_body_bytes=config.max_body_bytes, max_upload_bytes=config.max_upload_bytes),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: the edge guard, then the routes."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._guarded(scope, receive, send)

    def _litestar(self) -> Litestar:
        parts = self._parts
        gateway, description = Gateway(parts.engine, parts.app), Description(model_route_paths(parts.routes))
        responses = ResponsesSurface(gateway)
        self._runs = responses.runs
        catalogue = Catalogue(self.config.models, parts.engine.hooks, parts.list_models)
        max_body_bytes = self.config.max_body_bytes
        own = [
            *exchange_routes(gateway),
            *responses.routes(),
            *models_routes(gateway, catalogue),
            *passthrough_routes(gateway, parts.relays, self.config.models, max_body_bytes=max_body_bytes),
        ]
        plain = [*health_routes(__version__, self._readiness), *docs_routes(description)]
        taken = {path for route in (*own, *plain) for path in route.paths}
        plugins = plugin_routes(gateway, parts.routes, plugin_route_guard(gateway), taken)
        app = Litestar(
            [*own, RoutesUnder("/", middleware=[identified(gateway)], route_handlers=[*plain, *plugins])],
            exception_handlers=exception_handlers(gateway),
            openapi_config=openapi_config(__version__, description),
            lifespan=[self._lifespan],
            logging_config=None,
            debug=False,
        )
        gateway.routes = declared_routes(app)
        parts.app.routes = tuple(gateway.routes.values())
        return app

    @asynccontextmanager
    async def _lifespan(self, _: Litestar) -> AsyncIterator[None]:
        parts = self._parts
        async with AsyncExitStack() as stack:
            stack.callback(parts.log.close)
            for handler in parts.handlers.values():
                close = getattr(handler, "aclose", None)
                if close is not None:
                    stack.push_async_callback(close)
            try:
                await enter_plugins(stack, self.registry, parts.app)
            except StartupError as error:
                self._start_error = error
                await stack.aclose()  # as at an ordinary end: another plugin's failure is not thrown into these
                raise
            stack.push_async_callback(parts.background.drain, AFTER_DRAIN_S)
            stack.push_async_callback(self._runs.aclose)
            self._watchdog.start()
            stack.callback(self._watchdog.stop)
            yield

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's lifespan, with a failed start told in its own words, not as a group of errors."""

        async def tell(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._start_error is not None:
                message = {**message, "message": str(self._start_error)}
            await send(message)

        try:
            await self._guarded(scope, receive, tell)
        except BaseException:
            if self._start_error is None:
                raise
            raise self._start_error from None

    def _stats(self) -> GatewayStats:
        engine, background, states = self._parts.engine, self._parts.background, self.registry.states
        return GatewayStats(
            in_flight=len(engine.live),
            max_in_flight=engine.limits.max_concurrency,
            draining=engine.draining,
            plugins={
                name: PluginStats(
                    calls=state.calls,
                    failures=state.failures,
                    skipped=state.skipped,
                    abandoned=state.abandoned,
                    quarantined=state.quarantined,
                    telemetry_waiting=background.waiting.get(name, 0),
                    telemetry_dropped=background.dropped.get(name, 0),
                )
                for name, state in states.items()
            },
            loop_blocked=dict(self._watchdog.blocked),
        )

    def _readiness(self) -> tuple[bool, dict[str, Any]]:
        states = self.registry.states.values()
        report: dict[str, Any] = {}
        if quarantined := sorted(state.name for state in states if state.quarantined):
            report["quarantined"] = quarantined
        if failed := sorted(plugin.name for plugin in self.registry.found if plugin.status == "failed"):
            report["failed_plugins"] = failed
        if dropped := {name: count for name, count in self._parts.background.dropped.items() if count}:
            report["dropped_telemetry"] = dropped
        if failures := {state.name: state.failures for state in states if state.failures}:
            report["plugin_failures"] = failures
        if self._watchdog.blocked:
            report["event_loop_blocked"] = {name or "(core)": n for name, n in self._watchdog.blocked.items()}
        if reports := {name: dict(said()) for name, said in sorted(self._parts.app.health.items())}:
            report["plugins"] = reports
        return not self._parts.engine.draining, report


class Drain:
    """An orderly stop: say so, wait, end what still runs."""

    def __init__(self, engine: Engine, background: Background) -> None:
        self.engine = engine
        self._background = background

    def begin_drain(self) -> None:
        """``/readyz`` answers 503 from now on."""
        self.engine.draining = True

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until every exchange has ended; whether that came true in ``timeout_s`` seconds."""
        return await self.engine.wait_idle(timeout_s)

    async def expire_streams(self) -> None:
        """End what still runs with ``server_shutdown``: streams by an event, others by a 503."""
        self.engine.expire()

    async def aclose(self) -> None:
        """Let the background finish; the application's lifespan does it too."""
        await self._background.drain(AFTER_DRAIN_S)


class _Parts:
    """What the assembly made, handed to `ChatproxyApp`."""

    def __init__(
        self,
        config: ProxyConfig,
        registry: Registry,
        default_handler: Handler | None,
        log: ExchangeLog,
        transport: httpx.AsyncBaseTransport | None,
    ) -> None:
        configs = plugin_configs(registry, config.plugins.tables)
        registry.choose(configs)
        self.log = log
        self.app = App(
            version=__version__,
            session_store=_session_store(registry, configs),
            settings=config.public(),
            config_file=config.source,
            redact=secrets_of_process().clean,
            hide=register_secret,
            entries_of=entries_of,
        )
        for value in configs.values():
            self.app.set_config(value)
        self.app.authenticators = frozenset(impl.plugin for impl in registry.impls["authenticate"])
        upstreams = make_upstreams(config, transport)
        self.relays = [UpstreamRelay(upstream) for upstream in upstreams]
        self.handlers = _handlers(upstreams, config, registry, configs, default_handler)
        default = default_handler or self.handlers["upstream:default"]
        self.list_models = getattr(default, "models", None)
        impls = registry.impls
        self.background = Background({hook: impls[hook] for hook in ("after_response", "on_error")})
        hooks = Hooks(impls, self.background, self.handlers)
        limits = EngineLimits(
            max_concurrency=config.max_concurrency,
            max_sse_line_bytes=config.max_sse_line_bytes,
            default_model=config.default_model,
            fallback_model=config.fallback_model,
            enable_streaming=config.enable_streaming,
            report_translation=config.report_translation,
        )
        self.engine = Engine(hooks, Router(config.models, self.handlers, default), limits, log)
        self.routes = [
            (placed.impl.plugin, route)
            for placed in registry.placed["routes"]
            for route in start_up_call(placed.impl, configs[placed.impl.plugin]) or ()
        ]


def create_app(
    config: ProxyConfig | None = None,
    plugins: Sequence[object] = (),
    *,
    handler: Handler | None = None,
    demo: bool = False,
    transport: httpx.AsyncBaseTransport | None = None,
) -> ChatproxyApp:
    """Put an application together.

    Args:
        config: None takes the environment and the defaults.
        plugins: objects with hook implementations, beside those found by entry points.
        handler: answers every model that no plugin and no table sends elsewhere; None = the default upstream.
        demo: add the offline model ``demo``; without a model table it is the only one.
        transport: reaches every upstream, in place of their own; for tests without sockets.

    Raises:
        ConfigError: the configuration, or a plugin's, is wrong.
        PluginError: a plugin cannot be loaded, checked or ordered.
    """
    config = config if config is not None else ProxyConfig()
    if demo and "demo" not in config.models:
        config = config.replace(models={**config.models, "demo": demo_model()})
    registry = Registry(discover(config.plugins, extra=plugins), config.plugins)
    for secret in upstream_secrets(config):
        register_secret(secret)
    log = ExchangeLog(config.log_format, config.log_level, is_detailed=config.enable_telemetry)
    return ChatproxyApp(config, registry, _Parts(config, registry, handler, log, transport))


def demo_model() -> ModelConfig:
    """The table entry of the built-in model."""
    return ModelConfig(
        id="demo",
        handler="demo",
        owned_by="chatproxy",
        description="Deterministic and offline: for a first run, for examples and for tests.",
        capabilities=CAPABILITIES,
    )


def _handlers(
    upstreams: Sequence[Handler],
    config: ProxyConfig,
    registry: Registry,
    configs: dict[str, Any],
    default_handler: Handler | None,
) -> dict[str, Handler]:
    named: list[tuple[str, Handler]] = [("chatproxy", handler) for handler in upstreams]
    named.append(("chatproxy", DemoHandler()))
    for placed in registry.placed["handlers"]:
        plugin = placed.impl.plugin
        for handler in start_up_call(placed.impl, configs[plugin]) or ():
            if not (isinstance(getattr(handler, "name", None), str) and callable(getattr(handler, "execute", None))):
                raise PluginError(f"plugin {plugin!r}: handlers must have a name and execute, found {handler!r}")
            named.append((plugin, handler))
    if default_handler is not None and all(handler is not default_handler for _, handler in named):
        named.append(("default handler", default_handler))
    find_duplicates([(plugin, handler.name) for plugin, handler in named], "handler")
    handlers = {handler.name: handler for _, handler in named}
    for entry in config.models.values():
        wanted = entry.handler or f"upstream:{entry.upstream}"
        if wanted not in handlers:
            raise PluginError(f"model {entry.id!r}: no handler {wanted!r}; there are {sorted(handlers)}")
    return handlers


def _session_store(registry: Registry, configs: dict[str, Any]) -> Any:
    for placed in registry.placed["session_store"]:
        store = start_up_call(placed.impl, configs[placed.impl.plugin])
        if store is not None:
            return store
    return MemorySessionStore()
