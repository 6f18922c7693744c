"""``chatproxy check``: everything that could stop a start or a request later, told now."""

from __future__ import annotations

import argparse

from chatproxy.app import create_app
from chatproxy.cli.launch import Launch
from chatproxy.cli.output import complain, logged_as_warnings, say, warn


def run_check(args: argparse.Namespace) -> int:
    """Read the configuration, load the plugins and put the application together; returns the exit code.

    Raises:
        StartupError: it cannot be put together.
    """
    launch = Launch.of(args)
    config = launch.config()
    warn(config.warnings)
    with logged_as_warnings():
        app = create_app(config)
    failed = [plugin for plugin in app.registry.found if plugin.status == "failed"]
    complain(f"{plugin.label} failed to load: {plugin.error}" for plugin in failed)
    if failed:
        return 1
    counts = [
        _count(len(config.upstreams), "upstream"),
        _count(len(config.models), "model") if config.models else "every model",
        _count(len(app.registry.loaded), "plugin"),
    ]
    say(f"ok: {', '.join(counts)}" + (f" ({launch.file})" if launch.file is not None else ""))
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
