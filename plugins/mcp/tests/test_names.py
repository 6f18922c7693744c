"""What models call a tool."""

from __future__ import annotations

import re

import pytest
from chatproxy_mcp.catalogue.names import offered_name
from chatproxy_mcp.config import MAX_SERVER_NAME, SERVER_NAME
from hypothesis import given
from hypothesis import strategies as st

VALID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
SERVERS = st.from_regex(SERVER_NAME, fullmatch=True).filter(lambda name: len(name) <= MAX_SERVER_NAME)
TOOLS = st.one_of(st.text(max_size=80), st.from_regex(r"[a-z_]{0,60}(_[0-9a-f]{8})?", fullmatch=True))


@pytest.mark.parametrize(
    ("server", "tool", "offered"),
    [
        ("time", "get_time", "time__get_time"),
        ("my-files", "read-file", "my-files__read-file"),
        ("a", "_b", "a___b"),
        ("a", "x" * 61, "a__" + "x" * 61),
        ("a", "x" * 62, "a__" + "x" * 52 + "_21210f96"),
        ("a", "files.read", "a__files_read_601e4eb6"),
        ("a", "lösche", "a__l_sche_61efd8d4"),
        ("a", "f_0123abcd", "a__f_0123abcd_aa140496"),
        ("a", "f_0123ABCD", "a__f_0123ABCD"),
    ],
    ids=["plain", "dashes", "underscore", "longest", "too_long", "dot", "umlaut", "like_a_changed_one", "not_like_one"],
)
def test_name(server: str, tool: str, offered: str) -> None:
    assert offered_name(server, tool) == offered


@given(SERVERS, TOOLS)
def test_every_name_is_a_valid_function_name_of_its_server(server: str, tool: str) -> None:
    offered = offered_name(server, tool)
    assert VALID.fullmatch(offered)
    assert offered.split("__", 1)[0] == server


@given(st.tuples(SERVERS, TOOLS), st.tuples(SERVERS, TOOLS))
def test_two_tools_never_share_a_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (offered_name(*one) == offered_name(*other)) == (one == other)


@given(SERVERS, TOOLS)
def test_a_tool_that_is_called_like_a_changed_name_gets_another(server: str, tool: str) -> None:
    offered = offered_name(server, tool).split("__", 1)[1]
    assert offered == tool or offered_name(server, offered) != offered_name(server, tool)
