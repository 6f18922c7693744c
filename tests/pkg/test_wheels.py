"""The wheels, installed: the core alone is small, a plugin installed beside it acts, and is gone when removed."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.pkg.conftest import ROOT, TEMPLATE, Environment, build_wheels, run

pytestmark = [pytest.mark.pkg, pytest.mark.timeout(600)]

MAX_DISTRIBUTIONS = 32


def ask(base: str, model: str, text: str = "Tell me about cats", **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": text}], **fields}
    return httpx.post(f"{base}/v1/chat/completions", json=body, timeout=20)


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    content: str = answer.json()["choices"][0]["message"]["content"]
    return content


@pytest.fixture
def hello(installed: Environment, wheels: dict[str, Path]) -> Iterator[Environment]:
    """The environment with the plugin ``hello`` beside the core."""
    installed.pip("install", "--no-deps", wheels["chatproxy-hello"])
    yield installed
    if "chatproxy-hello" in installed.distributions():
        installed.pip("uninstall", "--yes", "chatproxy-hello")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "exchanges.jsonl"


@pytest.fixture
def config(tmp_path: Path, record: Path) -> Path:
    path = tmp_path / "chatproxy.toml"
    path.write_text(f"[plugins.hello]\nfile = {json.dumps(str(record))}\n", encoding="utf-8")
    return path


def test_core_alone_is_small_and_starts(installed: Environment) -> None:
    found = installed.distributions()
    assert "chatproxy-server" in found
    assert len(found) <= MAX_DISTRIBUTIONS, sorted(found)
    assert installed.plugins() == {}
    with installed.serving("demo", "--port", "0") as base:
        assert "4" in said(ask(base, "demo", "what is 2+2"))


def test_core_alone_needs_nothing_that_is_not_declared(installed: Environment) -> None:
    """Every module of the core imports with its declared dependencies, the command line and the server included."""
    script = (
        "import importlib, pkgutil, chatproxy\n"
        "skipped = ('.__main__', '.testing.pytest_plugin')\n"
        "names = [m.name for m in pkgutil.walk_packages(chatproxy.__path__, 'chatproxy.')]\n"
        "done = [importlib.import_module(name) for name in names if not name.endswith(skipped)]\n"
        "print(len(done))\n"
    )
    assert int(run(installed.python, "-W", "error", "-c", script, cwd=installed.path)) > 30


def test_installed_plugin_is_discovered(hello: Environment) -> None:
    entry = hello.plugins()["hello"]
    assert (entry["status"], entry["distribution"], entry["version"]) == ("loaded", "chatproxy-hello", "1.2.3")
    assert {"before_request", "select_handler", "after_response"} <= set(entry["hooks"])


def test_installed_plugin_acts_on_every_side(hello: Environment, config: Path, record: Path) -> None:
    with hello.serving("serve", "--demo", "--port", "0", "--config", config) as base:
        assert '"Say hello first."' in said(ask(base, "demo")), "its before_request changed the request"
        assert said(ask(base, "hello")) == "Hello there!", "its handler was picked"
        streamed = ask(base, "hello", stream=True).text
        assert "".join(re.findall(r'"content":"([^"]*)"', streamed)) == "Hello there!"
        listed = {model["id"] for model in httpx.get(f"{base}/v1/models", timeout=20).json()["data"]}
    assert {"demo", "hello"} <= listed
    lines = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    assert sorted((line["model"], line["handler"], line["outcome"]) for line in lines) == [
        ("demo", "demo", "completed"),
        ("hello", "hello", "completed"),
        ("hello", "hello", "completed"),
    ]
    assert all(line["usage"]["total_tokens"] > 0 for line in lines)


def test_disabled_plugin_does_nothing(hello: Environment, tmp_path: Path) -> None:
    path = tmp_path / "off.toml"
    path.write_text('[plugins]\ndisabled = ["hello"]\n', encoding="utf-8")
    assert hello.plugins("--config", path)["hello"]["status"] == "disabled"
    with hello.serving("serve", "--demo", "--port", "0", "--config", path) as base:
        assert "hello" not in said(ask(base, "demo"))
        assert ask(base, "hello").status_code == 404


def test_removed_plugin_is_gone(hello: Environment, config: Path) -> None:
    hello.pip("uninstall", "--yes", "chatproxy-hello")
    assert hello.plugins() == {}
    with hello.serving("serve", "--demo", "--port", "0") as base:
        assert "hello" not in said(ask(base, "demo"))
        assert ask(base, "hello").status_code == 404
    hello.chatproxy("check", "--config", config, code=1)


@pytest.mark.parametrize(
    "distribution",
    [
        "chatproxy-server",
        "chatproxy-template",
        "chatproxy-agents",
        "chatproxy-graphs",
        "chatproxy-guardrails",
        "chatproxy-kit",
        "chatproxy-mcp",
        "chatproxy-otel",
        "chatproxy-platform",
        "chatproxy-providers",
        "chatproxy-sdk",
    ],
)
def test_wheel_holds_the_package_typed_and_nothing_else(wheels: dict[str, Path], distribution: str) -> None:
    with zipfile.ZipFile(wheels[distribution]) as wheel:
        names = wheel.namelist()
        metadata = Parser().parsestr(wheel.read(next(n for n in names if n.endswith("/METADATA"))).decode())
    module = "chatproxy" if distribution == "chatproxy-server" else distribution.replace("-", "_")
    assert f"{module}/py.typed" in names
    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {module}
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"


def test_copied_template_is_a_working_plugin(installed: Environment, wheels: dict[str, Path], tmp_path: Path) -> None:
    """The commands of the template's README make a plugin that builds, loads and acts."""
    steps = re.search(r"```sh\n(cp -R .*?)```", (TEMPLATE / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert steps is not None
    repository = tmp_path / "repository"
    shutil.copytree(TEMPLATE, repository / "plugins" / "_template", ignore=shutil.ignore_patterns(".*", "__pycache__"))
    run("sh", "-euc", steps[1], cwd=repository)
    made = repository / "plugins" / "weather"
    left = [
        path
        for path in made.rglob("*")
        if path.is_file() and path.name != "README.md" and "template" in path.read_text()
    ]
    assert left == []
    (wheel,) = build_wheels(tmp_path / "built", made)
    installed.pip("install", "--no-deps", wheel)
    try:
        assert installed.plugins()["weather"]["status"] == "loaded"
        with installed.serving("serve", "--demo", "--port", "0") as base:
            assert '"Be brief."' in said(ask(base, "demo"))
    finally:
        installed.pip("uninstall", "--yes", "chatproxy-weather")


def test_tree_is_left_as_it_was(wheels: dict[str, Path]) -> None:
    assert wheels
    assert not [path for path in (ROOT / "dist", ROOT / "build", TEMPLATE / "dist") if path.exists()]
