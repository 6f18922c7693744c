"""The programs of the guides, the document's own among them, run as they stand."""

from __future__ import annotations

import re

import pytest

from ..gateway import Gateway
from .guides import DOCS, PAGES, Program, programs

PROGRAMS = programs()
# What a program must print, in this order; the others must only run.
PRINTED = {
    "quick-start 1": [r"Available models: \['demo', 'claude-3-haiku'\]", r"Assistant: .+", r"Tokens used: [1-9]"],
    "quick-start 2": [r"Hello!.+"],
    "quick-start 3": [r"Hello!.+", r"Hello!.+", r".+How are you.+", r"Hello!.+"],
    "quick-start 4": [r"1, 2, 3, 4, 5"],
    "quick-start 5": [r"6 \* 7 = 42", r"1, 2, 3"],
    "streaming 1": [r"Streaming response:", r".+Tell me a story.+", r"Session fingerprint: [\w-]{8,}"],
    "streaming 2": [r"1, 2, 3, .+"],
    "streaming 3": [r"1, 2, 3, 4, 5", r"Tokens: [1-9]\d*"],
    "conversations 1": [r".+example.+"],
    "conversations 2": [r".+risks.+", r"Stream recorded under: [\w-]{8,}", r"Loaded 4 stored messages"],
    "conversations 3": [r"\d{4}-\d\d-\d\d Hello!: [1-9]\d* tokens, \{'ticket': 42\}"],
    "tools 1": [r".+12 degrees and rain in Paris.+"],
    "administration 1": [
        r"Total users: \d+",
        r"Active users: \d+",
        r"Total requests: \d+",
        r"Platform admins: [1-9]\d*",
        r"\[\d{4}-.+\] .+: .+",
    ],
    "administration 2": [r"(?s:.*)Ann ann@example\.com \d{4}-.+", r"success"],
    "errors 1": [r"Bad request: .+", r"Status code: 400"],
    "errors 2": [r"Hello!.+"],
    "from-openai-python 1": [r"hello", r"1, 2, 3, 4, 5"],
}


def test_every_program_of_the_guides_is_run() -> None:
    assert [program.name for program in PROGRAMS] == list(PRINTED)
    assert {path.stem for path in DOCS.glob("*.md") if 'ServerClient(api_key="' in path.read_text("utf-8")} <= set(
        PAGES
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program_runs(program: Program, gateway: Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    code = compile(program.at(gateway.url, gateway.key), f"{program.name}.py", "exec")
    exec(code, {"__name__": "__main__"})  # noqa: S102 - a program of our own guides
    printed = capsys.readouterr()
    assert re.match(r"\n".join(PRINTED[program.name]), printed.out), printed.out
    assert printed.err == ""
