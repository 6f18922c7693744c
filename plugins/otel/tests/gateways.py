"""Gateway processes for tests: this plugin, and those of `beside`, installed by entry points of a folder."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
STOP_TIMEOUT_S = 20
BESIDE = Path(__file__).with_name("beside.py")


class Gateway(NamedTuple):
    """A running gateway."""

    url: str
    process: subprocess.Popen[str]


def installed(folder: Path) -> Path:
    """A folder of packages that has the plugins of `beside`."""
    packages = folder / "packages"
    metadata = packages / "beside-1.0.dist-info"
    metadata.mkdir(parents=True)
    (packages / "beside.py").write_text(BESIDE.read_text())
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: beside\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[chatproxy]\nclock = beside:clock\nguard = beside:guard\n")
    return packages


@contextmanager
def running_gateway(
    folder: Path, toml: str, *, workers: int = 1, environment: Mapping[str, str] | None = None
) -> Iterator[Gateway]:
    """A gateway; it must stop by itself when it is told to, and leave no traceback."""
    config = folder / "chatproxy.toml"
    config.write_text(toml)
    command = [sys.executable, "-m", "chatproxy", "serve", "--config", str(config), "--port", "0"]
    command += ["--workers", str(workers)]
    own = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    env = {**own, "PYTHONPATH": str(installed(folder)), **(environment or {})}
    said: list[str] = []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, env=env, **pipes) as process:  # type: ignore[call-overload]
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if found := ADDRESS.search(line):
                break
        else:
            raise RuntimeError(f"the gateway did not start:\n{''.join(said)}")
        reader = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        reader.start()
        try:
            yield Gateway(found[0], process)
        finally:
            process.send_signal(signal.SIGTERM)
            kill = threading.Timer(STOP_TIMEOUT_S, process.kill)
            kill.start()
            process.wait()
            kill.cancel()
            reader.join(STOP_TIMEOUT_S)
    output = "".join(said)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
