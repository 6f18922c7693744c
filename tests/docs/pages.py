"""The pages of the documentation and what is written in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("examples/*.md"),
        *ROOT.glob("examples/*/*.md"),
        *ROOT.glob("benchmarks/*.md"),
        *ROOT.glob("plugins/*/*.md"),
        *ROOT.glob("sdk/*.md"),
        *ROOT.glob("sdk/docs/*.md"),
    ]
)
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


class Block(NamedTuple):
    """A fenced block: its language, its text without the last newline, its line in the page."""

    language: str
    text: str
    line: int


def read(name: str) -> str:
    """A page by its path from the repository's root."""
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> list[Block]:
    """The fenced blocks of a page, all or those in some languages."""
    text = read(name)
    found = [
        Block(match[1], match[2].rstrip("\n"), text[: match.start()].count("\n") + 1)
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    return [block for block in found if not languages or block.language in languages]


def prose(name: str) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", read(name), flags=re.DOTALL | re.MULTILINE)


def section(name: str, heading: str) -> str:
    """The text under a heading, up to the next of the same level."""
    level = re.escape(heading.split(" ", maxsplit=1)[0])
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^{level} |\Z)", read(name), re.DOTALL | re.MULTILINE)
    assert found is not None, f"{name} has no heading {heading!r}"
    return found[1]
