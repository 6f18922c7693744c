"""The programs of the guide, run as they stand, against the demo model."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

GUIDE = (Path(__file__).parents[2] / "docs" / "agents.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
HELLO = r"Hello! .+ Ask me something\.\n"
# What each program must print.
PRINTED = {
    "first": HELLO + r"1, 2, 3, 4, 5\n\['system', 'user', 'assistant', 'user', 'assistant'\]\n",
    "tools": r".*sunny.*\n\['\{\"city\":\"Paris\",\"weather\":\"sunny\",\"unit\":\".*\"\}'\]\n",
    "calls of one's own": r"look_up \{.*aurora.*\}\n.*lights in the sky.*\n",
    "errors": r"ModelNotFoundError 404 .*no-such-model.*\n",
    "models": r"\['demo'\]\nasking demo\n" + HELLO,
    "statistics": r"1 [1-9]\d* 1\.0\nok 200 \['first_text', 'head', 'total'\]\n",
}


def test_every_program_is_run() -> None:
    assert len(PROGRAMS) == len(PRINTED)


@pytest.mark.parametrize(("program", "printed"), list(zip(PROGRAMS, PRINTED.values(), strict=True)), ids=list(PRINTED))
def test_program_runs(demo_url: str, capsys: pytest.CaptureFixture[str], program: str, printed: str) -> None:
    assert "http://localhost:8765/v1" in program
    code = compile(program.replace("http://localhost:8765/v1", demo_url), "agents.py", "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102 - a program of our own guide
    said = capsys.readouterr()
    assert re.fullmatch(printed, said.out), said.out
    assert said.err == ""
