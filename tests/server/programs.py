"""Starts the served program, speaks to it with blocking sockets, and leaves no process behind."""

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[2]
WAIT_S = 30.0


def get(client: http.client.HTTPConnection, path: str) -> bytes:
    """The body of one answered GET."""
    client.request("GET", path)
    response = client.getresponse()
    assert response.status == 200
    return response.read()


class Program:
    """A running ``python -m tests.server.program``."""

    def __init__(self, folder: Path, **told: Any) -> None:
        self.log_path = folder / "stderr.txt"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.server.program", json.dumps({"port": 0, **told})],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.port = int(self.first_line.rsplit(":", 1)[1]) if self.first_line else 0

    @property
    def log(self) -> str:
        """What it wrote to its log so far."""
        return self.log_path.read_text()

    def connect(self) -> socket.socket:
        """A new connection; every operation on it has a limit."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S)

    def get(self, path: str) -> bytes:
        """The body of one answered GET on a connection of its own."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        with closing(client):
            return get(client, path)

    def open_stream(self) -> BinaryIO:
        """A stream whose head and first event have come."""
        with self.connect() as sock:
            sock.sendall(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            reader: BinaryIO = sock.makefile("rb")
        while reader.readline() != b"data: 1\n":
            pass
        return reader

    def wait_refused(self) -> None:
        """Wait until it no longer listens."""
        while True:
            try:
                self.connect().close()
            except (ConnectionRefusedError, ConnectionResetError):
                return

    def wait_log(self, pattern: str) -> re.Match[str]:
        """Wait until its log has what `pattern` finds."""
        while (found := re.search(pattern, self.log)) is None:
            assert self.process.poll() is None, self.log
        return found

    def signal(self, number: int) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Its exit code."""
        return self.process.wait(WAIT_S)

    def stop(self) -> None:
        """End it, gently first."""
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
            try:
                self.wait()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
