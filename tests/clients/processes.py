"""Server processes of the client tests: start one, read its address, stop it.

Rule: a server says itself where it listens; only one that cannot is given a free port.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

ADDRESS = re.compile(r"http://127\.0\.0\.1:([1-9][0-9]*)")
START_TIMEOUT_S = 40.0
STOP_TIMEOUT_S = 20.0


class Server:
    """One child process in its own process group, with all of its output kept."""

    def __init__(self, argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        self._name = Path(argv[0]).name
        self._lines: list[str] = []
        self._address: str | None = None
        self._settled = threading.Event()
        self._process = subprocess.Popen(
            [str(part) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self._name}", daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """Everything written to standard output and standard error so far."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        """Process id, which is also the id of its process group."""
        return self._process.pid

    def address(self) -> str:
        """Wait for the first ``http://127.0.0.1:PORT`` in the output and return it.

        Raises:
            RuntimeError: the process ended, or said nothing within the start limit.
        """
        self._settled.wait(START_TIMEOUT_S)
        if self._address is None:
            self.kill()
            raise RuntimeError(f"{self._name} told no address; its output was:\n{self.output}")
        return self._address

    def stop(self) -> int:
        """Send SIGTERM, wait, and return the exit code; a process that stays is killed (-9)."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._finish()
        return self._process.returncode

    def kill(self) -> None:
        """End the whole process group at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_TIMEOUT_S)
        self._finish()

    def _finish(self) -> None:
        self._reader.join(STOP_TIMEOUT_S)
        if self._process.stdout is not None and not self._reader.is_alive():
            self._process.stdout.close()

    def _read(self) -> None:
        output = self._process.stdout
        if output is None:
            raise RuntimeError(f"{self._name} was started without a pipe")
        for line in output:
            self._lines.append(line)
            found = ADDRESS.search(line)
            if found and self._address is None:
                self._address = found.group(0)
                self._settled.set()
        self._settled.set()


def free_port() -> int:
    """A TCP port that was free a moment ago, for servers that cannot say which one they took."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
