"""Watchdog: notices what a deadline cannot stop, and names the plugin that does it.

A thread of its own watches three things: an event loop that is blocked, memory that jumps, tasks that pile up. It
reports (log, counters); it ends nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import CodeType
from typing import Any

from chatproxy.plugins.impl import Impl, PluginState

logger = logging.getLogger("chatproxy.plugins")

SAMPLE_S = 0.25
BLOCKED_S = 1.0
MEMORY_JUMP_BYTES = 256 << 20
TASKS_PER_PLUGIN = 1_000
TASKS_EVERY = 20  # samples

_PAGE_BYTES = 4096
_STATM = Path("/proc/self/statm")


class Watchdog:
    """Watches the event loop it is started on.

    Args:
        impls: every implementation, to know whose file a piece of code is in.
        states: of the plugins, for who was called lately.

    Attributes:
        blocked: how often each culprit blocked the loop for over a second; ``""`` where it was no plugin.
    """

    def __init__(self, impls: Iterable[Impl], states: Mapping[str, PluginState]) -> None:
        self._owners = _owners(impls)
        self._states = states
        self._calls: dict[str, int] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._answered_at = 0.0
        self._memory_bytes = 0
        self._reported_block = False
        self.blocked: Counter[str] = Counter()
        self.leaks: dict[str, int] = {}

    def start(self) -> None:
        """Begin; call it on the loop to be watched."""
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._answered_at = time.monotonic()
        self._memory_bytes = _resident_bytes()
        self._thread = threading.Thread(target=self._watch, name="chatproxy-watchdog", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=2 * SAMPLE_S)

    def _watch(self) -> None:
        samples = 0
        while not self._stop.wait(SAMPLE_S):
            samples += 1
            try:
                if self._loop is not None:
                    self._loop.call_soon_threadsafe(self._answer, samples % TASKS_EVERY == 0)
            except RuntimeError:  # the loop was closed under us
                return
            self._check_block()
            self._check_memory()

    def _answer(self, count_tasks: bool) -> None:
        self._answered_at = time.monotonic()
        self._reported_block = False
        if count_tasks:
            self._check_tasks()

    def _check_block(self) -> None:
        silent_s = time.monotonic() - self._answered_at
        if silent_s < BLOCKED_S or self._reported_block:
            return
        self._reported_block = True
        plugin, place = self._culprit()
        self.blocked[plugin] += 1
        who = f"plugin {plugin!r}" if plugin else "no plugin's code"
        logger.error("the event loop has been blocked for %.1f s by %s (%s)", silent_s, who, place)

    def _check_memory(self) -> None:
        before, self._memory_bytes = self._memory_bytes, _resident_bytes()
        called = [name for name, state in self._states.items() if state.calls != self._calls.get(name, 0)]
        self._calls = {name: state.calls for name, state in self._states.items()}
        if self._memory_bytes - before >= MEMORY_JUMP_BYTES:
            plugin, _ = self._culprit()
            suspects = [plugin] if plugin else called
            grown_mib = (self._memory_bytes - before) >> 20
            logger.error("memory grew by %d MiB within %.2f s; plugins that ran: %s", grown_mib, SAMPLE_S, suspects)

    def _check_tasks(self) -> None:
        """Count tasks by the plugin whose code they run."""
        counts: Counter[str] = Counter()
        for task in asyncio.all_tasks(self._loop):
            code = getattr(task.get_coro(), "cr_code", None)
            if code is not None and (plugin := self._owner(code)):
                counts[plugin] += 1
        for plugin, count in counts.items():
            if count >= max(TASKS_PER_PLUGIN, 2 * self.leaks.get(plugin, 0)):
                self.leaks[plugin] = count
                logger.error("plugin %r has %d tasks running: does it leak them?", plugin, count)

    def _culprit(self) -> tuple[str, str]:
        """The plugin nearest to where the loop's thread is, and that place."""
        frames = sys._current_frames()  # noqa: SLF001 - documented in the library reference
        frame = innermost = frames.get(self._loop_thread)
        place = "unknown place"
        while frame is not None:
            plugin = self._owner(frame.f_code)
            if plugin:
                return plugin, f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
        if innermost is not None:
            place = f"{innermost.f_code.co_filename}:{innermost.f_lineno}"
        return "", place

    def _owner(self, code: CodeType) -> str:
        return self._owners.get(code.co_filename, "")


def _owners(impls: Iterable[Impl]) -> dict[str, str]:
    """Which plugin each source file belongs to: a whole package for a plugin that is one."""
    owners: dict[str, str] = {}
    for impl in impls:
        function: Any = impl.original
        module = sys.modules.get(getattr(function, "__module__", "") or "")
        package = (getattr(module, "__package__", "") or "").partition(".")[0]
        code = getattr(function, "__code__", None)
        if code is not None:
            owners.setdefault(code.co_filename, impl.plugin)
        if package.startswith("chatproxy_"):
            prefix = package + "."
            for name, other in sys.modules.copy().items():  # other threads may import; a copy is made at once
                path = getattr(other, "__file__", None)
                if path and (name == package or name.startswith(prefix)):
                    owners.setdefault(path, impl.plugin)
    return owners


def _resident_bytes() -> int:
    """Resident memory of this process; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, IndexError, ValueError):
        return 0
