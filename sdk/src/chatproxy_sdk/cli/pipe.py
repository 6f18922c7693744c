"""Pipe mode: one question, by argument or standard input; its answer to standard output, errors to standard error."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import aclosing

from chatproxy_sdk.cli.arguments import Options, UsageError
from chatproxy_sdk.cli.conversation import Conversation, Question
from chatproxy_sdk.cli.faults import described
from chatproxy_sdk.cli.texts import one_line, printable
from chatproxy_sdk.exceptions import ChatAPIException, ConfigurationError, MediaProcessingError

DONE, FAILED = 0, 1
_MOST_NAMES = 8


def run_pipe(conversation: Conversation, options: Options, program: str) -> int:
    """Ask and answer; returns the exit code.

    Raises:
        UsageError: there is nothing to ask, or no model to ask.
    """
    question = Question(_text(options), options.images)
    if not question.text.strip() and not question.images:
        raise UsageError("there is nothing to ask: give -p TEXT or standard input")
    try:
        return asyncio.run(_run(conversation, question, options, program))
    except OSError as exc:
        # What is left must not be flushed at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(exc, BrokenPipeError):  # who read the output has enough
            return DONE
        sys.stderr.write(f"{program}: standard output: {described(exc)}\n")
        return FAILED


def _text(options: Options) -> str:
    """The text of ``-p``, and below it what comes by standard input, unless that is a terminal."""
    given = [options.prompt] if options.prompt is not None else []
    if sys.stdin is not None and (not given or not sys.stdin.isatty()):
        given.append(sys.stdin.buffer.read().decode("utf-8-sig", errors="replace").rstrip("\r\n"))
    return "\n\n".join(text for text in given if text)


async def _run(conversation: Conversation, question: Question, options: Options, program: str) -> int:
    async with conversation.agent:
        writer = _Writer(is_quiet=options.wants_json)
        try:
            await _choose_model(conversation)
            since = len(conversation.agent.history)
            async with aclosing(conversation.texts(question)) as texts:
                async for text in texts:
                    writer.add(text)
        except (ConfigurationError, MediaProcessingError) as exc:
            raise UsageError(described(exc)) from exc
        except ChatAPIException as exc:
            writer.end()
            sys.stderr.write(f"{program}: {described(exc)}\n")
            return FAILED
        if options.wants_json:
            sys.stdout.write(json.dumps(conversation.known(writer.text, since=since), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        writer.end()
        return DONE


async def _choose_model(conversation: Conversation) -> None:
    """Take the server's only model where none was named.

    Raises:
        UsageError: it has none, or several.
    """
    if conversation.model is not None:
        return
    found = await conversation.model_ids()
    if len(found) != 1:
        shown = ", ".join(found[:_MOST_NAMES]) + (" …" if len(found) > _MOST_NAMES else "")
        raise UsageError(one_line(f"name a model with -m; the server has {shown or 'none'}"))
    conversation.model = found[0]


class _Writer:
    """Writes texts to standard output as they come; safe for a terminal where it is one.

    Attributes:
        text: all of them.
    """

    def __init__(self, *, is_quiet: bool) -> None:
        self._parts: list[str] = []
        self._is_quiet = is_quiet
        self._is_terminal = sys.stdout.isatty()

    @property
    def text(self) -> str:
        return "".join(self._parts)

    def add(self, text: str) -> None:
        """Write one text, at once."""
        self._parts.append(text)
        if not self._is_quiet:
            sys.stdout.write(printable(text) if self._is_terminal else text)
            sys.stdout.flush()

    def end(self) -> None:
        """End the last line, if anything was written and it is not ended."""
        if not self._is_quiet and self._parts and not self.text.endswith("\n"):
            sys.stdout.write("\n")
            sys.stdout.flush()
