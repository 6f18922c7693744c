"""Globs: what they fit, and that they do so as a regular expression would."""

from __future__ import annotations

import re

import pytest
from chatproxy_mcp.loop.globs import READ_ONLY, fits, matches
from chatproxy_mcp.tool import Tool
from hypothesis import given
from hypothesis import strategies as st

NOW = Tool(server="clock", name="now", offered="clock__now")


@given(glob=st.text("ab*?", max_size=12), name=st.text("ab", max_size=16))
def test_a_glob_fits_what_its_regular_expression_fits(glob: str, name: str) -> None:
    written = "".join({"*": ".*", "?": "."}.get(one, one) for one in re.sub(r"\*+", "*", glob))
    assert matches(glob, name) == (re.fullmatch(written, name) is not None)


@pytest.mark.parametrize(
    ("glob", "name"),
    [("*aaaaab" * 60, "a" * 256), ("a?" * 120 + "b*", "a" * 256), ("*" * 256, "now"), ("*?" * 128, "a" * 100)],
    ids=["parts", "marks", "stars", "stars and marks"],
)
def test_a_glob_that_is_hard_to_refuse_ends(glob: str, name: str) -> None:
    assert matches(glob, name) is (set(glob) == {"*"})


@pytest.mark.parametrize(
    ("globs", "is_taken"),
    [
        (["now"], True),
        (["clock__now"], True),
        (["mcp__clock__now"], True),
        (["mcp__clock__*"], True),
        (["!now", "*"], False),
        (["n?w", "!*"], True),
        (["!x*"], False),
        (["mcp__now"], False),
        (["[n]ow"], False),
        ([""], False),
        ([READ_ONLY], False),
        ([], False),
    ],
    ids=str,
)
def test_the_first_glob_that_fits_one_of_a_tools_names_decides(globs: list[str], is_taken: bool) -> None:
    assert fits(globs, NOW) is is_taken


def test_a_tool_that_says_it_only_reads_has_a_name_for_that() -> None:
    tool = Tool(server="clock", name="now", offered="clock__now", annotations={"readOnlyHint": True})
    assert fits([READ_ONLY], tool) is True
    assert fits([f"!{READ_ONLY}", "*"], tool) is False
