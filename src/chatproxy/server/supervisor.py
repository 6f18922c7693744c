"""Several worker processes on shared sockets: started, replaced when they crash, renewed one by one on SIGHUP.

Rule: no application, no event loop and no thread here, only processes and signals. The sockets stay open in this
process, so that no waiting connection is lost while a worker ends.

uvicorn's `Multiprocess` (0.54) is not used. It too has a new worker ready before an old one drains (earlier versions do
not), but it replaces a crashing worker without backing off, waits for a draining one without a limit and deaf to
signals, so that no second signal hurries it, and leaves its workers running when it is killed.

SIGTERM, SIGINT   every worker drains; a second one stops them at once
SIGHUP            for each worker a new one is started, and only when that is ready the old one drains
"""

from __future__ import annotations

import logging
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from chatproxy.server.accept import bind_sockets, urls_of
from chatproxy.server.options import AppFactory, OnReady, ServerOptions
from chatproxy.server.worker import STARTUP_FAILED, Worker, pack

logger = logging.getLogger("chatproxy.server")

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_MOST_FAILED_STARTS = 5
_EARLY_S = 5.0
_FIRST_DELAY_S = 0.05
_LONGEST_DELAY_S = 5.0
_STOP_MARGIN_S = 5.0
_TICK_S = 1.0


class Supervisor:
    """Keeps `options.workers` worker processes running until a signal.

    Args:
        app_factory: importable by name; run in every worker.
        on_ready: called once with the addresses, when all workers are ready.
    """

    def __init__(self, app_factory: AppFactory, options: ServerOptions, on_ready: OnReady | None = None) -> None:
        self._app_factory = app_factory
        self._packed_factory = b""
        self._options = options
        self._on_ready = on_ready
        self._sockets: list[socket.socket] = []
        self._selector = selectors.DefaultSelector()
        self._workers: dict[int, Worker] = {}
        self._leaving: set[Worker] = set()
        self._successors: dict[int, Worker] = {}
        self._to_renew: list[int] = []
        self._due: dict[int, float] = {}
        self._signals: list[int] = []
        self._stopped_by: list[int] = []
        self._failed_starts = 0
        self._early_ends = 0
        self._announced = False
        self._exit_code = 0

    def run(self) -> int:
        """Supervise until stopped.

        Returns:
            0 after an orderly stop, 1 if workers cannot start, 128 + the signal's number after a hurried stop.

        Raises:
            StartupError: the factory cannot be sent to workers, or the address cannot be bound.
        """
        self._packed_factory = pack(self._app_factory)
        self._sockets = bind_sockets(self._options.host, self._options.port)
        try:
            with self._receive_signals():
                self._due = dict.fromkeys(range(self._options.workers), 0.0)
                while self._due or self._workers or self._leaving or self._successors:
                    self._turn()
        finally:
            for sock in self._sockets:
                sock.close()
            self._selector.close()
        return self._exit_code

    @contextmanager
    def _receive_signals(self) -> Iterator[None]:
        """Collect signals in `_signals` and have each end the selector's wait."""
        wake, wakes = socket.socketpair()
        wake.setblocking(False)
        wakes.setblocking(False)
        self._selector.register(wake, selectors.EVENT_READ, None)

        def collect(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)

        before = {number: signal.signal(number, collect) for number in _SIGNALS}
        before_fd = signal.set_wakeup_fd(wakes.fileno(), warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(before_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            self._selector.unregister(wake)
            wake.close()
            wakes.close()

    def _turn(self) -> None:
        now = time.monotonic()
        for number in [number for number, due in self._due.items() if due <= now]:
            del self._due[number]
            self._workers[number] = self._start(number)
        timeout_s = min([_TICK_S, *(due - now for due in self._due.values())])
        for key, _ in self._selector.select(max(timeout_s, 0.0)):
            if isinstance(key.data, Worker):
                self._hear(key.data)
            else:
                self._drop_wakeups(key.fileobj)
        while self._signals:
            self._on_signal(self._signals.pop(0))
        now = time.monotonic()
        for worker in [*self._workers.values(), *self._leaving]:
            worker.kill_late(now)

    @staticmethod
    def _drop_wakeups(wake: object) -> None:
        if isinstance(wake, socket.socket):
            wake.recv(4096)

    def _start(self, number: int) -> Worker:
        worker = Worker(number, self._packed_factory, self._options, self._sockets)
        self._selector.register(worker.control, selectors.EVENT_READ, worker)
        return worker

    def _hear(self, worker: Worker) -> None:
        was_ready = worker.is_ready
        if not worker.read():
            self._on_end(worker)
        elif worker.is_ready and not was_ready:
            self._on_worker_ready(worker)

    def _on_worker_ready(self, worker: Worker) -> None:
        self._failed_starts = 0
        if self._successors.get(worker.number) is worker:
            del self._successors[worker.number]
            old = self._workers.get(worker.number)
            self._workers[worker.number] = worker
            if old is not None:
                self._retire(old)
            self._renew_next()
        ready = [each for each in self._workers.values() if each.is_ready]
        if not self._announced and len(ready) == self._options.workers:
            self._announced = True
            if self._on_ready is not None:
                self._on_ready(urls_of(self._sockets))

    def _on_end(self, worker: Worker) -> None:
        self._selector.unregister(worker.control)
        code = worker.reap()
        number = worker.number
        if worker in self._leaving:
            self._leaving.discard(worker)
            return
        if self._successors.get(number) is worker:
            del self._successors[number]
            self._to_renew.clear()
            logger.error("a new worker did not start (exit code %d): the old workers stay", code)
            return
        del self._workers[number]
        if self._stopped_by:
            return
        self._replace(worker, code)

    def _replace(self, worker: Worker, code: int) -> None:
        if not worker.is_ready:
            self._failed_starts += 1
            if not self._announced or self._failed_starts >= _MOST_FAILED_STARTS:
                logger.critical("worker %d did not start (exit code %d): giving up", worker.number, code)
                self._exit_code = STARTUP_FAILED
                self._stop(signal.SIGTERM)
                return
        is_early = time.monotonic() - worker.started_at < _EARLY_S
        self._early_ends = self._early_ends + 1 if is_early else 0
        delay_s = min(_FIRST_DELAY_S * 2**self._early_ends, _LONGEST_DELAY_S) if is_early else 0.0
        logger.error("worker %d (pid %d) ended with exit code %d: replacing it", worker.number, worker.pid, code)
        self._due[worker.number] = time.monotonic() + delay_s

    def _on_signal(self, number: int) -> None:
        if number != signal.SIGHUP:
            self._stop(number)
        elif not self._stopped_by and not self._successors:
            self._to_renew = sorted(self._workers)
            self._renew_next()

    def _renew_next(self) -> None:
        if self._to_renew and not self._stopped_by:
            number = self._to_renew.pop(0)
            self._successors[number] = self._start(number)

    def _retire(self, worker: Worker) -> None:
        self._leaving.add(worker)
        worker.stop(self._options.drain_timeout_s + self._options.shutdown_timeout_s + _STOP_MARGIN_S)

    def _stop(self, number: int) -> None:
        self._stopped_by.append(number)
        for sock in self._sockets:
            sock.close()
        if len(self._stopped_by) > 1 and not self._exit_code:
            self._exit_code = 128 + number
        self._due.clear()
        self._to_renew.clear()
        for successor in self._successors.values():
            self._retire(successor)
        self._successors.clear()
        limit_s = self._options.drain_timeout_s + self._options.shutdown_timeout_s + _STOP_MARGIN_S
        for worker in [*self._workers.values(), *self._leaving]:
            worker.stop(limit_s)
