"""Measure the kit plugin: ``python -m benchmarks.kit.run``.

Needs the plugin installed, Linux and taskset. Nothing is downloaded and nothing leaves the machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path as FilePath

import msgspec

from benchmarks import processes
from benchmarks.command import run_command, told
from benchmarks.kit.cases import Path
from benchmarks.kit.report import render


def _tables(series: Sequence[str], rounds: int, scale: float, machine: str) -> str:
    del series, scale
    command = [sys.executable, "-m", "benchmarks.kit.path", "--rounds", str(rounds)]
    return render(told(msgspec.json.decode(processes.on_load_core(command), type=list[Path])), machine)


if __name__ == "__main__":
    run_command("kit", ["path"], _tables, FilePath(__file__).resolve().parent / "README.md")
