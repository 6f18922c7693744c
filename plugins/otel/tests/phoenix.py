"""Arize Phoenix for tests: installed once into an environment of its own, started offline, and read back over REST.

`PINS` holds what is installed; the environment lies in a cache outside of the repository, which
``CHATPROXY_CLIENT_CACHE`` names, and is found again as long as the pins and Python stay the same.

Rule: nothing of Phoenix is imported here; it is a process behind its ports.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import uv

PINS = Path(__file__).with_name("phoenix.txt")
INSTALL_TIMEOUT_S = 300
START_TIMEOUT_S = 180
STOP_TIMEOUT_S = 10
READY = "Uvicorn running on"
ASK_EVERY_S = 0.1
ASK_TIMES = 200

Span = dict[str, Any]


class Phoenix(NamedTuple):
    """A running one.

    Attributes:
        http: the endpoint of OTLP over HTTP, without the signal's path; the web pages and REST are there as well.
        grpc: the endpoint of OTLP over gRPC.
    """

    http: str
    grpc: str

    def spans(self, project: str, is_complete: Callable[[list[Span]], bool]) -> list[Span]:
        """Every span of a project, by start, once what has arrived is complete: Phoenix stores later than it answers.

        Raises:
            TimeoutError: with what has arrived.
        """
        pause = threading.Event()
        found: list[Span] = []
        with httpx.Client(base_url=self.http, trust_env=False) as client:
            for _ in range(ASK_TIMES):
                answer = client.get(f"/v1/projects/{project}/spans", params={"limit": 1000})
                if answer.status_code != httpx.codes.NOT_FOUND:  # the project comes with its first span
                    found = answer.raise_for_status().json()["data"]
                if found and is_complete(found):
                    return sorted(found, key=lambda span: (span["start_time"], span["parent_id"] or ""))
                pause.wait(ASK_EVERY_S)
        raise TimeoutError(f"project {project!r} holds {[span['name'] for span in found]}")


def install() -> Path:
    """Install `PINS` unless that was done before; the environment's folder."""
    known_by = hashlib.sha256(PINS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    default = Path.home() / ".cache" / "chatproxy-clients"
    folder = Path(os.environ.get("CHATPROXY_CLIENT_CACHE") or default) / f"phoenix-{known_by}"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two test runs never install into one folder
        if not (folder / "installed").exists():
            _uv(folder, "venv", "--clear", "--python", sys.executable, "venv")
            _uv(folder, "pip", "install", "--python", "venv", "--requirement", str(PINS))
            (folder / "installed").touch()
    return folder / "venv"


def _uv(folder: Path, *arguments: str) -> None:
    """Run uv in a folder, without what this repository wants of its own packages' versions."""
    environ = {name: value for name, value in os.environ.items() if name not in {"UV_CONSTRAINT", "UV_RESOLUTION"}}
    done = subprocess.run(
        [uv.find_uv_bin(), "--quiet", *arguments],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"uv {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")


@contextmanager
def running(folder: Path) -> Iterator[Phoenix]:
    """Start Phoenix with a database in memory; it asks nobody outside and keeps its files in ``folder``."""
    port, grpc_port = _free_ports()
    own = {
        "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
        "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        "PHOENIX_ENABLE_MCP_SERVER": "false",
        "PHOENIX_GRPC_PORT": str(grpc_port),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_SQL_DATABASE_URL": "sqlite:///:memory:",
        "PHOENIX_WORKING_DIR": str(folder),
    }
    skipped = ("OTEL_", "PHOENIX_", "PYTHON")  # with PYTHONDONTWRITEBYTECODE every start would compile it anew
    environ = {name: value for name, value in os.environ.items() if not name.startswith(skipped)}
    with _process([str(install() / "bin" / "phoenix"), "serve"], environ | own):
        yield Phoenix(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{grpc_port}")


@contextmanager
def _process(argv: list[str], environ: dict[str, str]) -> Iterator[None]:
    """A process in a group of its own that has said that it is ready."""
    child = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=environ,
        start_new_session=True,
    )
    said: list[str] = []
    settled = threading.Event()
    reader = threading.Thread(target=_listen, args=(child, said, settled), name="output of Phoenix", daemon=True)
    reader.start()
    try:
        settled.wait(START_TIMEOUT_S)
        if not any(READY in line for line in said):
            raise RuntimeError(f"Phoenix did not start:\n{''.join(said)}")
        yield
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(STOP_TIMEOUT_S)
        reader.join(STOP_TIMEOUT_S)
        if child.stdout is not None:
            child.stdout.close()


def _listen(child: subprocess.Popen[str], said: list[str], settled: threading.Event) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        said.append(line)
        if READY in line:
            settled.set()
    settled.set()


def _free_ports() -> tuple[int, int]:
    """Two TCP ports that were free a moment ago: Phoenix cannot say which ones it took."""
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        return first.getsockname()[1], second.getsockname()[1]
