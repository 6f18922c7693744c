"""PluginsConfig: which plugins are loaded, in which order, and what happens when one of their hooks fails."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from chatproxy.config import checks
from chatproxy.config.describe import found, key_path, suggestion
from chatproxy.config.kinds import Count, Names, OnError, Seconds
from chatproxy.config.references import plain
from chatproxy.config.section import Given, Section, setting
from chatproxy.hookspecs import SPECS, Kind

DISABLED_VARIABLE = "CHATPROXY_DISABLED_PLUGINS"


class HookPolicy(NamedTuple):
    """What happens when one hook of one plugin is late or fails.

    Attributes:
        on_error: ``closed`` fails the request, ``open`` goes on without the plugin, ``quarantine`` fails the request
            until ``quarantine_after`` failures in a row, then skips the hook for ``quarantine_for_s`` seconds.
        deadline_s: None = no deadline.
    """

    on_error: OnError
    deadline_s: float | None
    quarantine_after: int
    quarantine_for_s: float


class HookSettings(Section):
    """A table ``[plugins.<name>.hooks.<hook>]``; what is None is the plugin's."""

    deadline_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    on_error: OnError | None = None


def _parse_hooks(value: object, path: str, faults: list[str]) -> dict[str, HookSettings]:
    if not isinstance(value, Mapping):
        faults.append(f"{path}: found {found(value)}, wanted a table for each hook")
        return {}
    unknown = [name for name in value if name not in SPECS]
    faults += [f"{path}.{key_path(name)}: unknown hook; {suggestion(name, SPECS, 'hook')}" for name in unknown]
    parsed = {name: HookSettings.parse(item, f"{path}.{name}", faults) for name, item in value.items() if name in SPECS}
    return {name: item for name, item in parsed.items() if item is not None}


def _as_tables(value: object, path: str, faults: list[str]) -> dict[str, Mapping[str, Any]]:
    tables = dict(value) if isinstance(value, Mapping) else {"": value}
    faults.extend(
        f"{path}: found {found(item)}, wanted a table for each plugin"
        for item in tables.values()
        if not isinstance(item, Mapping)
    )
    return {str(name): item for name, item in tables.items() if isinstance(item, Mapping)}


class PluginPolicy(Section):
    """The keys of ``[plugins.<name>]`` that are the gateway's; a plugin cannot have settings of these names.

    Attributes:
        deadline_s: for every hook of a request that has a deadline; those that run at start-up and in the background
            take their own only.
    """

    on_error: OnError = "closed"
    deadline_s: Seconds | None = setting(default=None, check=checks.seconds_fault)
    quarantine_after: Count = 5
    quarantine_for_s: Seconds = setting(default=30.0, check=checks.seconds_fault)
    hooks: Mapping[str, HookSettings] = setting(default_factory=dict, convert=_parse_hooks)


class PluginsConfig(Section):
    """The table ``[plugins]``.

    Attributes:
        enabled: the only plugins that are loaded; None = every installed one.
        disabled: never imported; ``*`` stands for every installed one.
        required: the start is refused without these.
        order: these stand in this order on every hook, whatever their own constraints say.
        load: more plugins, ``module:object`` or the path of a ``.py`` file.
        tables: a plugin's own settings, ``[plugins.<name>]`` without the keys of `PluginPolicy`.
        hooks: the policy of each plugin that has a table.
        disabled_all: no installed plugin is loaded (``CHATPROXY_DISABLED_PLUGINS=*``).
    """

    enabled: Names | None = setting(default=None, check=checks.names_fault)
    disabled: Names = setting(default=(), check=checks.names_fault)
    required: Names = setting(default=(), check=checks.names_fault)
    order: Names = setting(default=(), check=checks.names_fault)
    load: Names = setting(default=(), check=checks.names_fault)
    tables: Mapping[str, Mapping[str, Any]] = setting(
        default_factory=dict, is_setting=False, is_secret=True, convert=_as_tables
    )
    hooks: Mapping[str, PluginPolicy] = setting(
        default_factory=dict, is_setting=False, convert=lambda value, _path, _faults: value
    )
    disabled_all: bool = setting(default=False, is_setting=False)

    @classmethod
    def parse(cls, value: object, path: str, faults: list[str]) -> PluginsConfig | None:
        """From the file's table, where every table that is not a key of its own is a plugin's."""
        if not isinstance(value, Mapping):
            return super().parse(value, path, faults)
        keys = {name for name, item in cls.fields_.items() if item.rule.is_setting}
        tables = {str(name): item for name, item in value.items() if name not in keys and isinstance(item, Mapping)}
        faults += [
            f"{path}.{key_path(name)}: unknown key; {suggestion(name, keys, 'valid key')}"
            for name in map(str, value)
            if name not in keys and name not in tables
        ]
        own = {name: item for name, item in value.items() if name in keys}
        return super().parse({**own, "tables": tables}, path, faults)

    def fill(self, given: Mapping[str, Given], path: str, faults: list[str]) -> None:
        """As every section's, with the gateway's own keys taken out of each plugin's table."""
        super().fill(given, path, faults)
        tables = self.tables
        policies = dict(self.hooks)
        for name, table in tables.items():
            reserved = {key: item for key, item in table.items() if key in PluginPolicy.fields_}
            policy = PluginPolicy.parse(reserved, f"{path}.{key_path(name)}", faults) if reserved else None
            policies.update({name: policy} if policy is not None else {})
        stripped = {
            name: {key: plain(item) for key, item in table.items() if key not in PluginPolicy.fields_}
            for name, table in tables.items()
        }
        self.set_fields(tables=stripped, hooks=policies)

    def conflicts(self, path: str) -> list[str]:
        """Faults between keys; also reads ``disabled = ["*"]``."""
        if "*" in self.disabled:
            names = tuple(name for name in self.disabled if name != "*")
            self.set_fields(disabled=names, disabled_all=True)
        faults = [f"{path}: {name!r} is enabled and disabled" for name in self.enabled or () if name in self.disabled]
        faults += [f"{path}: {name!r} is required and disabled" for name in self.required if name in self.disabled]
        if self.enabled is not None:
            missing = [name for name in self.required if name not in self.enabled]
            faults += [f"{path}: {name!r} is required and not in enabled" for name in missing]
        return faults

    def policy(self, plugin: str, hook: str, default_deadline_s: float | None) -> HookPolicy:
        """What happens when this hook of this plugin is late or fails.

        Args:
            default_deadline_s: the hook's own, from `chatproxy.hookspecs.SPECS`; None where the hook has none.

        An AFTER hook is always ``open``: what it observes has been answered.
        """
        general = self.hooks.get(plugin) or PluginPolicy()
        special = general.hooks.get(hook) or HookSettings()
        kind = SPECS[hook].kind
        in_request = default_deadline_s is not None and kind not in {Kind.AFTER, Kind.LIFESPAN}
        inherited = general.deadline_s if in_request and general.deadline_s is not None else default_deadline_s
        on_error: OnError = "open" if kind is Kind.AFTER else special.on_error or general.on_error
        deadline_s = inherited if special.deadline_s is None else special.deadline_s
        return HookPolicy(on_error, deadline_s, general.quarantine_after, general.quarantine_for_s)

    def switched_off(self, names: str) -> PluginsConfig:
        """A copy with more plugins disabled.

        Args:
            names: comma-separated, or ``*``; the value of ``CHATPROXY_DISABLED_PLUGINS``.
        """
        more = [name.strip() for name in names.split(",")]
        changed = copy.copy(self)
        changed.set_fields(
            disabled=tuple(dict.fromkeys((*self.disabled, *(name for name in more if name not in {"", "*"})))),
            disabled_all=self.disabled_all or "*" in more,
        )
        return changed

    def loading(self, *items: str) -> PluginsConfig:
        """A copy that loads more plugins; an item is one of ``load``."""
        changed = copy.copy(self)
        changed.set_fields(load=tuple(dict.fromkeys((*self.load, *items))))
        return changed

    def public(self) -> dict[str, Any]:
        """The settings without the plugins' own values, of which nobody knows which are secret."""
        shown = {name: getattr(self, name) for name, item in self.fields_.items() if item.rule.is_setting}
        return {
            **shown,
            "disabled_all": self.disabled_all,
            "tables": {name: sorted(table) for name, table in self.tables.items()},
        }
