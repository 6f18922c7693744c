"""What is measured: how each proxy is configured and started against one upstream.

Every target gets the same payload, one process on one core, kept-alive connections to the upstream and no database.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import environments
from benchmarks.cases import CASES

_REPOSITORY = Path(__file__).resolve().parent.parent
MODELS = ("mock", "mock-10ms-100", "mock-1000ms-10")
"""Model names the series ask for; see ``benchmarks.upstream_scripts`` for what each makes the upstream do."""

_NGINX = """\
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log stderr error;
{user}
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  upstream model {{ server 127.0.0.1:{upstream_port}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""

_LITELLM = """\
model_list:
{models}
litellm_settings:
  telemetry: false
"""

_LITELLM_MODEL = """\
  - model_name: {name}
    litellm_params:
      model: openai/{name}
      api_base: http://127.0.0.1:{upstream_port}/v1
      api_key: sk-bench
"""

_GATEWAY = """\
upstream_url = "http://127.0.0.1:{upstream_port}/v1"
upstream_api_key = "sk-bench"

[plugins]
load = [{plugins}]
"""
_SURFACES = """\

[upstreams.native]
base_url = "http://127.0.0.1:{upstream_port}/v1"
api_key = "sk-bench"
surfaces = ["chat", "responses", "messages", "completions"]

[models]
{models}
"""
NOOP_PLUGINS = tuple(f"benchmarks.noop_plugins:{name}" for name in ("first", "second", "third"))
_CONFIG = "chatproxy.toml"
_UPSTREAMS = {"native": "native", "translated": "default"}
TASK_COUNTER = "benchmarks.noop_plugins:tasks"
TASKS_PATH = "/plugins/tasks/live"


class Target(msgspec.Struct, kw_only=True):
    """A configured proxy: everything needed to start it and to talk to it."""

    name: str
    command: list[str]
    port: int
    ready_path: str
    folder: Path
    env: dict[str, str] = {}
    headers: dict[str, str] = {}


Builder = Callable[[Path, int, int], Target]
"""``(folder for files, port, upstream port) -> Target``."""


def nginx(folder: Path, port: int, upstream_port: int) -> Target:
    """Configure a plain reverse proxy: the least any proxy can cost."""
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(_NGINX.format(folder=folder, port=port, upstream_port=upstream_port, user=user))
    command = [str(environments.nginx()), "-p", str(folder), "-e", "stderr", "-c", str(config)]
    return Target(name="nginx", command=command, port=port, ready_path="/v1/models", folder=folder)


def litellm(folder: Path, port: int, upstream_port: int) -> Target:
    """Configure LiteLLM's proxy: one worker, no database, local price map."""
    config = folder / "litellm.yaml"
    models = "".join(_LITELLM_MODEL.format(name=name, upstream_port=upstream_port) for name in MODELS)
    config.write_text(_LITELLM.format(models=models))
    command = [str(environments.litellm()), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    return Target(
        name="litellm",
        command=[*command, "--num_workers", "1"],
        port=port,
        ready_path="/health/liveliness",
        folder=folder,
        env={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # no target authenticates
        },
    )


def portkey(folder: Path, port: int, upstream_port: int) -> Target:
    """Configure Portkey's gateway; the upstream is named in request headers."""
    packages = environments.portkey()
    script = packages / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    return Target(
        name="portkey",
        command=[str(packages / ".bin" / "node"), str(script), f"--port={port}", "--headless"],
        port=port,
        ready_path="/",
        folder=folder,
        env={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"},
        headers={
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
        },
    )


def chatproxy(folder: Path, port: int, upstream_port: int) -> Target:
    """Configure this gateway: defaults, plus three plugins that do nothing in three hooks each."""
    return gateway_with(NOOP_PLUGINS, folder, port, upstream_port)


def surfaces_gateway(folder: Path, port: int, upstream_port: int) -> Target:
    """Configure this gateway with one upstream that speaks chat only and one that speaks all surfaces."""
    target = chatproxy(folder, port, upstream_port)
    models = [f'"{case.model}" = {{ upstream = "{_UPSTREAMS[case.way]}" }}' for case in CASES]
    with (folder / _CONFIG).open("a") as config:
        config.write(_SURFACES.format(upstream_port=upstream_port, models="\n".join(dict.fromkeys(models))))
    return target


def gateway_with(plugins: tuple[str, ...], folder: Path, port: int, upstream_port: int) -> Target:
    """Configure this gateway with the named plugin objects (``module:object``)."""
    config = folder / _CONFIG
    config.touch(mode=0o600)  # it holds a key, and the gateway warns about files that others can read
    quoted = ", ".join(f'"{plugin}"' for plugin in plugins)
    config.write_text(_GATEWAY.format(upstream_port=upstream_port, plugins=quoted))
    command = [sys.executable, "-m", "chatproxy", "serve", "--config", str(config), "--port", str(port)]
    paths = [str(_REPOSITORY / "src"), str(_REPOSITORY)]
    return Target(
        name="chatproxy",
        command=command,
        port=port,
        ready_path="/health",
        folder=folder,
        env={"PYTHONPATH": os.pathsep.join(paths)},
    )


BUILDERS: dict[str, Builder] = {
    "chatproxy": chatproxy,
    "nginx": nginx,
    "portkey": portkey,
    "litellm": litellm,
}
