"""Where the yardsticks live: outside the repository, built once, reused.

``CHATPROXY_BENCH_CACHE`` names the folder (default ``~/.cache/chatproxy-bench``). nginx comes from the system's
packages, because a package manager is not ours to run.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_INSTALL_LIMIT_S = 900
_PORTKEY_PACKAGE = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": "1.15.2", "node": "24"},
    # With a newer adapter Portkey answers every stream with 500: Portkey-AI/gateway issue 1389.
    "overrides": {"@hono/node-server": "1.13.8"},
}


class MissingToolError(Exception):
    """Something this machine must bring is not there; the text says how to get it."""


def cache_folder() -> Path:
    """Return the folder of cached environments, created if need be."""
    folder = Path(os.environ.get("CHATPROXY_BENCH_CACHE", "~/.cache/chatproxy-bench")).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def nginx() -> Path:
    """Find nginx.

    Raises:
        MissingToolError: it is not installed.
    """
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
    if found is None:
        raise MissingToolError("nginx not found: apt-get install --no-install-recommends nginx")
    return Path(found)


def litellm() -> Path:
    """Return LiteLLM's ``litellm`` command, installed on first use."""
    command = cache_folder() / "litellm" / "bin" / "litellm"
    if not command.exists():
        _make_venv(command.parent.parent, "litellm[proxy]")
    return command


def portkey() -> Path:
    """Return the ``node_modules`` with Portkey's gateway and the Node it runs on, installed on first use.

    Raises:
        MissingToolError: npm is not installed.
    """
    folder = cache_folder() / "portkey"
    packages = folder / "node_modules"
    if not packages.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise MissingToolError("npm not found: install Node, which brings it")
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_text(json.dumps(_PORTKEY_PACKAGE))
        _run([npm, "install", "--no-audit", "--no-fund"], folder)
    return packages


def core_distributions(repository: Path) -> list[str]:
    """Install the core into a fresh environment and list what that brought, itself included."""
    with tempfile.TemporaryDirectory(dir=cache_folder()) as folder:
        python = _make_venv(Path(folder), str(repository))
        listing = subprocess.run(
            [python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True, timeout=_INSTALL_LIMIT_S
        )
    names = {entry["name"] for entry in json.loads(listing.stdout)}
    return sorted(names - {"pip", "setuptools", "wheel"})


def _make_venv(folder: Path, requirement: str) -> Path:
    _run([sys.executable, "-m", "venv", "--clear", str(folder)], folder.parent)
    python = folder / "bin" / "python"
    _run([str(python), "-m", "pip", "install", "--quiet", requirement], folder)
    return python


def _run(command: list[str], folder: Path) -> None:
    print("$", *command, file=sys.stderr, flush=True)
    subprocess.run(command, cwd=folder, check=True, stdout=sys.stderr, timeout=_INSTALL_LIMIT_S)
