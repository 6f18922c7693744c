"""A worker process, from both sides: how the supervisor starts one, and what runs in it.

Rule: a worker is a fresh interpreter (`python -m chatproxy.server`), never a fork of a process with threads or an
event loop. It gets one pickle over a private socket pair: the application's factory, which must be importable by
name with picklable arguments, and the options. Over the same pair it says when it is ready; the pair's end tells
either side that the other is gone, so a worker whose supervisor was killed drains and ends as well.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from chatproxy.errors import StartupError
from chatproxy.server.options import AppFactory, ServerOptions
from chatproxy.server.process import Server, serve_process

logger = logging.getLogger("chatproxy.server")

STARTUP_FAILED = 1

_READY = b"R"
_REAP_S = 5.0


def pack(app_factory: AppFactory) -> bytes:
    """Pickle a factory for worker processes.

    Raises:
        StartupError: it cannot be pickled, or only by a name in ``__main__``, which is another module in a worker.
    """
    try:
        packed = pickle.dumps(app_factory)
    except (pickle.PicklingError, AttributeError, TypeError) as exc:
        raise StartupError(f"several workers need an application factory that can be pickled: {exc}") from exc
    if b"__main__" in packed:
        raise StartupError("several workers need an application factory from an imported module, not from __main__")
    return packed


class Worker:
    """A running worker process, as its supervisor sees it.

    Args:
        number: what logs call it.
        packed_factory: from `pack`.
        sockets: the bound sockets it shares with the others.
    """

    def __init__(
        self, number: int, packed_factory: bytes, options: ServerOptions, sockets: Sequence[socket.socket]
    ) -> None:
        self.number = number
        self.is_ready = False
        self.started_at = time.monotonic()
        self.stop_by = float("inf")
        self.control, theirs = socket.socketpair()
        descriptors = [sock.fileno() for sock in sockets]
        search_path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", "chatproxy.server", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": search_path},
                pass_fds=[theirs.fileno(), *descriptors],
                start_new_session=True,  # a terminal's Ctrl-C goes to the supervisor alone
            )
        self.pid = self._process.pid
        payload = pickle.dumps((os.environ.get("PYTHONPATH"), descriptors, options, packed_factory))
        try:
            self.control.sendall(payload)
        except OSError:
            self._process.kill()  # it is dying already; its end is noticed as any other's

    def fileno(self) -> int:
        """The control socket's descriptor, for a selector."""
        return self.control.fileno()

    def read(self) -> bool:
        """Take what the worker says; False once it is gone."""
        try:
            said = self.control.recv(16)
        except OSError:
            said = b""
        self.is_ready = self.is_ready or said.startswith(_READY)
        return bool(said)

    def stop(self, within_s: float) -> None:
        """Ask for an orderly stop (asked twice: at once); `kill_late` ends what goes on after `within_s`."""
        self.stop_by = min(self.stop_by, time.monotonic() + within_s)
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill_late(self, now: float) -> None:
        """Kill a worker that did not stop in its time."""
        if now >= self.stop_by:
            self._process.kill()

    def reap(self) -> int:
        """Wait for a worker that is gone; its exit code, or minus a signal's number."""
        self.control.close()
        try:
            return self._process.wait(_REAP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


def run_worker(control_fd: int) -> int:
    """Serve as a worker: read the pickle from the control socket, run, report readiness; returns the exit code."""
    with socket.socket(fileno=control_fd) as control:
        with control.makefile("rb", buffering=0) as reader:
            python_path, descriptors, options, packed_factory = pickle.load(reader)  # noqa: S301 - our own parent's
        if python_path is None:
            os.environ.pop("PYTHONPATH", None)
        else:
            os.environ["PYTHONPATH"] = python_path
        app_factory: AppFactory = pickle.loads(packed_factory)  # noqa: S301 - our own parent's
        control.setblocking(False)

        def on_ready(server: Server) -> None:
            def on_control() -> None:
                if not control.recv(16):
                    asyncio.get_running_loop().remove_reader(control)
                    server.request_stop()

            asyncio.get_running_loop().add_reader(control, on_control)
            control.send(_READY)

        sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
        try:
            return serve_process(app_factory, options, sockets=sockets, on_ready=on_ready)
        except StartupError as exc:
            logger.critical("%s", exc)
            return STARTUP_FAILED
