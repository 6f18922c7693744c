"""Scan: what a tool's texts say to a model that they should not say, or say so that no person sees it.

Rule: pure; a heuristic that finds what attackers are known to write. A tool without flags is not thereby harmless:
pins, deny globs and approvals hold whatever a tool says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec

from chatproxy_mcp.catalogue.hidden import hidden_in
from chatproxy_mcp.catalogue.lookalikes import latin
from chatproxy_mcp.catalogue.phrases import PHRASES
from chatproxy_mcp.tool import Tool

_PIECE = 4096
_OVERLAP = 256
_WORD = re.compile(r"\b[A-Za-z][A-Za-z0-9]*(?:[_-]+[A-Za-z0-9]+)+|\b[a-z]+(?:[A-Z][a-z0-9]*)+")
_MAX_WORDS = 1024
_GAP = re.compile(r"[ \t\xa0\u2000-\u200a\u3000]{40}|(?:[ \t]*\r?\n){12}")
_BLOB = re.compile(r"[A-Za-z0-9+/_-]{160}|(?:\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|&#x?[0-9a-fA-F]{2,6};){12}")
_BLANKS = re.compile(r"[ \t\r\f\v\xa0\u2000-\u200a\u3000]+")
_LINES = re.compile(r" ?\n[ \n]*")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a tool's texts.

    Attributes:
        hidden: a short clause about what a person cannot see; empty: nothing.
        flags: short phrases about what reads like instructions to a model, sorted.
        words: what may be the name of a tool.
    """

    hidden: str = ""
    flags: tuple[str, ...] = ()
    words: frozenset[str] = frozenset()


def scan(tool: Tool) -> Found:
    """Look at all texts of a tool: names, title, description, every text in its schemas, keys included."""
    hidden = ""
    flags: set[str] = set()
    words: set[str] = set()
    for place, text in _texts(tool):
        found = hidden_in(text)
        hidden = hidden or (found and f"{found}, in its {place}")
        flags.update(_flags(text))
        if place != "name" and len(words) < _MAX_WORDS:
            words.update(_WORD.findall(text))
    return Found(hidden=hidden, flags=tuple(sorted(flags)), words=frozenset(words))


def _texts(tool: Tool) -> Iterator[tuple[str, str]]:
    yield "name", tool.name
    yield "title", tool.title
    yield "description", tool.description
    for place, tree in (
        ("parameters", tool.parameters),
        ("output schema", tool.output_schema),
        ("annotations", tool.annotations),
    ):
        for text in _strings(tree):
            yield place, text


def _strings(tree: Any) -> Iterator[str]:
    """Every text of a tree, keys included; the longest way down is bounded by `listing.MAX_DEPTH`."""
    todo = [tree]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            yield from value
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)


def _flags(text: str) -> set[str]:
    """What reads like instructions; a text of three words says nothing, names of many words are read as such."""
    if len(text) < 12:
        return set()
    if " " not in text and not text.isspace() and text.isascii():
        if text.count("_") + text.count("-") + text.count("\n") < 3 and len(text) < 160 and "<" not in text:
            return set()
        text = text.replace("_", " ").replace("-", " ") + "\n" + text
    flags = set()
    if _GAP.search(text):
        flags.add("text behind a gap")
    if _BLOB.search(text):
        flags.add("encoded text")
    seen = _LINES.sub("\n", _BLANKS.sub(" ", latin(text).casefold().replace("’", "'")))
    for start in range(0, max(len(seen) - _OVERLAP, 1), _PIECE - _OVERLAP):
        piece = seen[start : start + _PIECE]
        flags.update(phrase.flag for phrase in PHRASES if phrase.flag not in flags and phrase.is_in(piece))
    return flags
