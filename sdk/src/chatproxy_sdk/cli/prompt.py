"""The prompt: a line, or several, with history and completion."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import run_in_terminal
from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.history import FileHistory, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

FENCE = '"""'
_MAX_HISTORY_BYTES = 1 << 20

Words = Callable[[], Awaitable[Iterable[str]]]


class Prompt:
    """Asks for input; what was typed before comes back with the arrow keys.

    Args:
        completer: of what is typed.
        history: a file, or None for none.
    """

    def __init__(self, completer: Completer, history: Path | None) -> None:
        self._history = _History(history) if history is not None else InMemoryHistory()
        self._has_told = False
        self._session: PromptSession[str] = PromptSession(
            multiline=True,
            completer=completer,
            history=self._history,
            key_bindings=_keys(),
            prompt_continuation="  ",
            enable_suspend=True,
        )

    async def ask(self, message: str) -> str:
        """What is typed, without fences.

        Raises:
            EOFError: Ctrl-D on an empty line.
        """
        # An interrupt from outside is not for this line; Ctrl-C at the keyboard is a key here.
        return unfenced(_sound(await self._session.prompt_async(message, handle_sigint=False)))

    def new_problem(self) -> OSError | None:
        """Why what was typed is not kept; once."""
        problem = self._history.problem if isinstance(self._history, _History) and not self._has_told else None
        self._has_told = self._has_told or problem is not None
        return problem


class _History(FileHistory):
    """A file of what was typed, also of what is no UTF-8.

    Attributes:
        problem: why something was not kept.
    """

    problem: OSError | None = None

    def store_string(self, string: str) -> None:
        """Keep it, if that is possible."""
        try:
            super().store_string(_sound(string))
        except OSError as exc:
            self.problem = exc


def _sound(text: str) -> str:
    """The text with a replacement for each byte that was no UTF-8, which prompt_toolkit takes for half a letter."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def unfenced(text: str) -> str:
    """The text without blanks around it and, if it stands between fences, without those."""
    text = text.strip()
    if text.startswith(FENCE):
        return text.removeprefix(FENCE).removesuffix(FENCE).strip("\n")
    return text


def is_open(text: str) -> bool:
    """Whether the text begins with a fence that is not closed."""
    text = text.strip()
    return text.startswith(FENCE) and (len(text) < 2 * len(FENCE) or not text.endswith(FENCE))


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _send(event: KeyPressEvent) -> None:
        if is_open(event.current_buffer.text):
            event.current_buffer.newline(copy_margin=False)
        elif event.current_buffer.text.strip():
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _break(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-c")
    async def _clear(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            await run_in_terminal(lambda: event.app.output.write_raw("Ctrl-D or /quit ends the chat\r\n"))

    return keys


class CommandCompleter(Completer):
    """Completes commands, and what stands behind them.

    Args:
        commands: names, each with what it does.
        words: of a command's argument, by its name.
        paths: names of commands that take a path.
    """

    def __init__(self, commands: Mapping[str, str], words: Mapping[str, Words], paths: Iterable[str]) -> None:
        self._commands = commands
        self._words = words
        self._paths = frozenset(paths)
        self._path = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """Of a command's name, or of a path."""
        name, blank, argument = document.text_before_cursor.partition(" ")
        if not name.startswith("/") or "\n" in name:
            return
        if not blank:
            for command, description in self._commands.items():
                if command.startswith(name):
                    yield Completion(command, -len(name), display_meta=description)
        elif name in self._paths:
            yield from self._path.get_completions(Document(argument), complete_event)

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        """The same, and words that have to be asked for."""
        for completion in self.get_completions(document, complete_event):
            yield completion
        name, blank, argument = document.text_before_cursor.partition(" ")
        if blank and name in self._words:
            for word in await self._words[name]():
                if word.startswith(argument):
                    yield Completion(word, -len(argument))


def history_file(environ: Mapping[str, str]) -> Path:
    """The file of what was typed, made ready: for its owner only, and of bounded size.

    Raises:
        OSError: it cannot be made or read.

    Source: XDG Base Directory Specification, ``XDG_STATE_HOME``; a relative one is to be ignored.
    """
    named = Path(environ.get("XDG_STATE_HOME", ""))
    state = named if named.is_absolute() else Path.home() / ".local" / "state"
    path = state / "chatproxy" / "chat_history"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
    path.chmod(0o600)
    if path.stat().st_size > _MAX_HISTORY_BYTES:
        _shorten(path)
    return path


def _shorten(path: Path) -> None:
    """Keep the newer half, from the beginning of an entry."""
    kept = path.read_bytes()[-_MAX_HISTORY_BYTES // 2 :]
    start = kept.find(b"\n# ")
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(kept[max(start, 0) :])
    Path(name).replace(path)
