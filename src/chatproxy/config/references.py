"""References to the environment inside the configuration file's strings.

``${NAME}`` is the variable's value, ``${NAME:-fallback}`` has a fallback for one that is unset or empty, ``$$`` is
one dollar sign. Rule: text in, text out; what was expanded is never expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from chatproxy.config.describe import key_path

_NAME = r"\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<fallback>[^}]*))?\}"
_REFERENCE = re.compile(rf"\$(?:(?P<dollar>\$)|{_NAME}|(?P<bad>\{{))")


class Expanded(str):
    """Text that came out of the environment: a number or boolean may be read from it."""

    __slots__ = ()


class Unresolved(Expanded):
    """Text with a reference that could not be replaced; the fault has been told."""

    __slots__ = ()


def expand(value: Any, environ: Mapping[str, str], faults: list[str], path: tuple[str, ...] = ()) -> Any:
    """A copy of a TOML value with every reference replaced.

    Args:
        faults: gets a line for each variable that is missing and each reference that is malformed.
        path: the keys that lead to ``value``.
    """
    if isinstance(value, str):
        return _expand_text(value, environ, faults, path)
    if isinstance(value, dict):
        return {key: expand(item, environ, faults, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, environ, faults, path) for item in value]
    return value


def has_reference(text: str) -> bool:
    """Whether some of the text comes from the environment."""
    return any(found["name"] for found in _REFERENCE.finditer(text))


def plain(value: Any) -> Any:
    """The same value with plain strings in place of `Expanded` ones."""
    if isinstance(value, Expanded):
        return str(value)
    if isinstance(value, dict):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _expand_text(text: str, environ: Mapping[str, str], faults: list[str], path: tuple[str, ...]) -> str:
    if "$" not in text:
        return text

    def replace(found: re.Match[str]) -> str:
        name, fallback = found["name"], found["fallback"]
        if found["dollar"]:
            return "$"
        if found["bad"]:
            faults.append(f"{key_path(*path)}: found '${{' without a name, wanted ${{NAME}} (or $$ for a dollar sign)")
            return ""
        value = environ.get(name)
        if value or (value is not None and fallback is None):
            return value
        if fallback is None:
            faults.append(f"{key_path(*path)}: the environment variable {name} is not set")
        return fallback or ""

    before = len(faults)
    expanded = _REFERENCE.sub(replace, text)
    if len(faults) > before:
        return Unresolved(expanded)
    return Expanded(expanded) if has_reference(text) else expanded
