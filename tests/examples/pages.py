"""What a page about examples shows: for each program how to start it, what to ask it, and what comes back."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .running import EXAMPLES

GATEWAY = "http://127.0.0.1:8765"
STAND_IN = "http://127.0.0.1:8766"
CHANGES = re.compile(r"\d{4}-\d\d-\d\dT[\d:+-]+|\w+day\b|\b(?:true|false)\b|session-[0-9a-f]+")


@dataclass(frozen=True)
class Question:
    """A curl line: where it asks, and its body."""

    path: str
    body: dict[str, Any]


class Section:
    """One program's part of a page."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self._text = text

    def blocks(self, language: str) -> list[str]:
        return [block.strip() for block in re.findall(rf"```{language}\n(.*?)```", self._text, re.DOTALL)]

    @property
    def environ(self) -> dict[str, str]:
        """What the first shell block sets, which must start the program and do nothing else."""
        *settings, python, path = shlex.split(self.blocks("sh")[0])
        assert (python, EXAMPLES.parent / path) == ("python", EXAMPLES / self.name)
        return dict(setting.split("=", 1) for setting in settings)

    @property
    def questions(self) -> list[Question]:
        """The second shell block, which must be one that a shell understands."""
        return [self._question(line) for line in self.blocks("sh")[1].splitlines()]

    @property
    def answers(self) -> list[str]:
        """The first text: an answer in each line, or of one question the whole."""
        (text, *_) = self.blocks("text")
        return [text] if len(self.questions) == 1 else text.splitlines()

    def _question(self, line: str) -> Question:
        curl, url, option, header, data, body = shlex.split(line)
        assert (curl, option, header, data) == ("curl", "-H", "content-type: application/json", "-d")
        assert url.startswith(GATEWAY)
        return Question(url.removeprefix(GATEWAY), json.loads(body))


def sections(page: Path) -> dict[str, Section]:
    """By the program's path below ``examples/``."""
    text = page.read_text(encoding="utf-8")
    found = re.findall(r"^## (\S+\.py)\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    folder = page.parent.relative_to(EXAMPLES)
    return {str(folder / name): Section(str(folder / name), part) for name, part in found}


def settled(text: str) -> str:
    """A text without what differs from run to run."""
    return CHANGES.sub("*", text)
