"""Registry: plugins registered with pluggy, checked, ordered, and turned into frozen lists of `Impl`.

Rule: pluggy is touched here only. It registers and validates; it never calls a hook.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import pluggy

from chatproxy import hookspecs
from chatproxy.errors import PluginError
from chatproxy.hookimpl import ORDER_ATTRIBUTE, Order
from chatproxy.hookspecs import PROJECT, SPECS, HookSpec
from chatproxy.plugins.discovery import FoundPlugin
from chatproxy.plugins.impl import Impl, PluginState, Policy, adapt
from chatproxy.plugins.order import Candidate, Placed, order_plugins
from chatproxy.plugins.suggest import nearest


class Policies(Protocol):
    """Where the configuration keeps orders and policies; `config.PluginsConfig` is one."""

    @property
    def order(self) -> Sequence[str]:
        """Plugin names, in the order the operator wants."""

    def policy(self, plugin: str, hook: str, default_deadline_s: float | None) -> Policy:
        """What happens when this plugin fails in this hook."""


class PlacedImpl(NamedTuple):
    """An implementation in its final place, why it is there, and constraints that ``[plugins] order`` overruled."""

    impl: Impl
    reason: str
    dropped: tuple[str, ...] = ()


class Registry:
    """The plugins of one application.

    Args:
        found: what discovery loaded; those not loaded are kept for display.
        policies: orders, deadlines and failure policies.

    Raises:
        PluginError: an unknown hook, a sync function on an async hook, a wrapper, a duplicate name, a cycle.
    """

    def __init__(self, found: Sequence[FoundPlugin], policies: Policies) -> None:
        self.found = tuple(found)
        self.loaded = tuple(plugin for plugin in found if plugin.status == "loaded")
        self.states = {plugin.name: PluginState(plugin.name) for plugin in self.loaded}
        self._policies = policies
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        for plugin in self.loaded:
            self._register(plugin)
        self._refuse_unknown_hooks()
        self._refuse_idle()
        self.placed: dict[str, tuple[PlacedImpl, ...]] = {name: self._place(spec) for name, spec in SPECS.items()}

    @property
    def impls(self) -> dict[str, tuple[Impl, ...]]:
        """Implementations by hook, in their final order."""
        return {hook: tuple(placed.impl for placed in found) for hook, found in self.placed.items()}

    def choose(self, configs: Mapping[str, Any]) -> None:
        """Leave out what a plugin's configuration has no use for, by ``hookimpl(when=…)``.

        Args:
            configs: by plugin.

        Raises:
            PluginError: ``when`` raised; the message names plugin, file and line.
        """
        for hook, found in self.placed.items():
            self.placed[hook] = tuple(placed for placed in found if _is_wanted(placed.impl, configs))

    def collect(self, hook: str, *args: Any) -> list[tuple[Impl, Any]]:
        """Call a start-up hook once for each plugin; results that are None are left out.

        Raises:
            PluginError: an implementation raised; the message names plugin, distribution, file and line.
        """
        return [
            (placed.impl, result)
            for placed in self.placed[hook]
            if (result := start_up_call(placed.impl, *args)) is not None
        ]

    def hooks_of(self, plugin: str) -> list[str]:
        """The hooks a plugin implements, in the order of `hookspecs`."""
        return [hook for hook, found in self.placed.items() if any(p.impl.plugin == plugin for p in found)]

    def _register(self, plugin: FoundPlugin) -> None:
        try:
            self._manager.register(plugin.obj, plugin.name)
        except ValueError as exc:
            raise PluginError(f"plugin {plugin.name!r}{_origin(plugin)}: registered twice ({exc})") from exc
        except pluggy.PluginValidationError as exc:
            reason = str(exc).splitlines()[-1].strip() or str(exc)
            raise PluginError(f"plugin {plugin.name!r}{_origin(plugin)}: {reason} ({_misfit(plugin.obj)})") from exc

    def _refuse_unknown_hooks(self) -> None:
        for plugin in self.loaded:
            for caller in self._manager.get_hookcallers(plugin.obj) or ():
                if caller.name in SPECS:
                    continue
                for impl in caller.get_hookimpls():
                    if impl.plugin is plugin.obj and not impl.optionalhook:
                        hint = nearest(caller.name, SPECS)
                        where = location(impl.function)
                        raise PluginError(f"plugin {plugin.name!r}: unknown hook {caller.name!r}{hint} ({where})")

    def _refuse_idle(self) -> None:
        """One from outside that has no hooks does nothing: what it was installed for would be silently missing."""
        for plugin in self.loaded:
            if plugin.origin != "code" and not self._manager.get_hookcallers(plugin.obj):
                raise PluginError(
                    f"plugin {plugin.name!r}{_origin(plugin)}: it implements no hook; is it the right module?"
                )

    def _place(self, spec: HookSpec) -> tuple[PlacedImpl, ...]:
        candidates = []
        by_object = {id(plugin.obj): plugin for plugin in self.loaded}
        for found in getattr(self._manager.hook, spec.name).get_hookimpls():
            plugin = by_object[id(found.plugin)]
            self._check(spec, plugin, found)
            order = getattr(found.function, ORDER_ATTRIBUTE, Order())
            where = location(found.function)
            candidates.append(
                Candidate(
                    plugin=plugin.name,
                    tryfirst=found.tryfirst,
                    trylast=found.trylast,
                    order=order,
                    distribution=plugin.distribution,
                    location=where,
                    impl=self._impl(spec, plugin, found, order),
                )
            )
        placed: list[Placed] = order_plugins(candidates, self._policies.order, hook=spec.name)
        return tuple(PlacedImpl(item.candidate.impl, item.reason, item.dropped) for item in placed)

    def _check(self, spec: HookSpec, plugin: FoundPlugin, found: pluggy.HookImpl) -> None:
        where = location(found.function)
        who = f"plugin {plugin.name!r}{_origin(plugin)}: {spec.name}"
        if found.wrapper or found.hookwrapper:
            raise PluginError(f"{who} must not be a wrapper; implement 'around_execute' instead ({where})")
        is_async = inspect.iscoroutinefunction(found.function)
        if spec.is_async and not is_async:
            raise PluginError(f"{who} must be 'async def', found {_shape(found.function)} ({where})")
        if not spec.is_async and (is_async or inspect.isasyncgenfunction(found.function)):
            hint = "; decorate it with contextlib.asynccontextmanager" if spec.name == "lifespan" else ""
            raise PluginError(f"{who} must be a plain function, found {_shape(found.function)}{hint} ({where})")

    def _impl(self, spec: HookSpec, plugin: FoundPlugin, found: pluggy.HookImpl, order: Order) -> Impl:
        spec_names = list(inspect.signature(getattr(hookspecs, spec.name)).parameters)
        return Impl(
            hook=spec.name,
            plugin=plugin.name,
            function=adapt(found.function, found.argnames, spec_names),
            original=inspect.unwrap(found.function),
            policy=self._policies.policy(plugin.name, spec.name, spec.deadline_s),
            state=self.states[plugin.name],
            distribution=plugin.distribution,
            location=location(found.function),
            when=order.when,
        )


def _is_wanted(impl: Impl, configs: Mapping[str, Any]) -> bool:
    if impl.when is None:
        return True
    try:
        return bool(impl.when(configs[impl.plugin]))
    except Exception as exc:
        reason = f"'when' raised {type(exc).__name__}: {exc}"
        raise PluginError(f"plugin {impl.plugin!r}: {impl.hook}: {reason} ({impl.location})") from exc


def start_up_call(impl: Impl, *args: Any) -> Any:
    """Call a start-up hook; what it raises becomes a `PluginError` that names the plugin."""
    try:
        return impl.function(*args)
    except Exception as exc:
        raise PluginError(
            f"plugin {impl.plugin!r}: {impl.hook} raised {type(exc).__name__}: {exc} ({impl.location})"
        ) from exc


def location(function: Any) -> str:
    """``file:line`` of a function, as far as it can be known."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code is not None else "unknown place"


def find_duplicates(items: Sequence[tuple[str, str]], what: str) -> None:
    """Refuse a name that two plugins give. ``items`` are (plugin, name).

    Raises:
        PluginError: naming both plugins.
    """
    owners: dict[str, str] = {}
    for plugin, name in items:
        if name in owners:
            raise PluginError(f"{what} {name!r} is given by both {owners[name]!r} and {plugin!r}; rename one")
        owners[name] = plugin


def _misfit(obj: Any) -> str:
    """Where the implementation is that asks for arguments its hook does not have."""
    for name, member in inspect.getmembers(obj, inspect.isroutine):
        if name in SPECS and hasattr(member, ORDER_ATTRIBUTE):
            known = inspect.signature(getattr(hookspecs, name)).parameters
            if any(argument not in known for argument in inspect.signature(member).parameters):
                return location(member)
    return "unknown place"


def _origin(plugin: FoundPlugin) -> str:
    return f" ({plugin.distribution})" if plugin.distribution else ""


def _shape(function: Any) -> str:
    if inspect.isasyncgenfunction(function):
        return "an async generator function"
    return "a coroutine function" if inspect.iscoroutinefunction(function) else "a plain function"
