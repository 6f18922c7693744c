"""The reference of the clients stands as their docstrings say, and names all that is public."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import chatproxy_sdk
import pytest

from .pages import ROOT, read

PAGE = "sdk/docs/reference.md"


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_sdk", ROOT / "docs" / "generate_sdk.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_page_is_as_the_docstrings_say(generator: ModuleType) -> None:
    assert read(PAGE) == generator.page(), "run python docs/generate_sdk.py"


@pytest.mark.parametrize("name", sorted({*chatproxy_sdk.__all__} - {"__version__", "ChatConfig", "ChatMessage"}))
def test_everything_public_is_on_the_page(name: str) -> None:
    assert f"### `{name}`\n" in read(PAGE)


def test_exported_names_are_there() -> None:
    assert all(getattr(chatproxy_sdk, name) is not None for name in chatproxy_sdk.__all__)
    assert sorted(chatproxy_sdk.__all__) == chatproxy_sdk.__all__
    assert {*dir(chatproxy_sdk)} == {*chatproxy_sdk.__all__}
