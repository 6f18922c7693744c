"""Which checks there are: the entry points of the group ``chatproxy_guardrails.checks``.

Rule: a check that no policy names is not imported.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import msgspec

from chatproxy_guardrails.checks.base import Check, CheckType, JudgeCheck, PatternCheck, RequestCheck

GROUP = "chatproxy_guardrails.checks"


class CheckError(ValueError):
    """A check cannot be used: unknown, not to be loaded, or with wrong options; one sentence for the operator."""


def check_names() -> list[str]:
    """Names of the installed checks, sorted."""
    return sorted({entry.name for entry in _installed()})


def check_type(name: str) -> CheckType:
    """The check of this name.

    Raises:
        CheckError: there is none, or two packages bring one, or it cannot be loaded.
    """
    return _loaded(name)


def make_check(name: str, options: Mapping[str, Any]) -> Check:
    """A check with its options.

    Raises:
        CheckError: see `check_type`; or the options are wrong.
    """
    found = check_type(name)
    try:
        settings = msgspec.convert(dict(options), found.options)
        check = found.make(settings)
    except ValueError as exc:  # a msgspec.ValidationError is one
        raise CheckError(f"check {name!r}: {exc}") from exc
    if not isinstance(check, PatternCheck | JudgeCheck | RequestCheck):
        raise CheckError(f"check {name!r} is of no known kind: it has neither rules, judge nor review")
    return check


@cache
def _installed() -> tuple[EntryPoint, ...]:
    """Read once: what is installed does not change while a process runs.

    A distribution that is found twice on the path, as an editable one may be, counts once.
    """
    return tuple({(entry.name, entry.value): entry for entry in entry_points(group=GROUP)}.values())


@cache
def _loaded(name: str) -> CheckType:
    entries = [entry for entry in _installed() if entry.name == name]
    if not entries:
        near = difflib.get_close_matches(name, check_names(), 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(check_names())}"
        raise CheckError(f"no check is called {name!r}; {hint}")
    if len(entries) > 1:
        owners = ", ".join(sorted(f"{entry.value} ({_owner(entry)})" for entry in entries))
        raise CheckError(f"check {name!r} is brought twice: {owners}; uninstall one")
    (entry,) = entries
    try:
        found = entry.load()
    except (ImportError, AttributeError) as exc:
        raise CheckError(f"check {name!r} of {_owner(entry)} cannot be loaded: {exc}") from exc
    if not isinstance(found, CheckType):
        raise CheckError(f"check {name!r} of {_owner(entry)}: {entry.value} is no CheckType")
    return found


def _owner(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else "an unknown distribution"
