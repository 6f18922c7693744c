"""Runs of the chat as processes that were forked by one which had imported it: see ``forkserver.py``."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

PROGRAM = Path(__file__).with_name("forkserver.py")
TIMEOUT_S = 20


class ForkServer:
    """Starts processes while its context lasts."""

    def __enter__(self) -> Self:
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.settimeout(TIMEOUT_S)
        with theirs:
            command = [sys.executable, "-P", str(PROGRAM), str(theirs.fileno())]
            self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        return self

    def __exit__(self, *_: object) -> None:
        self._channel.close()
        self._process.wait(TIMEOUT_S)

    def start(self, args: Sequence[str], streams: Sequence[int], *, env: Mapping[str, str], cwd: Path) -> Process:
        """Run the chat.

        Args:
            streams: descriptors of its standard input, output and errors; they may be closed here afterwards.
        """
        return Process(self._ask(streams, args=args, environ=env, cwd=str(cwd)), self)

    def exit_code(self, pid: int) -> int:
        """Of a process that has ended; that of a signal is negative."""
        return self._ask(wait=pid)

    def _ask(self, streams: Sequence[int] = (), /, **message: Any) -> int:
        socket.send_fds(self._channel, [json.dumps(message).encode()], streams)
        return int(json.loads(self._channel.recv(100)))


class Process:
    """One run of the chat."""

    def __init__(self, pid: int, server: ForkServer) -> None:
        self._pid = pid
        self._server = server
        self._handle = os.pidfd_open(pid)
        self._code: int | None = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; the program alone, and nobody else in its terminal."""
        signal.pidfd_send_signal(self._handle, number)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        if self._code is None:
            ended, _, _ = select.select([self._handle], [], [], TIMEOUT_S)
            assert ended, "it does not end"
            self._code = self._server.exit_code(self._pid)
        return self._code

    def close(self) -> None:
        """End it if it has not ended."""
        if self._code is None:
            self.signal(signal.SIGKILL)
            self.wait()
        os.close(self._handle)
