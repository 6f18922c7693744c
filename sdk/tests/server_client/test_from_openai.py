"""The table of names: each of ours is there, and takes the argument that it is said to take."""

from __future__ import annotations

import dataclasses
import inspect
import re

import chatproxy_sdk
import pytest
from chatproxy_sdk import exceptions

from .guides import moves

MOVES = moves()
_NAME = re.compile(r"(\w+)(?:\.(\w+))?(?:\((\w*)=?\))?")


def test_table_is_read() -> None:
    assert len(MOVES) > 40
    ours = {name for _, name in MOVES}
    errors = {kind.__name__ for kind in vars(exceptions).values() if _is_server_error(kind)}
    assert errors <= ours


@pytest.mark.parametrize(("theirs", "ours"), MOVES)
def test_our_name_is_there(theirs: str, ours: str) -> None:
    match = _NAME.fullmatch(ours)
    assert match is not None, ours
    owner, member, argument = match.groups()
    if owner == "create_completion":
        owner, member = "ChatServerClient", "create_completion"
    found = getattr(exceptions if owner.endswith("Error") else chatproxy_sdk, owner)
    if member is not None:
        assert member in _members(found), f"{theirs} -> {ours}"
        found = getattr(found, member, None)
    if argument:
        assert argument in inspect.signature(found).parameters, f"{theirs} -> {ours}"


def _members(kind: type) -> set[str]:
    fields = {field.name for field in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else set()
    assigned = set(re.findall(r"self\.(\w+) = ", inspect.getsource(kind))) if issubclass(kind, Exception) else set()
    return {*dir(kind), *fields, *assigned}


def _is_server_error(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, exceptions.ChatServerError)
