"""The programs ``chatproxy-chat`` and ``chatproxy chat``, started as anybody starts them, and what they need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chatproxy_sdk.plugin import gateway_url

from chatproxy import ProxyConfig
from chatproxy.cli import main as gateway

from ..servers import FaultServer, says
from .conftest import Pipe

WITHOUT_EXTRA = """
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
hidden = {"rich", "prompt_toolkit"}
PathFinder.find_spec = lambda name, *a, **k: None if name.partition(".")[0] in hidden else find(name, *a, **k)
"""
IMPORTED = """
import json, sys
import chatproxy_sdk.plugin
print(json.dumps([name for name in ("prompt_toolkit", "rich", "chatproxy_sdk.agent") if name in sys.modules]))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A gateway's configuration that has no other plugin imported."""
    file = tmp_path / "mine.toml"
    file.write_text('[plugins]\nenabled = ["chat"]\n')
    return file


def run(environ: dict[str, str], cwd: Path, *command: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=given, capture_output=True, text=True, env=environ, cwd=cwd, timeout=40, check=False
    )


@pytest.mark.parametrize(
    "program",
    [
        [Path(sys.executable).with_name("chatproxy-chat")],
        [sys.executable, "-m", "chatproxy_sdk.cli"],
        [sys.executable, "-m", "chatproxy", "chat", "--config", "mine.toml"],
    ],
    ids=["chatproxy-chat", "-m chatproxy_sdk.cli", "chatproxy chat"],
)
def test_every_program_asks_and_answers(
    environ: dict[str, str], tmp_path: Path, config: Path, server: FaultServer, program: list[str | Path]
) -> None:
    server.replies(says("hi"))

    ended = run(environ, tmp_path, *program, "-m", "x", "--base-url", server.url, given="q")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "hi\n", "")


def test_the_gateway_s_own_address_is_the_default(pipe: Pipe, config: Path, server: FaultServer) -> None:
    server.replies(says("hi"))
    port = server.url.rsplit(":", 1)[1].removesuffix("/v1")
    config.write_text(f'host = "0.0.0.0"\nport = {port}\n{config.read_text()}')

    ended = pipe("chat", "--config", config.name, "-m", "x", "-p", "q", base_url="", program=gateway)

    assert (ended.returncode, ended.stdout) == (0, "hi\n"), ended.stderr


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("127.0.0.1", 8765, "http://127.0.0.1:8765/v1"),
        ("0.0.0.0", 80, "http://127.0.0.1:80/v1"),
        ("::", 8765, "http://[::1]:8765/v1"),
        ("gateway.example", 9000, "http://gateway.example:9000/v1"),
        ("127.0.0.1", 0, None),
    ],
)
def test_a_gateway_is_reached_where_it_listens(host: str, port: int, url: str | None) -> None:
    assert gateway_url(ProxyConfig(host=host, port=port, environ={})) == url


def test_errors_begin_with_the_command_s_name(pipe: Pipe, config: Path) -> None:
    args = ["chat", "--config", config.name, "-m", "x", "-p", "q"]

    ended = pipe(*args, base_url="http://127.0.0.1:1", program=gateway)

    assert ended.returncode == 1
    assert ended.stderr.startswith("chatproxy chat: no connection")


@pytest.mark.parametrize(
    ("program", "name"),
    [
        (
            "from chatproxy.cli import main; sys.exit(main(['chat', '--config', 'mine.toml', '-p', 'q']))",
            "chatproxy chat",
        ),
        ("from chatproxy_sdk.cli import main; sys.exit(main(['-p', 'q']))", "chatproxy-chat"),
    ],
    ids=["chatproxy chat", "chatproxy-chat"],
)
def test_without_the_extra_it_says_what_to_install(
    environ: dict[str, str], tmp_path: Path, config: Path, program: str, name: str
) -> None:
    ended = run(environ, tmp_path, sys.executable, "-c", WITHOUT_EXTRA + program)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{name}: it needs more packages: pip install 'chatproxy-sdk[cli]'\n"


def test_the_plugin_is_imported_without_what_the_chat_needs(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, tmp_path, sys.executable, "-c", IMPORTED)

    assert json.loads(ended.stdout) == []
