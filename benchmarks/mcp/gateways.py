"""The gateways that are compared: the same but for the plugin and its settings, all before one upstream.

Rule: nothing is started here.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from benchmarks.processes import LOAD_CORE
from benchmarks.targets import Target

Name = Literal["without", "no servers", "off", "50 tools", "http", "stdio", "twice"]

TOOLS = 50
SERVERS = 5
REPOSITORY = Path(__file__).resolve().parents[2]

_UPSTREAM = """\
upstream_url = "http://127.0.0.1:{port}/v1"
upstream_api_key = "sk-bench"

[upstreams.default]
surfaces = ["chat", "responses", "messages", "completions"]

"""
_WITHOUT = """\
[plugins]
disabled = ["*"]
"""
_WITH = """\
[plugins]
enabled = ["mcp"]

[plugins.mcp]
mode = "{mode}"
"""


def config(name: Name, upstream_port: int, tool_ports: Sequence[int]) -> str:
    """A gateway's configuration file.

    Args:
        tool_ports: of the servers with `TOOLS` tools, and behind them of the one that echoes.
    """
    head = _UPSTREAM.format(port=upstream_port)
    if name == "without":
        return head + _WITHOUT
    if name == "twice":
        return head + _WITHOUT + 'load = ["benchmarks.mcp.twice"]\n'
    many, echo = tool_ports[:-1], tool_ports[-1]
    servers = {
        "no servers": [],
        "off": [_http(f"server{number}", port) for number, port in enumerate(many)],
        "50 tools": [_http(f"server{number}", port) for number, port in enumerate(many)],
        "http": [_http("echo", echo)],
        "stdio": [_stdio("echo")],
    }[name]
    return head + _WITH.format(mode="off" if name == "off" else "tools") + "".join(servers)


def gateway(name: Name, folder: Path, port: int, upstream_port: int, tool_ports: Sequence[int]) -> Target:
    """Configure a gateway; its files go into a folder."""
    path = folder / "chatproxy.toml"
    path.touch(mode=0o600)  # it holds a key, and the gateway warns about files that others can read
    path.write_text(config(name, upstream_port, tool_ports))
    return Target(
        name=name.replace(" ", "-"),
        command=[sys.executable, "-m", "chatproxy", "serve", "--config", str(path), "--port", str(port)],
        port=port,
        ready_path="/health",
        folder=folder,
        env={"PYTHONPATH": os.pathsep.join([str(REPOSITORY / "src"), str(REPOSITORY)])},
    )


def upstream(folder: Path, port: int) -> Target:
    """Configure the mock upstream."""
    return _module("upstream", ["--port", str(port)], folder, port, ready_path="/seen")


def tool_servers(folder: Path, ports: Sequence[int]) -> Target:
    """Configure the servers with `TOOLS` tools."""
    options = ["--tools", str(TOOLS), "--ports", *map(str, ports)]
    return _module("server", options, folder, ports[0], ready_path="/mcp")


def echo_server(folder: Path, port: int) -> Target:
    """Configure the server with one tool."""
    return _module("server", ["--ports", str(port)], folder, port, ready_path="/mcp")


def _module(name: str, options: list[str], folder: Path, port: int, *, ready_path: str) -> Target:
    return Target(
        name=f"{name}-{port}",
        command=[sys.executable, "-m", f"benchmarks.mcp.{name}", *options],
        port=port,
        ready_path=ready_path,
        folder=folder,
        env={"PYTHONPATH": str(REPOSITORY)},
    )


def _http(name: str, port: int) -> str:
    return f'[plugins.mcp.servers.{name}]\nurl = "http://127.0.0.1:{port}/mcp"\n'


def _stdio(name: str) -> str:
    """A server on the load's core, so that it does not share the gateway's."""
    pinned = ["taskset", "-c", str(LOAD_CORE)] if shutil.which("taskset") else []
    command, *args = [*pinned, sys.executable, "-m", "benchmarks.mcp.server"]
    return f'[plugins.mcp.servers.{name}]\ncommand = "{command}"\nargs = {args!r}\ncwd = "{REPOSITORY}"\n'
