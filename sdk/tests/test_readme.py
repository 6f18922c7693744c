"""The programs of the README, as they stand, against a gateway's demo model."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from .gateway import Gateway

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=["client", "agent"])
def test_program_runs(program: str, gateway: Gateway) -> None:
    source = program.replace("http://127.0.0.1:8765", gateway.url)
    source = source.replace("ChatServerClient(", f'ChatServerClient(api_key="{gateway.key}", ')
    source = source.replace("ModelConfig(", f'ModelConfig(api_key="{gateway.key}", ')
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source], capture_output=True, text=True, timeout=50, check=False
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "demo model" in done.stdout or "'errors': 0" in done.stdout
