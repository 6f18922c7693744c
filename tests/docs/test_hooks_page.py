"""docs/hooks.md is what the generator writes, its examples are code, and each hook has its test."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from types import ModuleType

import pytest

from chatproxy import hookspecs
from chatproxy.hookspecs import SPECS

from .pages import ROOT, blocks, read

PAGE = "docs/hooks.md"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_hooks", ROOT / "docs" / "generate_hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_up_to_date(generator: ModuleType) -> None:
    assert read(PAGE) == generator.page(), "run python docs/generate_hooks.py"


@pytest.mark.parametrize("name", SPECS)
def test_hook_has_a_heading_and_its_signature(generator: ModuleType, name: str) -> None:
    assert f"\n## {name}\n\n```text\n{generator.signature(name)}\n```\n" in read(PAGE)
    shown = ast.parse(f"{generator.signature(name)}: ...").body[0]
    assert isinstance(shown, ast.FunctionDef | ast.AsyncFunctionDef)
    declared = list(inspect.signature(getattr(hookspecs, name)).parameters)
    assert [argument.arg for argument in shown.args.args] == declared
    assert isinstance(shown, ast.AsyncFunctionDef) is SPECS[name].is_async


@pytest.mark.parametrize("name", SPECS)
def test_hook_has_a_test_of_its_name(name: str) -> None:
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    tests += "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "plugins").rglob("test_*.py"))
    assert re.search(rf"def test_hook_{name}\b", tests), f"no test_hook_{name}"


def test_examples_implement_hooks() -> None:
    for block in blocks(PAGE, "python"):
        functions = [
            node for node in ast.parse(block.text).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        ]
        assert [function.name for function in functions if function.name in SPECS], f"line {block.line}"
        for function in functions:
            declared = set(inspect.signature(getattr(hookspecs, function.name)).parameters)
            assert {argument.arg for argument in function.args.args} <= declared, f"line {block.line}"
        assert len(block.text.splitlines()) <= 12, f"line {block.line}"
