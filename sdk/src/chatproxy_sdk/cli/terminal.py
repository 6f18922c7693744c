"""The chat at a terminal: ask, show, go on, until somebody leaves."""

from __future__ import annotations

import asyncio
import os
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from chatproxy_sdk.cli.arguments import Options
from chatproxy_sdk.cli.commands import Commands
from chatproxy_sdk.cli.conversation import Conversation, Question, unnoticed
from chatproxy_sdk.cli.display import Display, display_for
from chatproxy_sdk.cli.faults import CommandError, described
from chatproxy_sdk.cli.interrupts import Interrupts
from chatproxy_sdk.cli.prompt import CommandCompleter, Prompt, history_file
from chatproxy_sdk.cli.texts import one_line
from chatproxy_sdk.exceptions import ChatAPIException

TERMINATED = 143
_USUAL_ENDS = (None, "stop", "tool_calls", "function_call")
_MOST_ARGUMENTS_CHARS = 200


def run_terminal(conversation: Conversation, options: Options) -> int:
    """Chat until somebody leaves; returns the exit code."""
    try:
        return asyncio.run(_run(conversation, options))
    except asyncio.CancelledError:  # by a signal; the terminal is as it was before
        return TERMINATED


async def _run(conversation: Conversation, options: Options) -> int:
    async with conversation.agent:
        with Interrupts() as interrupts:
            terminal = Terminal(conversation, interrupts)
            await interrupts.run(terminal.begin(options.images))
            await terminal.talk(terminal.prompt(keeps_history=options.keeps_history))
    return 0


class Terminal:
    """One conversation at the terminal."""

    def __init__(self, conversation: Conversation, interrupts: Interrupts) -> None:
        self._conversation = conversation
        self._interrupts = interrupts
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._commands = Commands(conversation, self._console)
        self._asked = Question("")
        self._since = 0  # messages before it was asked
        self._shown: list[str] = []

    def prompt(self, *, keeps_history: bool) -> Prompt:
        """The prompt, with completion of what this conversation knows."""
        completer = CommandCompleter(
            {name: command.help for name, command in self._commands.table.items()},
            {"/model": self._commands.model_ids, "/tools": _switches},
            ("/image", "/save", "/save!"),
        )
        return Prompt(completer, self._history() if keeps_history else None)

    async def begin(self, images: tuple[str, ...]) -> None:
        """Say who is there; take the server's only model where none was named."""
        self._console.print(Text(f"chatproxy-chat at {one_line(self._conversation.base_url)}", style="bold"))
        try:
            if self._conversation.model is None:
                await self._choose_model()
            for path in images:
                await self._conversation.attach(path)
        except ChatAPIException as exc:
            self._complain(described(exc))
        model = self._conversation.model
        chosen = (
            f"model: {one_line(model)}" if model else "no model is chosen yet: /model lists them, /model id takes one"
        )
        self._console.print(Text(f"{chosen}   /help for commands, Ctrl-D to leave\n", style="dim"))

    async def talk(self, prompt: Prompt) -> None:
        """Ask and answer until somebody leaves."""
        while not self._commands.wants_end:
            try:
                line = await prompt.ask(self._message())
            except EOFError:
                return
            if problem := prompt.new_problem():
                self._complain(f"what is typed is not kept: {described(problem)}")
            self._shown = []
            if not await self._interrupts.run(self._handle(line)):
                await self._after_stop()
            self._console.print()

    async def _choose_model(self) -> None:
        found = await self._conversation.model_ids()
        if len(found) == 1:
            self._conversation.model = found[0]

    def _message(self) -> str:
        count = len(self._conversation.images)
        return f"[{count} image{'' if count == 1 else 's'}] > " if count else "> "

    async def _handle(self, line: str) -> None:
        """Do what was typed; whatever fails is one line, and the program goes on."""
        try:
            is_command = line.startswith("/") and not line.startswith("//")
            text = await self._commands.run(line) if is_command else line.removeprefix("/")
            if text is not None:
                await self._ask(text)
        except (ChatAPIException, CommandError, OSError) as exc:
            self._complain(described(exc))

    async def _ask(self, text: str) -> None:
        if self._conversation.model is None:
            raise CommandError("no model is chosen: /model lists them, /model id takes one")
        self._asked = Question(text, tuple(self._conversation.images))
        self._since = len(self._conversation.agent.history)
        try:
            async with display_for(self._console) as display:
                self._conversation.on_call = partial(self._note_call, asyncio.get_running_loop(), display)
                async with aclosing(self._conversation.texts(self._asked)) as texts:
                    async for piece in texts:
                        self._shown.append(piece)
                        display.add(piece)
        finally:
            self._conversation.on_call = unnoticed
        self._conversation.images.clear()
        self._tell_end()

    def _note_call(
        self, loop: asyncio.AbstractEventLoop, display: Display, name: str, arguments: dict[str, Any]
    ) -> None:
        said = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        loop.call_soon_threadsafe(display.note, one_line(f"→ {name}({said})", _MOST_ARGUMENTS_CHARS))

    def _tell_end(self) -> None:
        """Say so where an answer is empty or ended otherwise than usual."""
        known = self._conversation.known("".join(self._shown))
        if not known["text"].strip():
            self._console.print(Text("(no text)", style="yellow"))
        if known["finish_reason"] not in _USUAL_ENDS:
            self._console.print(Text(f"(ended by: {one_line(str(known['finish_reason']))})", style="yellow"))

    async def _after_stop(self) -> None:
        """What came of the answer is part of the conversation; one that had not begun has not been asked for.

        At the very end of an answer it may be part of it already.
        """
        self._console.print(Text("(stopped)", style="yellow"))
        text = "".join(self._shown)
        try:
            if text and len(self._conversation.agent.history) == self._since:
                await self._conversation.keep(self._asked, text)
            if text:
                self._conversation.images.clear()
        except ChatAPIException as exc:
            self._complain(described(exc))

    def _history(self) -> Path | None:
        try:
            return history_file(os.environ)
        except (OSError, RuntimeError) as exc:  # RuntimeError: there is no home directory
            self._complain(f"what is typed is not kept: {exc}")
            return None

    def _complain(self, text: str) -> None:
        self._console.print(Text(f"error: {one_line(text)}", style="red"))


async def _switches() -> tuple[str, ...]:
    return ("on", "off")
