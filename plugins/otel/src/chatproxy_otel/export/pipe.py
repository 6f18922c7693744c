"""Pipe: telemetry from the event loop to a collector, by a bounded queue and a thread.

Rule: `put` neither waits nor fails. Every item that was put ends as exported or as dropped, and is counted once: what
waits includes what is being sent, and stays in the queue until the collector has answered. A batch that may be taken
later is kept and tried again; what comes in the meantime and finds no room is dropped.
OpenTelemetry's own batch processor is passed over: it loses a failed batch, and its flush knows no limit.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY, attach, set_value

from chatproxy_otel.export.outcome import Outcome, Sender, Verdict
from chatproxy_otel.export.retry import Retry
from chatproxy_otel.export.slices import Batch, encode_in_slices

T = TypeVar("T")

logger = logging.getLogger("chatproxy_otel")


class PipeStats(NamedTuple):
    """What a pipe has done so far, in this process.

    Attributes:
        signal: ``traces`` or ``logs``.
        waiting: items not yet answered for by the collector; at most ``capacity``.
        exported: items that the collector took.
        dropped: items lost: no room, refused, rejected in part, or left at the end.
    """

    signal: str
    waiting: int
    capacity: int
    exported: int
    dropped: int


class Limits(msgspec.Struct, frozen=True):
    """Sizes and times of a pipe.

    Attributes:
        capacity: items that wait, those being sent included.
        batch_size: items of one request at most.
        delay_s: a smaller batch waits so long for more.
        timeout_s: for one request.
    """

    capacity: int
    batch_size: int
    delay_s: float
    timeout_s: float


class Pipe(Generic[T]):
    """A queue and the thread that empties it. The thread begins with the first item, in the process that puts it."""

    def __init__(
        self, signal: str, limits: Limits, encode: Callable[[Sequence[T]], bytes], connect: Callable[[], Sender]
    ) -> None:
        """Starts nothing.

        Args:
            connect: called in the thread.
        """
        self._signal = signal
        self._limits = limits
        self._encode = encode
        self._connect = connect
        self._begin()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_calling(weakref.WeakMethod(self._begin)))

    def _begin(self) -> None:
        """The state of a process that has put nothing yet; a forked child has neither thread nor its parent's items."""
        self._lock = threading.RLock()  # for what logs where it is collected as garbage, while its thread is in `put`
        self._changed = threading.Condition(self._lock)
        self._items: deque[T] = deque()
        self._thread: threading.Thread | None = None
        self._sender: Sender | None = None
        self._retry = Retry(self._signal)
        self._exported = self._dropped = self._settled = 0
        self._flush_to = 0
        self._is_closing = self._is_over = False
        self._deadline = float("inf")

    @property
    def stats(self) -> PipeStats:
        """Counts, taken together."""
        with self._lock:
            return PipeStats(self._signal, len(self._items), self._limits.capacity, self._exported, self._dropped)

    def put(self, item: T) -> None:
        """Take an item; from any thread, within microseconds."""
        with self._lock:
            if self._is_over or self._is_closing or len(self._items) >= self._limits.capacity:
                self._dropped += 1
                return
            self._items.append(item)
            if len(self._items) == self._limits.batch_size:
                self._changed.notify_all()
            if self._thread is None:
                self._start()

    def flush(self, timeout_s: float) -> bool:
        """Wait until all that was put has been answered for; False where it takes longer. Not for the event loop."""
        with self._lock:
            until = self._settled + len(self._items)
            self._flush_to = max(self._flush_to, until)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_over or self._settled >= until, timeout_s)
            return self._settled >= until

    def close(self, timeout_s: float) -> None:
        """Export what waits, within a limit; count the rest as dropped. Not for the event loop; once is enough."""
        with self._lock:
            dropped = self._dropped
            self._deadline = time.monotonic() + timeout_s
            self._is_closing = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._items, timeout_s)
            is_cut_off = bool(self._items)
            self._give_up()
            sender, thread, lost = self._sender, self._thread, self._dropped - dropped
        if lost:
            logger.warning("%s: %d were not exported before the end and are lost", self._signal, lost)
        if is_cut_off and sender is not None:
            sender.interrupt()
        if thread is not None:
            thread.join(max(0.0, self._deadline - time.monotonic()))

    def _give_up(self) -> None:
        """Count what waits as dropped, and take nothing any more; the lock is held."""
        self._is_over = True
        self._dropped += len(self._items)
        self._items.clear()
        self._changed.notify_all()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name=f"otel-{self._signal}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads now; the next item tries again
            return
        self._thread = thread

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        attach(set_value(_SUPPRESS_INSTRUMENTATION_KEY, value=True))
        try:
            self._sender = sender = self._connect()
            try:
                while items := self._next():
                    batch = encode_in_slices(items, self._encode)
                    self._settle(batch, self._deliver(sender, batch))
            finally:
                sender.close()
        except Exception:  # a thread that ends unseen would leave everything waiting
            logger.exception("%s: exporting has failed for good; all is dropped from now on", self._signal)
            with self._lock:
                self._give_up()

    def _next(self) -> list[T]:
        """Wait for a batch; empty at the end."""
        due_at = time.monotonic() + self._limits.delay_s
        with self._lock:
            while not self._is_over:
                remaining_s = due_at - time.monotonic()
                is_due = remaining_s <= 0 or self._is_wanted or len(self._items) >= self._limits.batch_size
                if is_due and self._items:
                    return list(itertools.islice(self._items, self._limits.batch_size))
                if self._is_closing:
                    break
                if remaining_s <= 0:
                    due_at += self._limits.delay_s
                self._changed.wait(max(0.0, remaining_s))
        return []

    @property
    def _is_wanted(self) -> bool:
        return self._is_closing or self._settled < self._flush_to

    def _deliver(self, sender: Sender, batch: Batch) -> Outcome:
        if not batch.payload:
            return Outcome(Verdict.SENT)
        while True:
            was_closing = self._is_closing
            timeout_s = max(0.05, min(self._limits.timeout_s, self._deadline - time.monotonic()))
            outcome = sender.send(batch.payload, timeout_s)
            if outcome.verdict is Verdict.SENT:
                return outcome
            if self._is_over:
                return outcome
            self._retry.failed(outcome)
            if outcome.verdict is Verdict.REFUSED or not self._wait(outcome, was_closing=was_closing):
                return outcome

    def _wait(self, outcome: Outcome, *, was_closing: bool) -> bool:
        """Leave the collector alone for a while; False where the batch is to be given up.

        Args:
            was_closing: before the attempt; one at least is made after `close` was called.
        """
        wait_s = self._retry.wait_s(outcome)
        with self._lock:
            if not self._is_closing:
                flush_to = self._flush_to
                self._changed.wait_for(lambda: self._is_closing or self._flush_to != flush_to, wait_s)
            elif was_closing and (not outcome.was_reached or time.monotonic() + wait_s >= self._deadline):
                return False
            elif was_closing:
                self._changed.wait_for(lambda: self._is_over, wait_s)
            return not self._is_over

    def _settle(self, batch: Batch, outcome: Outcome) -> None:
        with self._lock:
            if self._is_over:  # all that was left has been counted
                return
            is_given_up = outcome.verdict is Verdict.UNAVAILABLE
            size = len(self._items) if is_given_up else batch.size
            lost = batch.spoilt + min(outcome.rejected, batch.size - batch.spoilt)
            if outcome.verdict is not Verdict.SENT:
                lost = size
            for _ in range(size):
                self._items.popleft()
            self._exported += size - lost
            self._dropped += lost
            self._settled += size
            dropped = self._dropped
            self._changed.notify_all()
        if outcome.verdict is Verdict.SENT:
            self._retry.succeeded(outcome, dropped)


def _calling(method: weakref.WeakMethod[Callable[[], None]]) -> Callable[[], None]:
    def call() -> None:
        if (found := method()) is not None:
            found()

    return call
