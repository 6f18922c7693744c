"""What the packaging tests share: wheels of this tree, and clean environments to install them into."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.clients.processes import Server

ROOT = Path(__file__).parents[2]
HELLO = Path(__file__).parent / "plugins" / "hello"
TEMPLATE = ROOT / "plugins" / "_template"
AGENTS = ROOT / "plugins" / "agents"
GRAPHS = ROOT / "plugins" / "graphs"
GUARDRAILS = ROOT / "plugins" / "guardrails"
KIT = ROOT / "plugins" / "kit"
MCP = ROOT / "plugins" / "mcp"
OTEL = ROOT / "plugins" / "otel"
PLATFORM = ROOT / "plugins" / "platform"
PROVIDERS = ROOT / "plugins" / "providers"
SDK = ROOT / "sdk"
STEP_TIMEOUT_S = 240


def run(*argv: str | Path, cwd: Path | None = None, code: int = 0) -> str:
    """Run a program to its end and return its standard output; fails on another exit code."""
    done = subprocess.run(
        [str(part) for part in argv],
        cwd=cwd,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=STEP_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == code, f"{argv} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def clean_environment() -> dict[str, str]:
    """This process's environment without what would change Python's or chatproxy's behaviour."""
    dropped = ("PYTHON", "VIRTUAL_ENV", "CHATPROXY_", "PROXY_", "COV_")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


class Environment:
    """A virtual environment that holds nothing but what is installed here."""

    def __init__(self, path: Path) -> None:
        venv.create(path, with_pip=False, symlinks=True)
        self.path = path
        self.python = path / "bin" / "python"

    def pip(self, *arguments: str | Path) -> str:
        """Run this process's pip for this environment."""
        return run(sys.executable, "-m", "pip", "--python", self.python, *arguments)

    def distributions(self) -> dict[str, str]:
        """Installed distributions: name and version."""
        listed = json.loads(self.pip("list", "--format", "json"))
        return {entry["name"].lower().replace("_", "-"): entry["version"] for entry in listed}

    def chatproxy(self, *arguments: str | Path, code: int = 0) -> str:
        """Run the installed command, away from the source tree."""
        return run(self.path / "bin" / "chatproxy", *arguments, cwd=self.path, code=code)

    def plugins(self, *arguments: str | Path) -> dict[str, dict[str, Any]]:
        """What ``chatproxy plugins --json`` says, by name."""
        return {entry["name"]: entry for entry in json.loads(self.chatproxy("plugins", "--json", *arguments))}

    @contextmanager
    def serving(self, *arguments: str | Path) -> Iterator[str]:
        """The base URL of a running ``chatproxy``; it must end well at SIGTERM."""
        variables = [f"{name}={value}" for name, value in clean_environment().items()]
        server = Server(["env", "-i", *variables, self.path / "bin" / "chatproxy", *arguments])
        try:
            yield server.address()
        finally:
            code = server.stop()
        assert code == 0, server.output


def build_wheels(into: Path, *sources: Path) -> list[Path]:
    """Build a wheel of each source tree, from a copy, so that nothing is left in the tree.

    One environment holds what all of them name in ``build-system.requires``: pip would make one for each.
    """
    copies, wanted = [into / "source" / source.name for source in sources], set[str]()
    for source, copy in zip(sources, copies, strict=True):
        ignored = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "dist", "build")
        shutil.copytree(source, copy, ignore=ignored)
        wanted.update(tomllib.loads((copy / "pyproject.toml").read_text(encoding="utf-8"))["build-system"]["requires"])
    builder = Environment(into / "builder")
    builder.pip("install", *sorted(wanted))
    builder.pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", into / "wheels", *copies)
    return sorted((into / "wheels").glob("*.whl"))


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wheels of the core, the plugins of this repository and the plugin ``hello``, by distribution."""
    plugins = (TEMPLATE, AGENTS, GRAPHS, GUARDRAILS, KIT, MCP, OTEL, PLATFORM, PROVIDERS, HELLO)
    built = build_wheels(tmp_path_factory.mktemp("wheels"), ROOT, SDK, *plugins)
    return {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in built}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """A clean environment with the core's wheel."""
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.pip("install", wheels["chatproxy-server"])
    return environment
