"""The plugin: kits named in ``[plugins.kit] load``, and kits handed over in code.

Rule: only hook implementations that delegate; one object for each application.
"""

from __future__ import annotations

import importlib
import logging
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import msgspec

from chatproxy import App, ChatRequest, Handler, Model, Principal, RequestContext, hookimpl
from chatproxy.errors import PluginError
from chatproxy.types import ModelRoute
from chatproxy_kit import auth, sessions
from chatproxy_kit.cors import allowing
from chatproxy_kit.declared import Declared
from chatproxy_kit.handler import KitHandler

logger = logging.getLogger("chatproxy.kit")


class Config(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The table ``[plugins.kit]``.

    Attributes:
        load: kits, each ``package.module:name``.
    """

    load: list[str] = []


def loaded(config: Config) -> list[Declared]:
    """The kits that a configuration names.

    Raises:
        PluginError: one cannot be imported or is no kit.
    """
    return [_load(item) for item in config.load]


def _load(item: str) -> Declared:
    module, _, name = item.partition(":")
    if not module or not name:
        raise PluginError(f"[plugins.kit] load: found {item!r}, wanted 'package.module:name'")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except Exception as exc:
        raise PluginError(f"[plugins.kit] load: {item!r} cannot be loaded: {type(exc).__name__}: {exc}") from exc
    if not isinstance(found, Declared):
        raise PluginError(f"[plugins.kit] load: {item!r} is {type(found).__name__}, wanted a ChatKit")
    return found


def _has_kits(config: Any) -> bool:
    return not isinstance(config, Config) or bool(config.load)


def _is_guarded(config: Any) -> bool:
    return any(kit.is_guarded for kit in loaded(config))


class Kits:
    """Kits as a plugin, none of which asks who is there.

    Raises:
        PluginError: two have the same model or path.
    """

    def __init__(self, kits: Iterable[Declared]) -> None:
        self._handlers: dict[str, KitHandler] = {}
        self.chatproxy_name = "kit"
        self._take(kits)
        if self._handlers:
            names = (re.sub(r"[^a-z0-9_]+", "-", model.lower()).strip("-") for model in self._handlers)
            self.chatproxy_name = "-".join(["kit", *filter(None, names)])[:60]

    @hookimpl
    def handlers(self, config: Any) -> Iterable[Handler]:
        """One for each kit."""
        if isinstance(config, Config) and not self._handlers:
            self._take(loaded(config))
        return list(self._handlers.values())

    @hookimpl
    def routes(self) -> Iterable[Any]:
        """The kits' own paths."""
        return [_route(handler.kit) for handler in self._handlers.values() if handler.kit.path is not None]

    @hookimpl
    @asynccontextmanager
    async def lifespan(self, app: App) -> AsyncIterator[None]:
        """The kits' own hooks around their life."""
        self._warn(app)
        if self._handlers:
            app.report_health(self.chatproxy_name, self._report)
        async with AsyncExitStack() as stack:
            for handler in self._handlers.values():
                await stack.enter_async_context(handler.life.running())
            yield

    @hookimpl(when=_has_kits)
    async def models(self) -> Iterable[Model]:
        """The kits."""
        return [
            Model(id=model, owned_by="chatproxy-kit", description=handler.kit.description)
            for model, handler in self._handlers.items()
        ]

    @hookimpl(tryfirst=True, before=["platform"], when=_has_kits)
    async def before_request(self, ctx: RequestContext, request: ChatRequest) -> None:
        """First: others take out what a request says of its session."""
        sessions.note(ctx, request)

    @hookimpl(when=_has_kits)
    async def select_handler(self, request: ChatRequest) -> Handler | None:
        """The kit of this model."""
        return self._handlers.get(request.model)

    def _take(self, kits: Iterable[Declared]) -> None:
        paths: set[str] = set()
        for kit in kits:
            if kit.model in self._handlers:
                raise PluginError(f"two kits have the model {kit.model!r}; give one of them another: ChatKit(model=…)")
            if kit.path in paths:
                raise PluginError(f"two kits have the path {kit.path!r}; give one of them another: ChatKit(path=…)")
            if kit.path is not None:
                paths.add(kit.path)
            self._handlers[kit.model] = KitHandler(kit)

    def _warn(self, app: App) -> None:
        keeping = [model for model, handler in self._handlers.items() if handler.kit.schema is not None]
        if keeping and not app.session_store.durable:
            logger.warning(
                "the state of %s is kept in memory: it is lost when this process ends, and other processes do not see "
                "it; a plugin with a durable session store, such as chatproxy-platform, keeps it",
                ", ".join(f"'{model}'" for model in keeping),
            )

    def _report(self) -> Mapping[str, Any]:
        return {model: {"threads": handler.threads.running} for model, handler in self._handlers.items()}


class GuardedKits(Kits):
    """Kits as a plugin, at least one of which has an `auth` hook."""

    @hookimpl(tryfirst=True)
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
        """Ask the kits."""
        return await auth.authenticate(self.chatproxy_name, tuple(self._handlers.values()), ctx, headers)


class KitPlugin(Kits):
    """What the entry point names: the kits of ``[plugins.kit] load``."""

    def __init__(self) -> None:
        super().__init__(())

    @hookimpl
    def config_type(self) -> type[Config]:
        """What ``[plugins.kit]`` may hold."""
        return Config

    @hookimpl(tryfirst=True, when=_is_guarded)
    async def authenticate(self, ctx: RequestContext, headers: Mapping[str, str]) -> Principal | None:
        """Ask the kits, where one of them has an `auth` hook."""
        return await auth.authenticate(self.chatproxy_name, tuple(self._handlers.values()), ctx, headers)


def plugin_of(kits: Sequence[Declared]) -> Kits:
    """A plugin for `create_app`, `ChatCompletionServer` or `make_app`.

    Raises:
        PluginError: a kit has no handler, or two have the same model or path.
    """
    return GuardedKits(kits) if any(kit.is_guarded for kit in kits) else Kits(kits)


def _route(kit: Declared) -> ModelRoute:
    wrap = allowing(kit.cors_origins) if kit.cors_origins else None
    return ModelRoute(path=kit.path or "", model=kit.model, stream=True, wrap=wrap)
