"""Layers: which of code, environment and file gives a setting its value.

Rule: nothing is converted or checked for its type here; each value keeps the name of the place it came from.
``[upstreams.default]`` is written as ``upstream_url`` and ``upstream_api_key`` before the layers meet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from chatproxy.config.describe import found, key_path, nearest
from chatproxy.config.references import Expanded
from chatproxy.config.section import Given
from chatproxy.config.upstreams import UpstreamConfig

PREFIX = "PROXY_"
TABLES = ("upstreams", "models")
DEFAULT_UPSTREAM = {"upstream_url": "base_url", "upstream_api_key": "api_key"}
_CLOSE = 0.8


def from_environment(environ: Mapping[str, str], keys: Collection[str]) -> dict[str, Given]:
    """The values of ``PROXY_<NAME>``; an empty variable counts as unset."""
    named = {key: f"{PREFIX}{key.upper()}" for key in keys}
    return {key: Given(Expanded(environ[name]), name) for key, name in named.items() if environ.get(name)}


def environment_warnings(environ: Mapping[str, str], keys: Collection[str]) -> list[str]:
    """A line for each variable that looks like a misspelt ``PROXY_<NAME>``."""
    known = {f"{PREFIX}{key.upper()}" for key in keys}
    strange = sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
    near = {name: nearest(name, known, cutoff=_CLOSE) for name in strange}
    return [f"environment variable {name} is not read; did you mean {meant}?" for name, meant in near.items() if meant]


def from_table(table: Mapping[str, Any], prefix: str, faults: list[str]) -> dict[str, Given]:
    """The values of a file or of code, with the default upstream's address and key among the plain keys.

    Args:
        prefix: put in front of each key's path; a file's name and a colon, or nothing.
    """
    given = {key: Given(value, prefix + key_path(key)) for key, value in table.items()}
    for name in TABLES:
        if name in given:
            given[name] = Given(_entries(given[name], faults), given[name].path)
    upstreams = given.get("upstreams")
    if upstreams is not None and isinstance(upstreams.value, dict) and "default" in upstreams.value:
        rest = _lift_default(upstreams.value["default"], given, faults)
        given["upstreams"] = Given({**upstreams.value, "default": rest}, upstreams.path)
    return given


def merge(*layers: Mapping[str, Given]) -> dict[str, Given]:
    """One value for each key, the later layer's where several give one; tables are joined entry by entry."""
    merged: dict[str, Given] = {}
    for layer in layers:
        for key, given in layer.items():
            below = merged.get(key)
            if key in TABLES and below is not None:
                merged[key] = Given({**_dict(below.value), **_dict(given.value)}, given.path)
            else:
                merged[key] = given
    return merged


def split_default(given: Mapping[str, Given]) -> tuple[Given, Given]:
    """The tables of the other upstreams, and that of the default one."""
    upstreams = given.get("upstreams", Given({}, "upstreams"))
    others = _dict(upstreams.value)
    rest: Given = others.pop("default", Given({}, "upstreams.default"))
    return Given(others, upstreams.path), rest


def names(tables: Given) -> list[str]:
    """The entries of ``[upstreams]`` or ``[models]``, right or wrong."""
    return list(_dict(tables.value))


def _entries(given: Given, faults: list[str]) -> dict[str, Given]:
    if not isinstance(given.value, Mapping):
        faults.append(f"{given.path}: found {found(given.value)}, wanted a table")
        return {}
    return {str(name): Given(item, f"{given.path}.{key_path(str(name))}") for name, item in given.value.items()}


def _lift_default(entry: Given, given: dict[str, Given], faults: list[str]) -> Given:
    """Move address and key of the default upstream to the plain keys; what is left of its table."""
    if not isinstance(entry.value, Mapping | UpstreamConfig):
        return entry
    is_complete = isinstance(entry.value, UpstreamConfig)
    table = dict(entry.value) if isinstance(entry.value, Mapping) else entry.value.settings()
    for flat, inner in DEFAULT_UPSTREAM.items():
        if inner not in table:
            continue
        value = table.pop(inner)
        if flat in given and not (is_complete and given[flat].value == value):
            faults.append(f"{given[flat].path} and {entry.path}.{inner}: both given, wanted one of them")
        given[flat] = Given(value, f"{entry.path}.{inner}")
    return Given(table, entry.path)


def _dict(value: object) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}
