"""examples/observability runs as its page says: three plugins, a real MCP server, and Phoenix, which shows a trace."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.clients.processes import Server

from chatproxy import ProxyConfig

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "observability"
PAGE = (EXAMPLE / "README.md").read_text(encoding="utf-8")
INSTALL_START_AND_TEST_S = 480
pytestmark = pytest.mark.timeout(INSTALL_START_AND_TEST_S)
CHANGES = re.compile(r"http://127\.0\.0\.1:\d+|[0-9a-f]{32}|\d{4}-\d\d-\d\dT[\d:+-]+|\w+day|true|false")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def phoenix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one of the plugin's tests; see `plugins/otel/tests/phoenix.py`."""
    spec = importlib.util.spec_from_file_location("phoenix_for_tests", ROOT / "plugins/otel/tests/phoenix.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    with module.running(tmp_path_factory.mktemp("phoenix")) as server:
        yield server


@pytest.fixture(scope="module")
def asked(phoenix: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the client program prints, with the example's own configuration but for ports and commands."""
    text = (EXAMPLE / "chatproxy.toml").read_text(encoding="utf-8")
    for shown, here in (
        ("port = 8765", "port = 0"),
        ("http://127.0.0.1:6006", phoenix.http),
        ('".venv/bin/mcp-server-time"', f'"{sys.executable}"\nargs = ["-m", "mcp_server_time"]'),
    ):
        assert text.count(shown) == 1, shown
        text = text.replace(shown, here)
    path = tmp_path_factory.mktemp("gateway") / "chatproxy.toml"
    path.write_text(text, encoding="utf-8")
    gateway = Server([sys.executable, "-m", "chatproxy", "demo", "--config", path])
    environ = [f"GATEWAY={gateway.address()}", f"PHOENIX={phoenix.http}"]
    argv = ["env", *environ, sys.executable, "-W", "error", EXAMPLE / "ask.py"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert gateway.stop() == 0, gateway.output
    assert done.returncode == 0, done.stderr + gateway.output
    return done.stdout


def spans(phoenix: Any) -> dict[str, dict[str, Any]]:
    """What Phoenix has of the exchange's spans, by their names; of the two questions to the model the first."""
    found = phoenix.spans("chatproxy", lambda found: len(found) >= 4)
    return {span["name"]: span["attributes"] for span in reversed(found)}


def test_program_prints_what_the_page_shows(asked: str) -> None:
    shown = blocks("text")[0]
    assert CHANGES.sub("*", asked) == CHANGES.sub("*", shown)


def test_model_and_trace_hold_what_the_guardrail_left(asked: str, phoenix: Any) -> None:
    assert "Europe/Paris" in asked
    answer = httpx.get(f"{phoenix.http}/v1/projects/chatproxy/spans")
    assert "ada@example.org" not in answer.text
    assert spans(phoenix)["chat demo"]["llm.input_messages.0.message.content"].startswith("I am [REDACTED:email].")


@pytest.mark.usefixtures("asked")
def test_tool_has_its_arguments_and_its_server(phoenix: Any) -> None:
    tool = spans(phoenix)["execute_tool time__get_current_time"]
    assert tool["gen_ai.tool.call.arguments"] == '{"timezone":"Europe/Paris"}'
    assert (tool["chatproxy.tool.server"], tool["mcp.method.name"]) == ("time", "tools/call")


def test_link_leads_to_the_trace(asked: str, phoenix: Any) -> None:
    page = httpx.get(asked.splitlines()[-1], follow_redirects=True)
    assert page.status_code == 200
    assert asked.splitlines()[-1].startswith(f"{phoenix.http}/redirects/traces/")


def test_configuration_for_grpc_is_right(tmp_path: Path) -> None:
    path = tmp_path / "chatproxy.toml"
    path.write_text(blocks("toml")[0], encoding="utf-8")
    assert ProxyConfig.load(path, environ={}).plugins.tables["otel"]["protocol"] == "grpc"


def test_commands_of_the_page_name_files_that_are_there() -> None:
    for named in re.findall(r"examples/observability/[\w.]+", "".join(blocks("sh"))):
        assert (ROOT / named).is_file(), named
