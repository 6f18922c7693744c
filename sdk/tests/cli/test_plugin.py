"""``chatproxy chat``, and what both programs need."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from chatproxy_sdk.plugin import gateway_url

from chatproxy import ProxyConfig

from ..servers import FaultServer, says

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


def run(
    environ: dict[str, str], cwd: Path, *args: str, code: str = "", given: str = "", **more: str
) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-c", code] if code else [sys.executable, "-m", "chatproxy"]
    return subprocess.run(
        [*program, *args],
        input=given,
        capture_output=True,
        text=True,
        env={**environ, **more},
        cwd=cwd,
        timeout=40,
        check=False,
    )


def test_the_gateway_has_the_command(environ: dict[str, str], tmp_path: Path, server: FaultServer) -> None:
    server.replies(says("hi"))

    ended = run(environ, tmp_path, "chat", "-m", "x", "--base-url", server.url, given="q")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "hi\n", "")


def test_the_gateway_s_own_address_is_the_default(environ: dict[str, str], tmp_path: Path, server: FaultServer) -> None:
    server.replies(says("hi"))
    port = server.url.rsplit(":", 1)[1].removesuffix("/v1")
    (tmp_path / "mine.toml").write_text(f'host = "0.0.0.0"\nport = {port}\n')

    ended = run(environ, tmp_path, "chat", "--config", "mine.toml", "-m", "x", "-p", "q")

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


def test_errors_begin_with_the_command_s_name(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, tmp_path, "chat", "-m", "x", "-p", "q", "--base-url", "http://127.0.0.1:1")

    assert ended.returncode == 1
    assert ended.stderr.startswith("chatproxy chat: no connection")


@pytest.mark.parametrize(
    ("program", "name"),
    [
        ("from chatproxy.cli import main; sys.exit(main(['chat', '-p', 'q']))", "chatproxy chat"),
        ("from chatproxy_sdk.cli import main; sys.exit(main(['-p', 'q']))", "chatproxy-chat"),
    ],
    ids=["chatproxy chat", "chatproxy-chat"],
)
def test_without_the_extra_it_says_what_to_install(
    environ: dict[str, str], tmp_path: Path, program: str, name: str
) -> None:
    ended = run(environ, tmp_path, code=WITHOUT_EXTRA + program)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"{name}: it needs more packages: pip install 'chatproxy-sdk[cli]'\n"


def test_the_plugin_is_imported_without_what_the_chat_needs(environ: dict[str, str], tmp_path: Path) -> None:
    ended = run(environ, tmp_path, code=IMPORTED)

    assert json.loads(ended.stdout) == []
