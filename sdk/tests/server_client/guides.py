"""The guides, taken apart: programs to run, and names to look for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"
PAGES = (
    "quick-start",
    "streaming",
    "conversations",
    "tools",
    "administration",
    "errors",
    "from-openai-python",
)
_PROGRAM = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
_CLIENT = re.compile(r'api_key="(?:your|admin)-api-key"(?:, base_url="http://localhost:3284")?')


class Program(NamedTuple):
    """A program of a guide."""

    name: str
    text: str

    def at(self, url: str, key: str) -> str:
        """The same with a server that runs and a key of it."""
        text, count = _CLIENT.subn(f'api_key="{key}", base_url="{url}"', self.text)
        assert count == 1, self.name
        return text


def programs() -> list[Program]:
    """Every program of the guides, in order."""
    found = ((page, _PROGRAM.findall(_text(page))) for page in PAGES)
    return [Program(f"{page} {i}", text) for page, texts in found for i, text in enumerate(texts, 1)]


def moves() -> list[tuple[str, str]]:
    """What is called how: openai-python's name, ours."""
    rows = (line.split("|")[1:3] for line in _text("from-openai-python").splitlines() if line.startswith("| `"))
    return [(theirs.strip(" `"), ours.strip(" `")) for theirs, ours in rows]


def _text(page: str) -> str:
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")
