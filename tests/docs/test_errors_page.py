"""docs/errors.md has every code that the source answers with, and no other."""

from __future__ import annotations

import ast
import json
import re

import pytest

from chatproxy import errors
from chatproxy.errors import ApiError, error_type
from chatproxy.surfaces import faults
from chatproxy.types.chat import CHAT
from chatproxy.types.messages import MESSAGES

from .pages import ROOT, blocks, read

PAGE = "docs/errors.md"
Known = tuple[str, str]  # status, code

CLASSES = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, ApiError)}


def in_classes() -> set[Known]:
    return {(str(kind.default_status), kind.default_code) for kind in CLASSES.values() if kind.default_code} - {
        ("502", "upstream_status")
    }


def in_calls() -> set[Known]:
    """Calls of an error class with a code that is written out."""
    found = set()
    for path in (ROOT / "src" / "chatproxy").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CLASSES):
                continue
            given = {item.arg: item.value for item in node.keywords}
            code, status = given.get("code"), given.get("status")
            if isinstance(code, ast.Constant):
                default = CLASSES[node.func.id].default_status
                found.add((str(status.value) if isinstance(status, ast.Constant) else str(default), code.value))
    return found


def in_source() -> set[Known]:
    routes = {(str(status), code) for status, code in faults._CODES.items()}
    return in_classes() | in_calls() | routes | {("any", "upstream_status")}


def on_page() -> list[Known]:
    return re.findall(r"^\| (\d+|any) \| `(\w+)` \| .+ \|$", read(PAGE), re.MULTILINE)


def test_page_has_every_code_with_its_status_and_no_other() -> None:
    assert sorted(on_page()) == sorted(in_source())


@pytest.mark.parametrize("status", [401, 403, 408, 429, 504])
def test_types_of_the_page_are_those_of_the_source(status: int) -> None:
    rows = dict(re.findall(r"^\| ([\d, ]+) \| `(\w+)` \|$", read(PAGE), re.MULTILINE))
    shown = next(kind for statuses, kind in rows.items() if str(status) in statuses.split(", "))
    assert shown == error_type(status)


def test_examples_are_the_envelopes() -> None:
    shown = [json.loads(block.text) for block in blocks(PAGE, "json")]
    made = errors.NotFound("The model 'gpt-9' does not exist.", code="model_not_found", param="model")
    assert shown == [layout.error_body(made, "req_1") for layout in (CHAT, MESSAGES)]
