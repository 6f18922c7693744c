"""What README.md shows is what happens: its commands, its programs, its plugin, its configuration."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chatproxy import ProxyConfig, __version__
from chatproxy.cli.arguments import make_parser
from chatproxy.hookspecs import SPECS
from chatproxy.testing import text_of
from tests.clients.processes import Server

from .pages import ROOT, blocks, read, section

README = "README.md"
ADDRESS = "http://127.0.0.1:8765"
OFFLINE = "I am chatproxy's offline demo model"


def block_after(heading: str, language: str, at: int = 0) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", section(README, heading), re.DOTALL)
    text: str = found[at].strip()
    return text


@pytest.fixture(scope="module")
def plugin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plugin") / "mask.py"
    path.write_text(block_after("## Write a plugin", "python") + "\n", encoding="utf-8")
    return path


def chatproxy(*arguments: str | Path) -> Server:
    return Server([sys.executable, "-m", "chatproxy", *arguments], env={"CHATPROXY_DISABLED_PLUGINS": "*"})


@pytest.fixture(scope="module")
def demo() -> Iterator[Server]:
    server = chatproxy("demo", "--port", "0")
    server.address()
    yield server
    assert server.stop() == 0, server.output


def test_run_command_starts_what_the_page_shows(demo: Server) -> None:
    assert block_after("## Run it", "sh").endswith(".venv/bin/pip install . && .venv/bin/chatproxy demo")
    shown = block_after("## Run it", "text").replace("chatproxy 0.1.0", f"chatproxy {__version__}")
    assert demo.output.startswith(shown.replace(ADDRESS, demo.address()))


def test_curl_line_is_answered(demo: Server) -> None:
    (line,) = [line for line in block_after("## Run it", "text").splitlines() if line.startswith("Try: ")]
    program, url, _, header, _, body = shlex.split(line.removeprefix("Try: "))
    assert (program, header) == ("curl", "content-type: application/json")
    answer = httpx.post(url.replace(ADDRESS, demo.address()), json=json.loads(body))
    assert OFFLINE in answer.json()["choices"][0]["message"]["content"]
    assert httpx.get(f"{demo.address()}/docs").status_code == 200


def test_client_program_runs(demo: Server, tmp_path: Path) -> None:
    program = block_after("## Point a client at it", "python").replace(ADDRESS, demo.address())
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    buffered, streamed = done.stdout.splitlines()
    assert buffered == streamed
    assert OFFLINE in buffered


@pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])
def test_plugin_masks_refuses_and_tells(plugin_file: Path, stream: bool) -> None:
    assert block_after("## Write a plugin", "sh") == f".venv/bin/chatproxy demo --plugin {plugin_file.name}"
    server = chatproxy("demo", "--port", "0", "--plugin", plugin_file)
    url = f"{server.address()}/v1/chat/completions"
    body: dict[str, Any] = {"model": "demo", "stream": stream}
    pay = [{"role": "user", "content": "Pay to account 12345678901"}]
    masked = httpx.post(url, json={**body, "messages": pay})
    refused = httpx.post(url, json={**body, "messages": [{"role": "user", "content": "x" * 10_001}]})
    assert server.stop() == 0, server.output
    said = text_of(masked.content) if stream else masked.json()["choices"][0]["message"]["content"]
    assert '"Pay to account [account]"' in said
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "too_long")
    assert "Plugins: mask" in server.output
    assert re.search(r"^demo: \d+ tokens, completed$", server.output, re.MULTILINE)
    assert "12345678901" not in server.output


def test_plugin_is_short(plugin_file: Path) -> None:
    assert len(plugin_file.read_text(encoding="utf-8").splitlines()) <= 30


def test_table_of_hooks_names_each_once() -> None:
    rows = re.findall(r"^\| [^|]+ \| (`.*) \|$", section(README, "## Write a plugin"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert sorted(named) == sorted(SPECS)


def test_configuration_is_a_right_file(tmp_path: Path) -> None:
    path = tmp_path / "chatproxy.toml"
    path.write_text(block_after("## Configure it", "toml"), encoding="utf-8")
    config = ProxyConfig.load(path, environ={"OPENAI_API_KEY": "k"})
    assert config.warnings == ()
    assert set(config.models) == {"openai/*", "assistant"}
    assert config.plugins.enabled == ()


def test_embedded_program_is_an_application() -> None:
    space: dict[str, Any] = {"__name__": "program"}
    exec(block_after("## In a Python program", "python"), space)  # noqa: S102 - a block of the page
    assert space["app"] is space["server"].app


def test_continuous_integration_runs_the_test_command_of_the_page() -> None:
    command = block_after("## Run the tests", "sh")
    lines = read(".ci/run").splitlines()
    assert [line for line in lines if line.startswith(f"{command} ")] == [f"{command} || status=$?"]
    assert command in [block.text for block in blocks("CONTRIBUTING.md", "sh")]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


@pytest.mark.parametrize("page", [README, "docs/plugins.md", "docs/deployment.md"])
def test_commands_of_the_page_are_understood(page: str) -> None:
    parser = make_parser()
    lines = [line for block in blocks(page, "sh") for line in block.text.splitlines()]
    commands = [line for line in lines if re.search(r"(^|/| )chatproxy (demo|serve|check|plugins|hooks)", line)]
    assert commands
    for line in commands:
        _, _, arguments = line.rpartition("chatproxy ")
        parser.parse_args(shlex.split(arguments))
