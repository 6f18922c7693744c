"""The display of an answer that comes in pieces.

What is finished is printed once and scrolls away as all output does; only the block that still grows is drawn again.
"""

from __future__ import annotations

import asyncio
from time import monotonic
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.segment import Segment
from rich.text import Text

from chatproxy_sdk.cli.markdown import ChatMarkdown, split_finished
from chatproxy_sdk.cli.texts import printable

_SHORTEST_PAUSE_S = 1 / 15
_WAITING = Text("…", style="dim")
_SHARE = 4  # a drawing that takes long is followed by a pause of so many times that


class Display(Protocol):
    """Shows one answer, while its context lasts."""

    async def __aenter__(self) -> Self:
        """Begin."""

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Show what has not been shown; nothing is drawn again afterwards."""

    def add(self, text: str) -> None:
        """A further piece of the answer."""

    def note(self, line: str) -> None:
        """A line between the pieces, that is not the model's."""


def display_for(console: Console) -> Display:
    """The display that the terminal is able to show."""
    return PlainDisplay(console) if console.is_dumb_terminal or not console.is_terminal else MarkdownDisplay(console)


class PlainDisplay:
    """Writes pieces as they come; for terminals that cannot go back."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_within_line = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_line()

    def add(self, text: str) -> None:
        """Write it."""
        shown = printable(text)
        if shown:
            self._console.file.write(shown)
            self._console.file.flush()
            self._is_within_line = not shown.endswith("\n")

    def note(self, line: str) -> None:
        """Write it on a line of its own."""
        self._end_line()
        self._console.print(Text(line, style="dim"))

    def _end_line(self) -> None:
        if self._is_within_line:
            self._console.file.write("\n")
            self._console.file.flush()
        self._is_within_line = False


class MarkdownDisplay:
    """Draws Markdown as it grows, a few times in a second at most."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rest = ""
        self._has_printed = False
        self._changed = asyncio.Event()
        self._live = Live(_WAITING, console=console, auto_refresh=False, transient=True, redirect_stdout=False)
        self._painter: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._live.start(refresh=True)
        self._painter = asyncio.create_task(self._paint_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._painter is not None:
            self._painter.cancel()
            await asyncio.wait([self._painter])
        try:
            self._print(self._rest, "")
            if self._painter is not None and not self._painter.cancelled():
                self._painter.result()  # it has failed; it does not end otherwise
        finally:
            self._live.stop()

    def add(self, text: str) -> None:
        """Have it drawn soon."""
        self._rest += printable(text)
        self._changed.set()

    def note(self, line: str) -> None:
        """Print it below what has come so far."""
        with self._console:
            self._print(self._rest, "")
            self._print_above(Text(line, style="dim"))
            self._live.update(self._spaced(_WAITING), refresh=True)

    async def _paint_on(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            begun = monotonic()
            self._print(*split_finished(self._rest))
            await asyncio.sleep(max(_SHORTEST_PAUSE_S, _SHARE * (monotonic() - begun)))

    def _print(self, finished: str, rest: str) -> None:
        """Print for good what is finished, and draw below it what may change; at once, so that nothing flickers."""
        self._rest = rest
        with self._console:
            if finished.strip():
                self._print_above(ChatMarkdown(finished))
            self._live.update(self._spaced(_Tail(ChatMarkdown(rest))) if rest.strip() else Group(), refresh=True)

    def _print_above(self, renderable: RenderableType) -> None:
        self._live.update(Group(), refresh=True)
        self._console.print(self._spaced(renderable))
        self._has_printed = True

    def _spaced(self, renderable: RenderableType) -> RenderableType:
        """With an empty line between it and what was printed before."""
        return Group(Text(""), renderable) if self._has_printed else renderable


class _Tail:
    """The last lines, as many as the screen has room for."""

    def __init__(self, renderable: RenderableType) -> None:
        self._renderable = renderable

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._renderable, options.update(height=None), pad=False)
        for line in lines[-max(1, options.size.height - 2) :]:
            yield from line
            yield Segment.line()
