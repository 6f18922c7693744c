"""``chatproxy serve`` and ``chatproxy demo``."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Sequence

from chatproxy import __version__
from chatproxy.app import ChatproxyApp, create_app
from chatproxy.cli.launch import Launch, build
from chatproxy.cli.output import say, warn
from chatproxy.config import ProxyConfig
from chatproxy.logs import setup_logging
from chatproxy.server import AppFactory, ServerOptions, serve

_MOST_NAMES = 8


def run_serve(args: argparse.Namespace) -> int:
    """Serve until a signal; returns the exit code."""
    return _serve(Launch.of(args, is_demo=args.demo))


def run_demo(args: argparse.Namespace) -> int:
    """Serve the built-in model until a signal; returns the exit code."""
    return _serve(Launch.of(args, is_demo=True, takes_default_file=False))


def server_options(config: ProxyConfig) -> ServerOptions:
    """The part of the configuration that is the server's."""
    return ServerOptions(
        host=config.host,
        port=config.port,
        workers=config.workers,
        header_timeout_s=config.header_timeout_s,
        body_timeout_s=config.body_timeout_s,
        drain_timeout_s=config.drain_timeout_s,
        max_body_bytes=config.max_body_bytes,
        max_upload_bytes=config.max_upload_bytes,
    )


def banner(urls: Sequence[str], app: ChatproxyApp, *, is_demo: bool) -> list[str]:
    """What is printed when requests are answered: the address, a line to try, what is loaded."""
    lines = [f"chatproxy {__version__} listens on {', '.join(urls)}"]
    if is_demo:
        body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]})
        lines.append(f"Try: curl {urls[0]}/v1/chat/completions -H 'content-type: application/json' -d '{body}'")
    models = _listed(list(app.config.models)) or f"(all of {app.config.upstream_url})"
    plugins = _listed([plugin.name for plugin in app.registry.loaded]) or "(none)"
    return [*lines, f"Models: {models}   Plugins: {plugins}"]


def _serve(launch: Launch) -> int:
    """Put the application together once before anything listens, so that every fault is told once and in full."""
    config = launch.config()
    warn(config.warnings)
    setup_logging(config.log_format, config.log_level)
    app = create_app(config, demo=launch.is_demo)
    factory: AppFactory = (lambda: (app, app.gateway)) if config.workers == 1 else functools.partial(build, launch)
    return serve(factory, server_options(config), on_ready=lambda urls: say(*banner(urls, app, is_demo=launch.is_demo)))


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMES
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{shown} and {more} more" if more > 0 else shown
