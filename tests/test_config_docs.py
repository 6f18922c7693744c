"""docs/configuration.md names every key with its type, default and variable, and its example is a right file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from chatproxy.config import ModelConfig, PluginPolicy, PluginsConfig, ProxyConfig, UpstreamConfig
from chatproxy.config.describe import wanted
from chatproxy.config.plugins import HookSettings
from chatproxy.config.section import Field, Section

PAGE = (Path(__file__).parents[1] / "docs" / "configuration.md").read_text()
SECTIONS: list[type[Section]] = [ProxyConfig, UpstreamConfig, ModelConfig, PluginsConfig, PluginPolicy, HookSettings]
OTHER_TYPES = {"plugins": "a table", "transform_params": "a function"}


def tables() -> list[list[list[str]]]:
    """Every table of keys: its rows, each a list of cells, without the heading."""
    found = re.findall(r"^\| key \|.*\n\|[-|]+\n((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [[[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()] for table in found]


def expected(item: Field, section: type[Section]) -> list[str]:
    kind = OTHER_TYPES.get(item.name, wanted(item.kind))
    value = {} if item.name == "plugins" else None if item.is_required else item.make_default()
    default = "required" if item.is_required else "none" if value is None else f"`{json.dumps(value)}`"
    variable = f"`PROXY_{item.name.upper()}`" if item.name not in {"upstreams", "models", "plugins"} else ""
    return [f"`{item.name}`", kind, default, *([variable] if section is ProxyConfig else [])]


def test_there_is_one_table_for_each_section() -> None:
    assert len(tables()) == len(SECTIONS)


@pytest.mark.parametrize("section", SECTIONS)
def test_page_names_each_key_with_type_default_and_variable(section: type[Section]) -> None:
    rows = tables()[SECTIONS.index(section)]
    wanted_rows = [expected(item, section) for item in section.fields_.values() if item.rule.is_setting]
    assert [row[: len(wanted_rows[0])] for row in rows] == wanted_rows


def test_units_stand_in_the_names() -> None:
    for section in SECTIONS:
        for name, item in section.fields_.items():
            if isinstance(item.default, float):
                assert name.endswith("_s"), f"{name} is a time without its unit"
            if name.startswith("max_") and isinstance(item.default, int) and item.default > 100_000:
                assert name.endswith("_bytes"), f"{name} is a size without its unit"


def test_example_of_the_page_is_a_right_file(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "chatproxy.toml"
    path.write_text(example)
    config = ProxyConfig.load(path, environ={"OPENAI_API_KEY": "k"})
    assert config.warnings == ()
    assert set(config.upstreams) == {"default", "local"}
    assert set(config.models) == {"openai/*", "assistant"}
    assert config.plugins.enabled == ("guardrails",)
