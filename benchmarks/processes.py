"""Start and stop: the upstream, the targets and the load client, each pinned to its core.

Only processes started here are ended here, each by its own process group.
"""

import http.client
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks import proc
from benchmarks.load import Plan, Result
from benchmarks.payloads import surface_url
from benchmarks.targets import Target

TARGET_CORE = 1
LOAD_CORE = 0
_REPOSITORY = Path(__file__).resolve().parent.parent
_READY_LIMIT_S = 120
_STOP_LIMIT_S = 10
_CLIENT_LIMIT_S = 300
_POLL_S = 0.002
_IDLE_S = 1.0


class Running(msgspec.Struct):
    """A started target. CPU seconds are those spent up to the first answer, memory that of a second later."""

    target: Target
    pid: int
    start_cpu_s: float
    start_wall_s: float
    idle_rss_kib: float = 0

    @property
    def url(self) -> str:
        """The chat endpoint."""
        return surface_url(self.target.port)


def raise_descriptor_limit() -> None:
    """Allow this process and its children as many descriptors as the system lets it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def free_port() -> int:
    """Return a port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def upstream() -> Iterator[int]:
    """Run the mock upstream; yields its port."""
    command = [*_pinned(LOAD_CORE), sys.executable, "-m", "benchmarks.upstream"]
    process = subprocess.Popen(command, cwd=_REPOSITORY, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    try:
        yield int(process.stdout.readline())
    finally:
        _stop(process)


@contextmanager
def running(target: Target, *, core: int = TARGET_CORE) -> Iterator[Running]:
    """Run a target until the block ends.

    Raises:
        RuntimeError: it exits or does not answer in time; its log is in the target's folder.
    """
    log_path = target.folder / f"{target.name}.log"
    with log_path.open("wb") as log:
        begin_s = time.perf_counter()
        process = subprocess.Popen(
            [*_pinned(core), *target.command],
            cwd=target.folder,
            env={**os.environ, **target.env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait_until_ready(process, target, log_path)
            state = Running(target, process.pid, proc.cpu_s(process.pid), time.perf_counter() - begin_s)
            time.sleep(_IDLE_S)
            state.idle_rss_kib = proc.rss_bytes(process.pid) / 1024
            yield state
        finally:
            _stop(process)


def run_load(plan: Plan) -> Result:
    """Run the load client on its core.

    Raises:
        RuntimeError: the client failed; the text holds its last words.
    """
    output = on_load_core([sys.executable, "-m", "benchmarks.load", msgspec.json.encode(plan).decode()])
    return msgspec.json.decode(output, type=Result)


def on_load_core(command: list[str]) -> bytes:
    """Run a client program on the load core and return its output.

    Raises:
        RuntimeError: it failed; the text holds its last words.
        subprocess.TimeoutExpired: it did not end in time.
    """
    done = subprocess.run(
        [*_pinned(LOAD_CORE), *command], cwd=_REPOSITORY, capture_output=True, timeout=_CLIENT_LIMIT_S, check=False
    )
    if done.returncode:
        raise RuntimeError(f"load client failed: {done.stderr.decode()[-500:]}")
    return done.stdout


def get_json(port: int, path: str) -> dict[str, int]:
    """Fetch a small JSON object of counters."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return msgspec.json.decode(connection.getresponse().read(), type=dict[str, int])
    finally:
        connection.close()


def _wait_until_ready(process: subprocess.Popen[bytes], target: Target, log_path: Path) -> None:
    deadline = time.monotonic() + _READY_LIMIT_S
    while not _answers(target):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log_path.read_text(errors="replace")[-1500:]
            raise RuntimeError(f"{target.name} is not ready (exit code {process.poll()}):\n{tail}")
        time.sleep(_POLL_S)


def _answers(target: Target) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=5)
    try:
        connection.request("GET", target.ready_path)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _pinned(core: int) -> list[str]:
    """Return a prefix that binds a command to a core; a machine with one core measures unpinned."""
    return ["taskset", "-c", str(core)] if (os.cpu_count() or 1) > max(TARGET_CORE, LOAD_CORE) else []


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
