"""The gateways that are compared: the same but for the plugin, its settings and its database.

Rule: nothing is started here.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from benchmarks.targets import Target

Name = Literal["without", "empty hooks", "keys", "memory", "written", "redis", "sessions"]

REPOSITORY = Path(__file__).resolve().parents[2]
ADMIN_KEY = "chatproxy-admin-key"
"""The file with the first key, which the gateway writes into its folder."""

_UPSTREAM = """\
upstream_url = "http://127.0.0.1:{port}/v1"
upstream_api_key = "sk-bench"

[plugins]
"""
_PLATFORM = """\
enabled = ["platform"]
load = [{load}]

[plugins.platform]
database_url = "{database_url}"
{redis}
[plugins.platform.sessions]
enabled = {sessions}
"""
_LATER = """
[plugins.platform.usage]
max_waiting = 10_000_000
"""
_LIMITS = """
[plugins.platform.limits.{subject}]
requests_per_minute = 1_000_000_000
tokens_per_minute = 1_000_000_000_000
concurrent_requests = 100_000
"""


def config(name: Name, upstream_port: int, database_url: str = "", redis_url: str = "") -> str:
    """A gateway's configuration file."""
    head = _UPSTREAM.format(port=upstream_port)
    if name == "without":
        return head + 'disabled = ["*"]\n'
    if name == "empty hooks":
        return head + 'disabled = ["*"]\nload = ["benchmarks.platform.empty"]\n'
    redis = f'redis_url = "{redis_url}"\n' if name == "redis" else ""
    sessions = "true" if name == "sessions" else "false"
    is_unwritten = name in {"keys", "memory", "redis"}
    load = '"benchmarks.platform.unwritten"' if is_unwritten else ""
    text = head + _PLATFORM.format(load=load, database_url=database_url, redis=redis, sessions=sessions)
    if name in {"memory", "written", "redis"}:
        text += "".join(_LIMITS.format(subject=subject) for subject in ("key", "organization"))
    return text + (_LATER if is_unwritten else "")


def gateway(folder: Path, port: int, text: str) -> Target:
    """A gateway with a configuration; its files go into a folder."""
    path = folder / "chatproxy.toml"
    path.touch(mode=0o600)  # it holds a key, and the gateway warns about files that others can read
    path.write_text(text)
    return Target(
        name="gateway",
        command=[sys.executable, "-m", "chatproxy", "serve", "--config", str(path), "--port", str(port)],
        port=port,
        ready_path="/readyz",
        folder=folder,
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])},
    )
