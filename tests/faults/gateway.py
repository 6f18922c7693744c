"""The real gateway in a process of its own, what it writes, and what ``/proc`` says about it."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

import chatproxy
from tests.server.rawclient import Answer, RawClient

SOURCE = str(Path(chatproxy.__file__).parents[1])
PROBE = str(Path(__file__).with_name("probe.py"))
WAIT_S = 30.0
UPSTREAM_KEY = "canary-upstream-key-5b1c8f"
CLIENT_KEY = "canary-client-bearer-9d2e4a"


def settings(upstream_url: str, **keys: Any) -> str:
    """A configuration whose default upstream is here; more of the core's keys as arguments."""
    given = {"upstream_url": upstream_url, "upstream_api_key": UPSTREAM_KEY, **keys}
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in given.items())


class Gateway:
    """A running ``python -m chatproxy serve --config FILE --port 0``.

    Args:
        folder: gets the configuration and the log.
        config: the configuration's text.
        descriptors: its limit of open files.
    """

    def __init__(
        self,
        folder: Path,
        config: str,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        descriptors: int | None = None,
        starts: bool = True,
    ) -> None:
        folder.mkdir(exist_ok=True)
        file = folder / "chatproxy.toml"
        file.write_text(config)
        file.chmod(0o600)
        self.log_path = folder / "stderr.txt"
        self.since = 0  # where in the log the current test began

        command = ["serve", "--config", "chatproxy.toml", "--port", "0", "--log-format", "json", "--plugin", PROBE]
        shell = [] if descriptors is None else ["sh", "-c", f'ulimit -n {descriptors} && exec "$@"', "sh"]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*shell, sys.executable, "-m", "chatproxy", *command, *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": SOURCE, "CHATPROXY_DISABLED_PLUGINS": "*", **(environ or {})},
            )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        if bool(self.first_line) is not starts:
            self.stop()
            raise AssertionError(self.log)
        self.port = int(self.first_line.rsplit(":", 1)[1]) if starts else 0

    # Its process.

    @property
    def pid(self) -> int:
        """Of the process that was started: the only worker, or the supervisor."""
        return self.process.pid

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes of a supervisor."""
        found: list[psutil.Process] = psutil.Process(self.pid).children()
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

    def descriptors(self) -> int:
        """How many file descriptors it has open, those of its log apart: the first line of a kind opens one."""
        log = str(self.log_path)
        return sum(_target(link) != log for link in Path(f"/proc/{self.pid}/fd").iterdir())

    def memory_bytes(self) -> int:
        """Resident memory now."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def forget_peak(self) -> None:
        """Let `peak_bytes` count from now on."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_bytes(self) -> int:
        """The most resident memory since `forget_peak`."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) * 1024

    def holds(self) -> tuple[list[str], int]:
        """The tasks of its event loop and its number of descriptors, with nobody connected but this question."""
        tasks: list[str] = json.loads(self.get("/plugins/probe/state"))["tasks"]
        return tasks, self.descriptors()

    def holds_more_than(self, before: tuple[list[str], int], within_s: float = 5.0) -> str:
        """What it still holds beyond ``before`` once the time is over; empty as soon as that is nothing."""
        deadline = time.monotonic() + within_s
        while True:
            tasks, descriptors = self.holds()
            if len(tasks) <= len(before[0]) and descriptors <= before[1]:
                return ""
            if time.monotonic() > deadline:
                return f"tasks {tasks}, before {before[0]}; {descriptors} descriptors, before {before[1]}"
            time.sleep(0.02)

    # What it writes.

    @property
    def log(self) -> str:
        """What it wrote to its log so far."""
        return self.log_path.read_text()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The log's whole lines since the test began."""
        text = self.log[self.since :]
        whole: list[dict[str, Any]] = [json.loads(line) for line in text.split("\n")[:-1]]
        return whole

    async def exchanges(self, count: int) -> list[dict[str, Any]]:
        """Wait for this many lines of exchanges since the test began; they leave the gateway in their order."""

        def found() -> list[dict[str, Any]]:
            return [line for line in self.lines if line.get("event") == "exchange"]

        await until(lambda: len(found()) >= count)
        return found()

    async def mark(self) -> None:
        """Let the test begin here: everything told before is in the log."""
        number = f"mark-{time.monotonic_ns()}"
        await self.ask(f"x-request-id: {number}", data=b"")
        await until(lambda: number in self.log)
        self.since = len(self.log)

    # Its answers.

    def get(self, path: str) -> bytes:
        """The body of one answered GET; back when the gateway has closed the connection on its side, too."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S) as sock, sock.makefile("rb") as reader:
            sock.sendall(f"GET {path} HTTP/1.1\r\nhost: gateway\r\nconnection: close\r\n\r\n".encode())
            head, _, body = reader.read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head + body
        return body

    async def connect(self, **options: Any) -> RawClient:
        """A new client."""
        return RawClient(*await asyncio.open_connection("127.0.0.1", self.port, **options))

    async def open(self, *headers: str, data: bytes | None = None, **fields: Any) -> RawClient:
        """A client that has sent a chat request."""
        client = await self.connect()
        await client.send(post(chat(**fields) if data is None else data, *headers))
        return client

    async def ask(self, *headers: str, data: bytes | None = None, **fields: Any) -> Answer:
        """The answer to one chat request; whatever it is, no secret is in it."""
        client = await self.open(*headers, data=data, **fields)
        answer = await client.read_answer()
        client.close()
        for secret in (UPSTREAM_KEY, CLIENT_KEY):
            assert secret.encode() not in answer.body
            assert secret not in str(answer.headers)
        return answer


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed since it was listed
        return ""


async def until(is_true: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Poll for a fact outside this process."""
    async with asyncio.timeout(within_s):
        while not is_true():  # noqa: ASYNC110 - what another process does sets no event here
            await asyncio.sleep(0.02)


def chat(**fields: Any) -> bytes:
    """The body of a chat request."""
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def post(body: bytes, *headers: str, path: str = "/v1/chat/completions") -> bytes:
    """A whole request, with a bearer token that must never be shown."""
    lines = [
        f"POST {path} HTTP/1.1",
        "host: gateway",
        "content-type: application/json",
        f"authorization: Bearer {CLIENT_KEY}",
        f"content-length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape") + body


def listening() -> socket.socket:
    """A listening socket on a free port, for one upstream after another."""
    return socket.create_server(("127.0.0.1", 0), backlog=1024)
