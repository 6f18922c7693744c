"""Write docs/hooks.md from `chatproxy.hookspecs`: signature, kind, deadline and docstring of each hook.

Run it after a change of a hook: ``python docs/generate_hooks.py``. A test fails while the page is behind.
"""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from chatproxy import hookspecs
from chatproxy.hookspecs import SPECS, HookSpec, Kind

PAGE = Path(__file__).parent / "hooks.md"

KINDS = {
    Kind.COLLECT: "Called once each at start; what they return is joined.",
    Kind.FIRST: "In order, until one returns something other than None; later ones are not called.",
    Kind.CHAIN: "In order; each gets what the one before it returned.",
    Kind.CHAIN_BACK: "As `chain`, in reverse order.",
    Kind.AROUND: "Nested; the first in order is the outermost and calls the next.",
    Kind.STREAM: "Layers over a stream; the first in order is nearest to the client.",
    Kind.AFTER: "In the background, each on its own; no answer waits for them.",
    Kind.LIFESPAN: "Async context managers, entered in order and left in reverse.",
}

INTRODUCTION = """\
# Hooks

Written by `docs/generate_hooks.py` from `chatproxy.hookspecs`; do not edit.

A plugin implements a hook by a function of the hook's name, marked with `@hookimpl`. The function may take any of the
hook's arguments, by name, and leave out the others. [Writing plugins](plugins.md) tells the rest: order, deadlines,
failures, tests.

| kind | how the implementations are called |
|---|---|
"""


def page() -> str:
    """The page's text."""
    kinds = [f"| `{kind}` | {text} |" for kind, text in KINDS.items()]
    hooks = [f"| [`{spec.name}`](#{spec.name}) | {spec.kind} | {_deadline(spec)} |" for spec in SPECS.values()]
    table = ["", "| hook | kind | deadline |", "|---|---|---|", *hooks]
    return INTRODUCTION + "\n".join([*kinds, *table, "", *(_section(spec) for spec in SPECS.values())])


def signature(name: str) -> str:
    """A hook's signature as it is declared, on lines of at most 100 characters."""
    function = getattr(hookspecs, name)
    parameters = [f"{p.name}: {p.annotation}" for p in inspect.signature(function).parameters.values()]
    start = f"{'async ' if SPECS[name].is_async else ''}def {name}("
    end = f") -> {inspect.signature(function).return_annotation}"
    whole = start + ", ".join(parameters) + end
    if len(whole) <= 100:
        return whole
    return "\n".join([start, *(f"    {parameter}," for parameter in parameters), end])


def _section(spec: HookSpec) -> str:
    text, example = _docstring(spec.name)
    parts = [
        f"## {spec.name}",
        f"```text\n{signature(spec.name)}\n```",
        f"Kind: `{spec.kind}`. Deadline: {_deadline(spec)}.",
    ]
    return "\n\n".join([*parts, text, *([f"```python\n{example}\n```"] if example else [])]) + "\n"


def _docstring(name: str) -> tuple[str, str]:
    """The docstring as Markdown, and its example."""
    whole = inspect.getdoc(getattr(hookspecs, name)) or ""
    text, _, example = whole.partition("Example::\n")
    text = re.sub(r"``(.+?)``", r"`\1`", text.strip())
    text = re.sub(r"^Args:\n((?:    .*\n?)+)", lambda found: _arguments(found[1]), text, flags=re.MULTILINE)
    return text, inspect.cleandoc(example)


def _arguments(lines: str) -> str:
    return re.sub(r"^    (\w+): ", r"- `\1`: ", lines, flags=re.MULTILINE)


def _deadline(spec: HookSpec) -> str:
    return "none" if spec.deadline_s is None else f"{spec.deadline_s:g} s"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
