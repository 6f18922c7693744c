"""docs/architecture.md names files, classes and functions that are there."""

from __future__ import annotations

import ast
import re

import pytest

from .pages import ROOT, prose, read

PAGE = "docs/architecture.md"
SOURCE = ROOT / "src" / "chatproxy"
NAMED = sorted(set(re.findall(r"`([\w/]+\.py): ([\w.]+)`", prose(PAGE).replace("\n", " "))))


def defined(path: str) -> set[str]:
    """Classes, their methods (also inherited in the same file), functions and annotated constants of a module."""
    tree = ast.parse((SOURCE / path).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.ClassDef):
            methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
            found |= {node.name, *(f"{node.name}.{method.name}" for method in methods)}
    return found


@pytest.mark.parametrize(("path", "name"), NAMED, ids=[f"{path}:{name}" for path, name in NAMED])
def test_what_the_page_names_exists(path: str, name: str) -> None:
    assert name in defined(path)


def test_page_walks_a_request_and_a_stream_event() -> None:
    headings = re.findall(r"^## (.+)$", read(PAGE), re.MULTILINE)
    assert {"One request", "One stream event"} <= set(headings)
    assert len(NAMED) > 40


def test_page_has_a_row_for_each_part_of_the_package() -> None:
    rows = " ".join(re.findall(r"^\| [^|]+ \| ([^|]+) \|", read(PAGE), re.MULTILINE))
    parts = [path for path in SOURCE.iterdir() if not path.name.startswith(("_", "."))]
    names = [f"{path.name}/" if path.is_dir() else path.name for path in parts if path.suffix in {"", ".py"}]
    assert [name for name in names if f"`{name}`" not in rows] == []
