"""The guide names what there is, and its tool can be called."""

from __future__ import annotations

import argparse
import asyncio
import io
import re
from pathlib import Path

from chatproxy_sdk.cli.arguments import KEY_VARIABLE, URL_VARIABLE, Options, configure
from chatproxy_sdk.cli.commands import Commands
from chatproxy_sdk.cli.conversation import Conversation
from chatproxy_sdk.cli.toolsets import Toolset, load_toolset
from rich.console import Console

GUIDE = (Path(__file__).parents[2] / "docs" / "terminal.md").read_text()


def test_the_guide_has_every_option_and_no_other() -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    options = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", parser.format_help()))

    table = GUIDE.split("## Options")[1].split("| environment")[0]
    named = set(re.findall(r"(?<=[`\s])--?[a-z][\w-]*", "\n".join(row.split("|")[1] for row in rows(table))))

    assert named == options


def test_the_guide_has_every_command_and_no_other() -> None:
    async def usages() -> set[str]:
        conversation = Conversation(Options(), Toolset())
        async with conversation.agent:
            return {one.usage for one in Commands(conversation, Console(file=io.StringIO())).table.values()}

    table = GUIDE.split("| command |")[1].split("\n\n")[0]
    named = {re.split(r"(?<!\\)\|", row)[1].strip().strip("`").replace("\\|", "|") for row in rows(table)}

    assert named == asyncio.run(usages())


def test_the_guide_has_the_environment() -> None:
    assert {f"`{name}`" for name in (KEY_VARIABLE, URL_VARIABLE)} <= set(GUIDE.split())


def test_the_guide_s_tool_can_be_offered(tmp_path: Path) -> None:
    (source,) = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "mine.py").write_text(source)

    assert list(load_toolset(str(tmp_path / "mine.py")).described()) == [
        ("read_sensor", "Temperature of a room in degrees Celsius.")
    ]


def rows(table: str) -> list[str]:
    return [line for line in table.splitlines() if line.startswith("| `")]
