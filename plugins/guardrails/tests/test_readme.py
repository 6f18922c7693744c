"""What the README shows is right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec
from chatproxy_guardrails.bound import bind
from chatproxy_guardrails.checks.base import CheckType
from chatproxy_guardrails.config import Config, Policy
from chatproxy_guardrails.matching import Matcher
from chatproxy_guardrails.registry import check_names

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def table(heading: str) -> dict[str, list[str]]:
    """The rows of a section's table by the names in their first column."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [row.strip("|").split(" | ") for row in section.splitlines() if row.startswith("| `")]
    return {name: [cell.strip(" |") for cell in row[1:]] for row in rows for name in re.findall(r"`(\w+)`", row[0])}


def test_configuration_is_valid() -> None:
    config = msgspec.convert(tomllib.loads(blocks("toml")[0])["plugins"]["guardrails"], Config)
    assert [bound.name for bound in bind(config.policy)] == ["no-secrets", "private", "no-jailbreaks"]


def test_every_key_of_a_policy_is_told_with_its_default() -> None:
    shown = table("Policies")
    fields = {field.name: field.default for field in msgspec.structs.fields(Policy)}
    assert set(shown) == set(fields)
    for name, default in fields.items():
        if isinstance(default, str | int | float) and default != "":
            assert str(default).lower().removesuffix(".0") in shown[name][0].lower(), name


def test_every_check_is_told() -> None:
    assert set(table("Checks")) == {name for name in check_names() if not name.startswith("probe_")}


def test_check_of_ones_own_finds() -> None:
    (program,) = blocks("python")
    space: dict[str, Any] = {}
    exec(compile(program, "README.md", "exec"), space)  # noqa: S102 - a block of the page
    check = space["CHECK"]
    assert isinstance(check, CheckType)
    found = Matcher(check.make(check.options()).rules).scan("see TICKET-12345")
    assert [(start, end) for start, end, _ in found] == [(4, 16)]
