"""Entry: from arguments to an exit code.

0 all is well; 1 the server or the connection failed; 2 wrong usage, or the extra ``cli`` is not installed;
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from chatproxy_sdk.cli.arguments import UsageError, configure, read_options
from chatproxy_sdk.cli.texts import one_line

PROGRAM = "chatproxy-chat"
FAILED, USAGE, INTERRUPTED = 1, 2, 130
_NEEDED = ("prompt_toolkit", "rich")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``chatproxy-chat``.

    Args:
        argv: the arguments without the program's name; None takes the process's.

    Returns:
        The exit code; wrong usage and ``--help`` return too, as every other end.
    """
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="Chat with a model, at the terminal or in a pipe.", allow_abbrev=False
    )
    configure(parser)
    try:
        args = parser.parse_args(argv)
    except SystemExit as stop:  # argparse ends this way, also after --help
        return stop.code if isinstance(stop.code, int) else USAGE
    return run(args)


def run(args: argparse.Namespace, *, program: str = PROGRAM, base_url: str | None = None) -> int:
    """Run with parsed arguments; returns the exit code.

    Args:
        program: what its errors begin with.
        base_url: of the server, where neither the arguments nor the environment name one.
    """
    if any(find_spec(name) is None for name in _NEEDED):
        sys.stderr.write(f"{program}: it needs more packages: pip install 'chatproxy-sdk[cli]'\n")
        return USAGE
    # Here and not above: what follows needs those packages.
    from chatproxy_sdk.cli.modes import run_chosen  # noqa: PLC0415

    try:
        return run_chosen(read_options(args, os.environ, base_url=base_url), program)
    except UsageError as exc:
        sys.stderr.write(f"{program}: {one_line(str(exc))}\n")
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
