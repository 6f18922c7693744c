"""What begins with a slash: commands to the program, not to the model."""

from __future__ import annotations

import difflib
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from chatproxy_sdk.cli.conversation import Conversation
from chatproxy_sdk.cli.faults import CommandError
from chatproxy_sdk.cli.saving import save
from chatproxy_sdk.cli.texts import one_line, printable
from chatproxy_sdk.exceptions import ChatAPIException

_WORD = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|((?:\\.|[^\s\\])+))\s*""", re.DOTALL)
_URL = re.compile(r"(?:https?|data):", re.IGNORECASE)


class Command(NamedTuple):
    """A command: ``run`` gets what stands behind its name, and returns a text to ask, if there is one."""

    usage: str
    help: str
    run: Callable[[str], Awaitable[str | None]]


class Commands:
    """The commands of one conversation.

    Attributes:
        wants_end: whether the program shall end.
        table: each command by its name.
    """

    def __init__(self, conversation: Conversation, console: Console) -> None:
        self.wants_end = False
        self._conversation = conversation
        self._console = console
        self._model_ids: list[str] | None = None
        self.table = {
            "/model": Command("/model [id]", "list the models, or choose one", self._model),
            "/system": Command("/system [text]", 'show the system prompt, or set it; "" removes it', self._system),
            "/image": Command(
                "/image path [text]", "send an image with the next message, or with this text", self._image
            ),
            "/tools": Command("/tools [on|off]", "list the tools, or let the model call them or not", self._tools),
            "/stats": Command("/stats", "show requests, tokens and times", self._stats),
            "/save": Command("/save path", "save the conversation as .json or .md; /save! replaces a file", self._save),
            "/clear": Command("/clear", "begin a new conversation", self._clear),
            "/help": Command("/help", "show this", self._help),
            "/quit": Command("/quit", "leave; as Ctrl-D", self._quit),
        }

    async def run(self, line: str) -> str | None:
        """Do what the line says.

        Returns:
            A text to ask the model; None: there is none.

        Raises:
            CommandError: there is no such command, or it cannot be done.
        """
        name, *rest = line.split(maxsplit=1)
        argument = rest[0].strip() if rest else ""
        if name == "/save!":
            await self._save(argument, may_replace=True)
            return None
        command = self.table.get(name)
        if command is None:
            raise CommandError(self._unknown(name))
        return await command.run(argument)

    async def model_ids(self) -> list[str]:
        """The server's models, asked for once; none where it does not say."""
        if self._model_ids is None:
            try:
                self._model_ids = await self._conversation.model_ids()
            except ChatAPIException:
                return []
        return self._model_ids

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self.table, n=1, cutoff=0.4)
        advice = f"did you mean {near[0]}?" if near else "/help lists them"
        return one_line(f"there is no command {name[:40]}; {advice} (two slashes begin a message with one)")

    async def _model(self, argument: str) -> None:
        if argument:
            self._conversation.model = argument
            self._say(f"model: {one_line(argument)}")
            return
        self._model_ids = await self._conversation.model_ids()
        current = self._conversation.model
        others = [] if current is None or current in self._model_ids else [current]
        for model in [*self._model_ids, *others]:
            is_current = model == current
            note = "" if model in self._model_ids else "  (not in the server's list)"
            self._say(f"{'*' if is_current else ' '} {one_line(model)}{note}", style="bold" if is_current else "")
        if not self._model_ids:
            self._say("the server lists no models", style="dim")

    async def _system(self, argument: str) -> None:
        if argument:
            self._conversation.set_system("" if argument in {'""', "''"} else argument)
        self._say(
            f"system: {printable(self._conversation.system)}" if self._conversation.system else "no system prompt"
        )

    async def _image(self, argument: str) -> str | None:
        found = _path_and_rest(argument)
        if found is None:
            waiting = self._conversation.images
            self._say("\n".join(one_line(path) for path in waiting) if waiting else "usage: /image path [text]")
            return None
        path, text = found
        await self._conversation.attach(path)
        if not text:
            self._say(f"goes with the next message: {one_line(path)}")
        return text or None

    async def _tools(self, argument: str) -> None:
        if argument in {"on", "off"}:
            self._conversation.switch_tools(is_on=argument == "on")
        elif argument:
            raise CommandError("usage: /tools [on|off]")
        state = "on" if self._conversation.uses_tools else "off; /tools on lets the model call them"
        self._say(f"tools are {state}")
        grid = Table.grid(padding=(0, 2))
        for name, description in self._conversation.toolset.described():
            grid.add_row(Text(f"  {name}", style="bold"), Text(one_line(description.partition("\n\n")[0], 200)))
        self._console.print(grid)

    async def _stats(self, _: str) -> None:
        found = self._conversation.agent.get_stats()
        grid = Table.grid(padding=(0, 2))
        for name, value in found.items():
            unit = " s" if "latency" in name else ""
            shown = (
                f"{value:.1%}" if name == "success_rate" and value <= 1 else f"{value:.3f}" if unit else f"{value:g}"
            )
            grid.add_row(name.replace("_", " "), Text(f"{shown}{unit}", justify="right"))
        self._console.print(grid)

    async def _save(self, argument: str, *, may_replace: bool = False) -> None:
        found = _path_and_rest(argument)
        if found is None or found[1]:
            raise CommandError("usage: /save path.json or /save path.md; quotation marks go around blanks")
        path, messages = Path(found[0]), self._conversation.agent.history
        save(path, messages, model=self._conversation.model, may_replace=may_replace)
        self._say(f"saved: {one_line(str(path))}")

    async def _clear(self, _: str) -> None:
        self._conversation.agent.clear_history()
        self._conversation.images.clear()
        self._say("a new conversation")

    async def _help(self, _: str) -> None:
        grid = Table.grid(padding=(0, 2))
        for command in self.table.values():
            grid.add_row(Text(command.usage, style="bold"), Text(command.help))
        grid.add_row(Text("Alt-Enter", style="bold"), Text('a new line; so does Enter after """, up to the next """'))
        grid.add_row(Text("Ctrl-C", style="bold"), Text("stop the answer; at the prompt, clear the line"))
        self._console.print(grid)

    async def _quit(self, _: str) -> None:
        self.wants_end = True

    def _say(self, text: str, *, style: str = "") -> None:
        self._console.print(Text(text, style=style))


def _path_and_rest(argument: str) -> tuple[str, str] | None:
    """A path, which may stand in quotation marks, and what follows it; None where there is none."""
    match = _WORD.match(argument)
    if match is None:
        return None
    path = match[1] or match[2] or re.sub(r"\\(.)", r"\1", match[3] or "")
    return path if _URL.match(path) else str(_expanded(Path(path))), argument[match.end() :].strip()


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError:  # there is no such user
        return path
