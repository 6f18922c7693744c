"""The gateways that are compared: the same but for the plugin, its settings and its collector.

Rule: nothing is started here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.targets import Target

Name = Literal["without", "empty hooks", "unsampled", "sampled", "content", "refused", "errors", "slow"]

REPOSITORY = Path(__file__).resolve().parents[2]
HUGE_QUEUE = 100_000
"""Where nothing may be dropped, because what is dropped costs nothing."""

_UPSTREAM = """\
upstream_url = "http://127.0.0.1:{port}/v1"
upstream_api_key = "sk-bench"

[plugins]
"""
_OTEL = """\
enabled = ["otel"]

[plugins.otel]
endpoint = "http://127.0.0.1:{port}"
delay_s = 0.5
"""
_SETTINGS: dict[Name, str] = {
    "unsampled": 'sampler = "always_off"\n',
    "content": 'capture_content = "span_only"\n',
}


def config(name: Name, upstream_port: int, sink_ports: Sequence[int], *, queue_size: int | None = None) -> str:
    """A gateway's configuration file.

    Args:
        sink_ports: of the collectors that take everything, fail, and are slow; and one where nobody listens.
        queue_size: None: the plugin's own.
    """
    head = _UPSTREAM.format(port=upstream_port)
    if name == "without":
        return head + 'disabled = ["*"]\n'
    if name == "empty hooks":
        return head + 'disabled = ["*"]\nload = ["benchmarks.otel.empty"]\n'
    healthy, errors, slow, refused = sink_ports
    port = {"errors": errors, "slow": slow, "refused": refused}.get(name, healthy)
    size = "" if queue_size is None else f"queue_size = {queue_size}\n"
    return head + _OTEL.format(port=port) + _SETTINGS.get(name, "") + size


def gateway(folder: Path, port: int, text: str) -> Target:
    """A gateway with a configuration; its files go into a folder."""
    path = folder / "chatproxy.toml"
    path.touch(mode=0o600)  # it holds a key, and the gateway warns about files that others can read
    path.write_text(text)
    return Target(
        name="gateway",
        command=[sys.executable, "-m", "chatproxy", "serve", "--config", str(path), "--port", str(port)],
        port=port,
        ready_path="/health",
        folder=folder,
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])},
    )


def sink(folder: Path, ports: Sequence[int]) -> Target:
    """Configure the collectors, one process."""
    return Target(
        name="sink",
        command=[sys.executable, "-m", "benchmarks.otel.sink", "--ports", *map(str, ports)],
        port=ports[0],
        ready_path="/stats",
        folder=folder,
        env={"PYTHONPATH": str(REPOSITORY)},
    )
