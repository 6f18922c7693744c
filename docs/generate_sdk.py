"""Write sdk/docs/reference.md from the docstrings of `chatproxy_sdk`.

Run it after a change of the clients: ``python docs/generate_sdk.py``. A test fails while the page is behind.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

from griffe import GriffeLoader, Module, Object, Parser
from griffe2md import ConfigDict, default_config, render_object_docs

SDK = Path(__file__).parents[1] / "sdk"
PAGE = SDK / "docs" / "reference.md"
MODULES = (
    "client", "async_client", "completions", "messages", "types", "exceptions",
    "agent.chat", "agent.config", "agent.tools", "agent.manager",
)  # fmt: skip

INTRODUCTION = """\
# Reference

Written by `docs/generate_sdk.py` from the docstrings; do not edit. Every class here but the exceptions is imported from
`chatproxy_sdk`, the exceptions from `chatproxy_sdk.exceptions`.

"""

_OPTIONS = cast(
    "ConfigDict",
    {
        **default_config,
        "heading_level": 2,
        "line_length": 100,
        "members_order": "source",
        "show_if_no_docstring": False,
        "show_root_full_path": False,
        "show_root_members_full_path": False,
        "show_object_full_path": False,
        "show_signature_annotations": True,
        "summary": False,
    },
)


def page() -> str:
    """The page's text."""
    package = GriffeLoader(search_paths=[SDK / "src"], docstring_parser=Parser.google).load("chatproxy_sdk")
    return INTRODUCTION + "\n".join(_module(cast("Module", package)[name]) for name in MODULES)


def _module(module: Object) -> str:
    text = render_object_docs(module, _OPTIONS)
    text = re.sub(r"\[([^\]\[]+)\]\(#[^)]*\)", r"\1", text)  # links to places that no page has
    text = re.sub(r"(?<!`)``([^`]+)``(?!`)", r"`\1`", text)
    text = re.sub(r"^```(\w*)\n(.*?)^```$", _block, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"\n{3,}", "\n\n", text)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _block(found: re.Match[str]) -> str:
    """A fenced block with its language, and with long signatures on several lines."""
    lines = [_folded(line) for line in found[2].splitlines()]
    return f"```{found[1] or 'text'}\n" + "\n".join(lines) + "\n```"


def _folded(line: str) -> str:
    """A signature with each argument on a line of its own where it is over 100 characters."""
    if len(line) <= 100 or "(" not in line:
        return line
    arguments, depth, start = [], 0, line.index("(") + 1
    first = start
    for place in range(first, len(line)):
        depth += (line[place] in "([{") - (line[place] in ")]}")
        if depth < 0 or (depth == 0 and line[place] == ","):
            arguments.append(line[start:place].strip())
            start = place + 1
        if depth < 0:
            return "\n".join([line[:first], *(f"    {argument}," for argument in arguments), line[place:]])
    return line


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
