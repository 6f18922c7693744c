"""Entry: from the process's arguments to its exit code.

0 all is well; 1 something is wrong with configuration or plugins, one line each on standard error; 2 wrong usage;
130 interrupted; 128 + a signal's number after a stop that was hurried by a second signal.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from chatproxy.cli.arguments import CORE, make_parser
from chatproxy.cli.extras import plugin_commands
from chatproxy.cli.output import complain
from chatproxy.errors import StartupError

_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments without the program's name; None takes the process's.

    Returns:
        The exit code; wrong usage and ``--help`` return too, as every other end.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    _see_current_directory()
    try:
        return _run(arguments)
    except StartupError as exc:
        complain([str(exc)])
        return 1
    except SystemExit as stop:  # argparse ends this way, and so may a plugin's command
        return _code_of(stop)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _code_of(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return stop.code or 0
    complain([str(stop.code)])
    return 1


def _run(arguments: list[str]) -> int:
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    if name in {entry.name for entry in CORE} or arguments[:1] == ["--version"]:
        parser = make_parser()
    elif name is not None:
        parser = make_parser(plugin_commands(arguments))
    else:
        parser = _parser_for_help(arguments)
    args = parser.parse_args(arguments)
    code: int = args.run(args)
    return code


def _parser_for_help(arguments: list[str]) -> argparse.ArgumentParser:
    """With the commands of plugins; where they cannot be had, the help says so instead of failing."""
    try:
        return make_parser(plugin_commands(arguments))
    except StartupError as exc:
        return make_parser(note=f"The commands of plugins are missing here: {exc}")


def _see_current_directory() -> None:
    """Let ``module:object`` name a file of the current directory; it comes behind all that is installed."""
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)
