"""Arguments: the parser of the command line, with the commands of core and plugins."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from chatproxy import __version__
from chatproxy.cli.checking import run_check
from chatproxy.cli.listing import run_hooks, run_plugins
from chatproxy.cli.serving import run_demo, run_serve

Run = Callable[[argparse.Namespace], int]
Configure = Callable[[argparse.ArgumentParser], Any]


class Entry(NamedTuple):
    """A command: ``configure`` adds its arguments to its own parser."""

    name: str
    help: str
    run: Run
    configure: Configure


def add_sources(parser: argparse.ArgumentParser, *, default_file: str = "./chatproxy.toml where there is one") -> None:
    """Add ``--config`` and ``--plugin``, which every command has."""
    parser.add_argument("--config", metavar="FILE", type=Path, help=f"a TOML file (default: {default_file})")
    parser.add_argument(
        "--plugin",
        metavar="PLUGIN",
        action="append",
        default=[],
        help="load this plugin too: the path of a .py file, module or module:object; may be repeated",
    )


def _configure_demo(parser: argparse.ArgumentParser) -> None:
    add_sources(parser, default_file="none, so that it runs the same everywhere")
    _configure_server(parser)


def _configure_server(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--host", help="address to listen on")
    parser.add_argument("--port", type=int, help="port to listen on; 0 takes a free one")
    parser.add_argument("--workers", type=int, metavar="N", help="processes that share the port")
    parser.add_argument("--log-format", choices=("auto", "json", "text"), help="auto: text on a terminal, else json")
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error", "critical"))


def _configure_serve(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    _configure_server(parser)
    parser.add_argument("--demo", action="store_true", help="add the built-in offline model 'demo'")


def _configure_listing(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument("--json", action="store_true", help="as JSON")


CORE = (
    Entry("serve", "serve requests until a signal", run_serve, _configure_serve),
    Entry("demo", "serve the built-in offline model: no key, no network", run_demo, _configure_demo),
    Entry("check", "check configuration and plugins; exit code 1 with a line for each fault", run_check, add_sources),
    Entry("plugins", "list the plugins that are installed or loaded", run_plugins, _configure_listing),
    Entry("hooks", "list each hook's implementations in their final order", run_hooks, _configure_listing),
)


def make_parser(more: Iterable[Entry] = (), *, note: str | None = None) -> argparse.ArgumentParser:
    """The parser of every command.

    Args:
        more: the commands of plugins.
        note: shown at the end of the help.
    """
    parser = argparse.ArgumentParser(
        prog="chatproxy",
        description="An OpenAI-compatible LLM gateway whose every behaviour is a plugin.",
        epilog=note,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"chatproxy {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for entry in (*CORE, *more):
        command = commands.add_parser(entry.name, help=entry.help, description=entry.help, allow_abbrev=False)
        entry.configure(command)
        command.set_defaults(run=entry.run)
    return parser
