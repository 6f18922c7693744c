"""What holds the repository together: environments, versions, fragments."""

from __future__ import annotations

import configparser
import re
import tomllib
from typing import Any

from .pages import ROOT, read

FRAGMENT = re.compile(r"\+[a-z0-9-]+\.(added|changed|fixed|security)\.md")


def project(name: str = "pyproject.toml") -> dict[str, Any]:
    return tomllib.loads(read(name))


def environments() -> dict[str, str]:
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(read("tox.ini"))
    return dict(parser["tox"])


def test_each_plugin_has_an_environment() -> None:
    listed = environments()["env_list"].split(", ")
    plugins = [path.parent.name.strip("_") for path in (ROOT / "plugins").glob("*/pyproject.toml")]
    assert plugins
    assert [name for name in plugins if name not in listed] == []
    tox = read("tox.ini")
    together = tox[tox.index("[testenv:all]") : tox.index("[testenv:clients]")]
    assert [path for path in (ROOT / "plugins").glob("*/pyproject.toml") if path.parent.name not in together] == []


def test_everything_that_is_tested_has_an_environment() -> None:
    listed = environments()["env_list"].split(", ")
    assert {"lint", "type", "imports", "core", "all", "oldest", "clients", "pkg", "docs"} <= set(listed)


def test_fragments_are_full_sentences_of_a_known_kind() -> None:
    fragments = [*ROOT.glob("changelog.d/*"), *ROOT.glob("plugins/*/changelog.d/*"), *ROOT.glob("sdk/changelog.d/*")]
    assert fragments
    for fragment in fragments:
        assert FRAGMENT.fullmatch(fragment.name), fragment
        text = fragment.read_text(encoding="utf-8")
        assert re.fullmatch(r"[A-Z`].*\.\n", text), fragment


def test_constraints_pin_and_name_no_place() -> None:
    lines = read("constraints.txt").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", pin) for pin in pins)
    assert "://" not in read("constraints.txt")
    pinned = {re.split("==", pin)[0] for pin in pins}
    wanted = {re.split(r"[><=\[; ]", requirement)[0] for requirement in project()["project"]["dependencies"]}
    assert wanted <= pinned


def test_licence_is_named_everywhere() -> None:
    assert project()["project"]["license"] == "MIT"
    assert "The chatproxy developers" in read("LICENSE")
