"""Signals: Ctrl-C ends what runs, and not the program; those that end it leave the terminal in order."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Self

if sys.platform != "win32":
    import termios

_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Interrupts:
    """Takes the interrupts of the process while its context lasts; for the main thread."""

    def __init__(self) -> None:
        self._work: asyncio.Task[Any] | None = None
        self._was_stopped = False

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._program = asyncio.current_task()
        self._before = {number: signal.signal(number, self._ended) for number in _ENDING}
        self._before[signal.SIGINT] = signal.signal(signal.SIGINT, self._interrupted)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    async def run(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do the work; whether it came to its end, which it does not where it was interrupted."""
        self._was_stopped = False
        self._work = asyncio.ensure_future(work)
        try:
            with _without_echo():
                await self._work
        except asyncio.CancelledError:
            if not self._was_stopped:
                raise
            return False
        finally:
            self._work = None
        return True

    def _interrupted(self, _signal: int, _frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _ended(self, _signal: int, _frame: FrameType | None) -> None:
        if self._program is not None:
            self._loop.call_soon_threadsafe(self._program.cancel)

    def _stop(self) -> None:
        if self._work is not None:
            self._was_stopped = True
            self._work.cancel()


@contextmanager
def _without_echo() -> Iterator[None]:
    """Keep what is typed meanwhile off the screen; it stands in the next prompt."""
    if sys.platform == "win32" or not sys.stdin.isatty():
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    changed = [*before]
    changed[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
