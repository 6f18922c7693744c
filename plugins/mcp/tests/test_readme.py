"""What the README shows is right."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import chatproxy_mcp
import msgspec
from chatproxy_mcp.config import Config, OAuth, Server

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def rows(heading: str, number: int = 0) -> dict[str, str]:
    """Default by key, of one of a section's tables."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = section.split("|---|---|---|\n")[number + 1].split("\n\n")[0]
    cells = [row.strip("|").split(" | ") for row in table.splitlines()]
    found: dict[str, str] = {}
    for row in cells:
        names = re.findall(r"`(\w+)`", row[0])
        defaults = [part.strip() for part in row[1].split(",")]
        found.update(zip(names, defaults if len(defaults) == len(names) else [row[1]] * len(names), strict=True))
    return found


def check(shown: dict[str, str], kind: type[msgspec.Struct]) -> None:
    fields = {field.name: field.default for field in msgspec.structs.fields(kind)}
    assert set(shown) == set(fields) - {"servers"}
    for name, default in fields.items():
        if isinstance(default, str | int | float) and default != "":
            assert str(default).lower().removesuffix(".0") in shown[name].lower(), name


def test_configuration_is_valid() -> None:
    block = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)[0].replace("${GITHUB_TOKEN:-none}", "none")
    config = msgspec.convert(tomllib.loads(block)["plugins"]["mcp"], Config)
    assert list(config.servers) == ["time", "github"]


def test_every_key_is_told_with_its_default() -> None:
    check(rows("Servers"), Server)
    check(rows("Servers", 1), Config)


def test_every_key_of_oauth_is_told() -> None:
    row: Any = next(line for line in README.splitlines() if line.startswith("| `auth`"))
    assert all(field.name in row for field in msgspec.structs.fields(OAuth))


def test_every_code_is_told() -> None:
    source = Path(chatproxy_mcp.__file__).parent
    codes = {code for path in source.rglob("*.py") for code in re.findall(r'code="(mcp_\w+)"', path.read_text("utf-8"))}
    assert codes == set(re.findall(r"400 `(mcp_\w+)`", README))
