"""Links resolve, files that are named exist, and no page names a machine."""

from __future__ import annotations

import re
import subprocess

import pytest

from .pages import NAMES, ROOT, blocks, prose, read

FOLDERS = ("src", "docs", "tests", "examples", "plugins", "benchmarks", "changelog.d", ".ci")
MACHINE = re.compile(r"(?<![\w.])/(?:work|root|home|tmp|opt|Users)/\w+")
MOST_LINES = 400


def anchors(name: str) -> set[str]:
    """What GitHub makes of the headings."""
    headings = re.findall(r"^#+ (.+)$", prose(name), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def tracked() -> list[str]:
    """Every file of the repository: those that git knows or would add."""
    argv = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@pytest.mark.parametrize("name", NAMES)
def test_links_resolve(name: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / name).parent / path if path else ROOT / name
        assert linked.exists(), f"{name}: {target}"
        if anchor:
            assert anchor in anchors(str(linked.resolve().relative_to(ROOT))), f"{name}: {target}"


@pytest.mark.parametrize("name", NAMES)
def test_files_that_are_named_exist(name: str) -> None:
    folders = ("plugins",) if name.startswith("plugins/") else FOLDERS  # a template speaks of what it will become
    named = re.findall(rf"`((?:{'|'.join(map(re.escape, folders))})/[\w./-]*)`", prose(name))
    for path in named:
        assert (ROOT / path).exists(), f"{name}: {path}"


@pytest.mark.parametrize("name", NAMES)
def test_blocks_say_their_language(name: str) -> None:
    assert [block.line for block in blocks(name) if not block.language] == []


def test_no_file_names_a_machine() -> None:
    for name in tracked():
        path = ROOT / name
        if path.suffix in {".py", ".md", ".toml", ".ini", ".txt", ".sh", ".json", ".mjs", ""}:
            found = MACHINE.search(path.read_text(encoding="utf-8", errors="replace"))
            assert found is None or name.startswith("tests/docs/"), f"{name}: {found and found[0]}"


def test_no_module_is_too_long() -> None:
    counts = {name: read(name).count("\n") for name in tracked() if name.endswith((".py", ".mjs", ".ini", ".toml"))}
    assert {name: count for name, count in counts.items() if count > MOST_LINES} == {}
