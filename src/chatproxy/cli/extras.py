"""The commands that plugins bring by the hook ``commands``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from chatproxy.cli.arguments import CORE, Entry, Run, add_sources
from chatproxy.cli.launch import Launch
from chatproxy.cli.output import logged_as_warnings
from chatproxy.errors import PluginError
from chatproxy.plugins.impl import Impl
from chatproxy.plugins.registry import find_duplicates
from chatproxy.plugins.settings import plugin_configs
from chatproxy.types.model import Command


class _Settings(NamedTuple):
    """What a command gets of the configuration."""

    plugin_config: Any
    config_file: Path | None


def plugin_commands(arguments: Sequence[str]) -> list[Entry]:
    """The commands of every plugin; each gets its plugin's configuration as ``args.plugin_config``.

    The file it was read from is ``args.config_file``; None where there is none.

    Args:
        arguments: of the command line; ``--config`` and ``--plugin`` among them are read.

    Raises:
        StartupError: the configuration is wrong, a plugin cannot be used, or a command's name is taken.
    """
    with logged_as_warnings():
        config, registry = Launch.of(_sources(arguments)).registry()
    configs = plugin_configs(registry, config.plugins.tables)
    found = [(impl, command) for impl, commands in registry.collect("commands") for command in commands]
    for impl, command in found:
        if not isinstance(command, Command):
            raise PluginError(f"plugin {impl.plugin!r}: commands must return Command objects, found {command!r}")
    names = [("chatproxy", entry.name) for entry in CORE] + [(impl.plugin, command.name) for impl, command in found]
    find_duplicates(names, "command")
    return [_entry(impl, command, _Settings(configs[impl.plugin], config.source)) for impl, command in found]


def _sources(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_sources(parser)
    return parser.parse_known_args(arguments)[0]


def _entry(impl: Impl, command: Command, settings: _Settings) -> Entry:
    def configure(parser: argparse.ArgumentParser) -> None:
        add_sources(parser)
        if command.configure is None:
            return
        try:
            command.configure(parser)
        except (argparse.ArgumentError, TypeError, ValueError) as exc:
            raise PluginError(f"plugin {impl.plugin!r}: command {command.name!r}: {exc} ({impl.location})") from exc

    return Entry(command.name, command.help, _run_with(command.run, settings), configure)


def _run_with(run: Run, settings: _Settings) -> Run:
    def run_command(args: argparse.Namespace) -> int:
        args.plugin_config, args.config_file = settings
        return run(args)

    return run_command
