"""Plugins' own configuration: ``[plugins.<name>]`` validated by the type the plugin's `config_type` returns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from chatproxy.errors import ConfigError, PluginError
from chatproxy.plugins.registry import Registry
from chatproxy.plugins.suggest import nearest


def plugin_configs(registry: Registry, tables: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each plugin's configuration: an instance of its type, or its plain table where it has none.

    Raises:
        ConfigError: an unknown key (with the nearest valid one), a wrong type or value; all faults at once.
        PluginError: `config_type` returned something that is no Struct type.
    """
    types = {impl.plugin: kind for impl, kind in registry.collect("config_type")}
    configs: dict[str, Any] = {}
    faults: list[str] = []
    for plugin in registry.loaded:
        table, kind = tables.get(plugin.name, {}), types.get(plugin.name)
        if kind is None:
            configs[plugin.name] = dict(table)
            continue
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            raise PluginError(f"plugin {plugin.name!r}: config_type must return a msgspec.Struct type, found {kind!r}")
        path = f"plugins.{plugin.name}"
        fields = {field.encode_name for field in msgspec.structs.fields(kind)}
        if strange := [key for key in table if key not in fields]:
            faults.extend(f"{path}.{key}: unknown key{nearest(key, fields)}" for key in strange)
            continue
        try:
            configs[plugin.name] = msgspec.convert(dict(table), kind)
        except msgspec.ValidationError as exc:
            faults.append(f"{path}: {exc}")
        else:
            faults.extend(unknown_keys(configs[plugin.name], table, path))
    known = {plugin.name for plugin in registry.found}
    strangers = sorted(set(tables) - known)
    faults.extend(f"plugins.{name}: no such plugin is installed{nearest(name, known)}" for name in strangers)
    if faults:
        raise ConfigError(*faults)
    return configs


def unknown_keys(value: Any, table: Any, path: str) -> list[str]:
    """Faults for keys of ``table`` that the Struct ``value`` made of it does not have, at any depth."""
    if isinstance(value, msgspec.Struct) and isinstance(table, Mapping):
        names = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        known = {*names, value.__struct_config__.tag_field}
        faults = [f"{path}.{key}: unknown key{nearest(key, names)}" for key in table if key not in known]
        for key, field in names.items():
            if key in table:
                faults += unknown_keys(getattr(value, field), table[key], f"{path}.{key}")
        return faults
    if isinstance(value, Mapping) and isinstance(table, Mapping):
        return [
            fault for key in table if key in value for fault in unknown_keys(value[key], table[key], f"{path}.{key}")
        ]
    if isinstance(value, Sequence) and isinstance(table, Sequence) and not isinstance(value, str | bytes):
        pairs = zip(value, table, strict=False)
        return [fault for i, (v, t) in enumerate(pairs) for fault in unknown_keys(v, t, f"{path}[{i}]")]
    return []
