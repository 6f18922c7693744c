"""Which of the two modes is meant: questions and answers at a terminal, or one question in a pipe."""

from __future__ import annotations

import io
import sys

from chatproxy_sdk.cli.arguments import Options, UsageError
from chatproxy_sdk.cli.conversation import Conversation
from chatproxy_sdk.cli.pipe import run_pipe
from chatproxy_sdk.cli.toolsets import Toolset, load_toolset
from chatproxy_sdk.exceptions import ConfigurationError


def run_chosen(options: Options, program: str) -> int:
    """Run in the mode that options and streams call for; returns the exit code.

    Raises:
        UsageError: the options cannot be used.
    """
    if sys.stdout is None:
        raise UsageError("standard output is closed")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or a locale that cannot show every letter
            stream.reconfigure(errors="replace")
    toolset = load_toolset(options.tools) if options.tools is not None else Toolset()
    try:
        conversation = Conversation(options, toolset)
    except ConfigurationError as exc:
        raise UsageError(exc.message) from exc
    if is_interactive(options):
        # Here and not above: a pipe needs no terminal, and half a second less.
        from chatproxy_sdk.cli.terminal import run_terminal  # noqa: PLC0415

        return run_terminal(conversation, options)
    return run_pipe(conversation, options, program)


def is_interactive(options: Options) -> bool:
    """Whether somebody sits at a terminal and wants to talk."""
    is_quiet = options.prompt is None and not options.wants_json
    return is_quiet and sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()
