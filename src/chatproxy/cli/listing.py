"""``chatproxy plugins`` and ``chatproxy hooks``: what is installed, and in which order it is called."""

from __future__ import annotations

import argparse
import json
from typing import Any

from chatproxy.cli.launch import Launch
from chatproxy.cli.output import complain, logged_as_warnings, say, table
from chatproxy.hookspecs import SPECS, HookSpec
from chatproxy.plugins.registry import PlacedImpl, Registry
from chatproxy.plugins.settings import plugin_configs


def run_plugins(args: argparse.Namespace) -> int:
    """List every plugin that was found; returns the exit code.

    Raises:
        StartupError: the configuration is wrong, or a plugin that is wanted cannot be used.
    """
    with logged_as_warnings():
        _, registry = Launch.of(args).registry()
    entries = plugin_entries(registry)
    if args.json:
        say(json.dumps(entries, indent=2))
        return 0
    if not entries:
        say("no plugins are installed")
        return 0
    columns = ("name", "version", "status", "origin", "distribution")
    rows = [[*(entry[key] or "-" for key in columns), ", ".join(entry["hooks"]) or "-"] for entry in entries]
    say(*table([*columns, "hooks"], rows))
    complain(f"plugin {entry['name']!r}: {entry['error']}" for entry in entries if entry["error"])
    return 0


def run_hooks(args: argparse.Namespace) -> int:
    """List each hook's implementations in their final order; returns the exit code.

    Raises:
        StartupError: the configuration is wrong, or a plugin that is wanted cannot be used.
    """
    with logged_as_warnings():
        config, registry = Launch.of(args).registry()
    registry.choose(plugin_configs(registry, config.plugins.tables))
    hooks = [hook_entry(spec, registry.placed[name]) for name, spec in SPECS.items()]
    if args.json:
        say(json.dumps(hooks, indent=2))
        return 0
    for hook in hooks:
        say(f"{hook['hook']} ({hook['kind']})" + ("" if hook["implementations"] else ": none"))
        rows = [_impl_row(place, entry) for place, entry in enumerate(hook["implementations"], start=1)]
        say(*(f"  {line}" for line in table(("", "plugin", "deadline", "on error", "why here"), rows) if rows))
    return 0


def plugin_entries(registry: Registry) -> list[dict[str, Any]]:
    """Every plugin that was found, loaded or not, as JSON values."""
    return [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "origin": plugin.origin,
            "location": plugin.location,
            "hooks": registry.hooks_of(plugin.name) if plugin.status == "loaded" else [],
            "error": plugin.error,
        }
        for plugin in registry.found
    ]


def hook_entry(spec: HookSpec, placed: tuple[PlacedImpl, ...]) -> dict[str, Any]:
    """One hook with its implementations in their final order, as JSON values; ``deadline_s`` is None for none."""
    return {
        "hook": spec.name,
        "kind": str(spec.kind),
        "implementations": [
            {
                "plugin": impl.plugin,
                "deadline_s": impl.policy.deadline_s,
                "on_error": impl.policy.on_error,
                "reason": reason,
                "overruled": list(dropped),
                "location": impl.location,
            }
            for impl, reason, dropped in placed
        ],
    }


def _impl_row(place: int, entry: dict[str, Any]) -> list[str]:
    deadline_s = entry["deadline_s"]
    deadline = "none" if deadline_s is None else f"{deadline_s:g} s"
    overruled = f" (not: {', '.join(entry['overruled'])})" if entry["overruled"] else ""
    return [f"{place}.", entry["plugin"], deadline, entry["on_error"], entry["reason"] + overruled]
