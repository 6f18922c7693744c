"""Words for faults: what was found, what was wanted, which name is near.

Rule: pure functions; a secret's value never enters a message.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Mapping
from typing import Any

from msgspec import inspect

_LONGEST_SHOWN = 60
_PLURALS = {"a string": "strings", "an integer": "integers", "a number": "numbers", "a table": "tables"}


def found(value: object, *, secret: bool = False) -> str:
    """A value as a fault may show it: scalars as written, containers and secrets by kind only."""
    if isinstance(value, Mapping):
        return "a table"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if value is None:
        return "None"
    if secret:
        return "an empty string" if value == "" else f"a {_kind(value)}"
    if isinstance(value, str | bool | int | float):
        shown = json.dumps(value, ensure_ascii=True)
        return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
    return f"a {_kind(value)}"


def found_inside(value: object, place: str, *, secret: bool = False) -> str:
    """As `found`, with the item of a list that is at fault where ``place`` (``[2]``) says which."""
    index = place.strip("[]")
    if not isinstance(value, list | tuple) or not index.isdecimal() or int(index) >= len(value):
        return found(value, secret=secret)
    return f"a list with {found(value[int(index)], secret=secret)} at {place}"


def wanted(kind: Any) -> str:
    """A type in words, with its limits, for example ``an integer from 0 to 65535``."""
    return _words(inspect.type_info(kind))


def nearest(name: str, known: Collection[str], cutoff: float = 0.5) -> str | None:
    """The known name that looks most like ``name``; None where nothing comes near (``cutoff`` of 0 to 1)."""
    matches = difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def suggestion(name: str, known: Collection[str], noun: str) -> str:
    """The end of a fault about an unknown name: the nearest known one, else all of them."""
    near = nearest(name, known)
    if near is not None:
        return f"the nearest {noun} is {near!r}"
    return f"every {noun}: {', '.join(sorted(known))}"


def key_path(*parts: str) -> str:
    """A TOML key's path, with quotes where a part needs them: ``models."openai/*".params``."""
    return ".".join(part if _is_bare(part) else json.dumps(part, ensure_ascii=True) for part in parts)


def _is_bare(part: str) -> bool:
    return part != "" and all(c.isascii() and (c.isalnum() or c in "-_") for c in part)


def _kind(value: object) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), type(value).__name__)


def _words(info: inspect.Type) -> str:
    match info:
        case inspect.UnionType(types=types):
            return " or ".join(_words(part) for part in types if not isinstance(part, inspect.NoneType))
        case inspect.IntType():
            return "an integer" + _limits(info)
        case inspect.FloatType():
            return "a number" + _limits(info)
        case inspect.StrType(min_length=least):
            return "a string" if not least else "a string that is not empty"
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(json.dumps(value) for value in values)
        case inspect.VarTupleType(item_type=item) | inspect.ListType(item_type=item):
            return f"a list of {_PLURALS.get(_words(item).split(' that')[0], 'values')}"
        case inspect.DictType(value_type=inspect.StrType()):
            return "a table of strings"
        case inspect.DictType():
            return "a table"
    return "a value"


def _limits(info: inspect.IntType | inspect.FloatType) -> str:
    if info.ge is not None and info.le is not None:
        return f" from {info.ge} to {info.le}"
    if info.ge is not None:
        return f" of at least {info.ge}"
    return "" if info.gt is None else f" above {info.gt}"
