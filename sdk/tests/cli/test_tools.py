"""The tools of the chat: built in, and out of modules and files."""

from __future__ import annotations

from pathlib import Path

import pytest
from chatproxy_sdk.cli.arguments import UsageError
from chatproxy_sdk.cli.examples import calculate, current_time, roll_dice
from chatproxy_sdk.cli.toolsets import load_toolset

SOURCE = '''
from __future__ import annotations
from chatproxy_sdk.agent import Tool
from chatproxy_sdk.cli import tool

@tool
def marked(a: int) -> int:
    """Twice a number."""
    return 2 * a

def listed(a: str) -> str:
    """The same text."""
    return a

def unhinted(a):
    """Whatever."""

def other(**arguments):
    return arguments

several = [listed, (Tool("third", "By hand.", {"type": "object", "properties": {}}), other)]
number = 3
'''


@pytest.mark.parametrize(
    ("attribute", "names"),
    [("", ["marked"]), (":listed", ["listed"]), (":several", ["listed", "third"])],
    ids=["marked", "a function", "a list"],
)
def test_a_file_offers_what_is_marked_or_named(tmp_path: Path, attribute: str, names: list[str]) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)

    assert [name for name, _ in load_toolset(f"{file}{attribute}").described()] == names


def test_a_module_offers_its_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "chat_tools_of_mine.py").write_text(f"{SOURCE}\ntools = [listed]\n")
    monkeypatch.syspath_prepend(tmp_path)

    assert [name for name, _ in load_toolset("chat_tools_of_mine").described()] == ["listed"]


@pytest.mark.parametrize(
    ("attribute", "said"),
    [
        (":missing", "has no missing"),
        (":unhinted", "'a'"),
        (":number", "a tool must be a function"),
    ],
    ids=["missing", "no hint", "no function"],
)
def test_what_cannot_be_a_tool_is_told(tmp_path: Path, attribute: str, said: str) -> None:
    file = tmp_path / "mine.py"
    file.write_text(SOURCE)

    with pytest.raises(UsageError, match=said):
        load_toolset(f"{file}{attribute}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise RuntimeError('at home')", "RuntimeError: at home"),
        ("import sys; sys.exit(3)", "SystemExit"),
        ("x =", "SyntaxError"),
    ],
    ids=["raises", "exits", "no Python"],
)
def test_a_file_that_fails_is_told(tmp_path: Path, source: str, said: str) -> None:
    file = tmp_path / "broken.py"
    file.write_text(source)

    with pytest.raises(UsageError, match=said):
        load_toolset(str(file))


@pytest.mark.parametrize(
    ("expression", "value"),
    [("6 * 7", "42"), ("(2 + 3) * -4", "-20"), ("7 // 2 + 7 % 4", "6"), ("2 ** 0.5 > 1", None), ("1 / 4", "0.25")],
)
def test_calculate_works_out_numbers(expression: str, value: str | None) -> None:
    if value is None:
        with pytest.raises(ValueError, match="only numbers"):
            calculate(expression)
    else:
        assert calculate(expression) == value


@pytest.mark.parametrize(
    "expression",
    ["9**9**9**9", "__import__('os')", "1/0", "(" * 200, "a", "10**300*10", "(-1)**0.5", "1e308*10", "'a'*9", ""],
)
def test_calculate_refuses_all_else(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        calculate(expression)


def test_the_other_examples_answer_and_refuse() -> None:
    assert current_time().endswith("UTC")
    assert current_time("Europe/Zurich").rsplit(" ", 1)[1] in {"CET", "CEST"}
    assert all(1 <= one <= 6 for one in roll_dice(50))
    for wrong in (lambda: current_time("../etc/passwd"), lambda: current_time("Nowhere"), lambda: roll_dice(1000)):
        with pytest.raises(ValueError, match=r"timezone|dice"):
            wrong()
