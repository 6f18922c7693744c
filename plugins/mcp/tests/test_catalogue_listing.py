"""What a server may say of its tools, and what of it is taken."""

from __future__ import annotations

from typing import Any

import mcp_types
import pytest
from chatproxy_mcp.catalogue.listing import (
    CUT,
    MAX_DEPTH,
    MAX_DESCRIPTION,
    MAX_LISTING_BYTES,
    MAX_NAME,
    MAX_SCHEMA_BYTES,
    Reading,
    digest_of,
    read,
)
from chatproxy_mcp.catalogue.offer import Offer
from chatproxy_mcp.config import Server, ToolFilter
from hypothesis import given, settings
from hypothesis import strategies as st

from chatproxy.types import CHAT

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def tool(name: str, **fields: Any) -> mcp_types.Tool:
    return mcp_types.Tool(name=name, **{"input_schema": {"type": "object"}, **fields})


def listed(*tools: mcp_types.Tool, **settings: Any) -> Reading:
    return read("s", Server(url="https://tools.example/mcp", **settings), tools)


def names(reading: Reading) -> list[str]:
    return [found.tool.name for found in reading.candidates]


def reasons(reading: Reading) -> list[str]:
    return [one.reason for one in reading.withheld]


def nested(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(depth - 1):
        schema = {"x": schema}
    return {"type": "object", "properties": schema}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "array"},
        {"type": ["object", "null"]},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"$ref": "https://evil.example/schema.json"}}},
        {"type": "object", "properties": {"a": {"$ref": "file:///etc/passwd"}}},
        {"type": "object", "properties": {"a": {"items": [{"$ref": "other.json#/a"}]}}},
        {"type": "object", "$dynamicRef": "https://evil.example/"},
        {"type": "object", "description": "x" * MAX_SCHEMA_BYTES},
        {"type": "object", "enum": list(range(MAX_SCHEMA_BYTES))},
        {"type": "object", "x": "\ud800"},
        nested(MAX_DEPTH),
        nested(100_000),
    ],
    ids=[
        "array", "union", "properties", "http", "file", "relative", "dynamic", "long", "many", "surrogate",
        "deep", "very_deep",
    ],
)  # fmt: skip
def test_a_schema_that_cannot_be_given_on_withholds_its_tool_only(schema: dict[str, Any]) -> None:
    found = listed(tool("a", input_schema=schema), tool("b"))
    assert (names(found), reasons(found)) == (["b"], ["bad_schema"])
    assert len(found.withheld[0].detail) < 120


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"$ref": {"type": "string"}}},
        {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "https://tools.example/a", "type": "object"},
        nested(MAX_DEPTH - 2),
    ],
    ids=["empty", "no_properties", "own_reference", "named_ref", "schema", "almost_deep"],
)
def test_other_schemas_are_taken(schema: dict[str, Any]) -> None:
    (found,) = listed(tool("a", input_schema=schema)).candidates
    assert found.tool.parameters == {"type": "object", "properties": {}, **schema}


def test_an_output_schema_may_be_of_any_type_but_not_too_large() -> None:
    found = listed(tool("a", output_schema={"type": "array"}), tool("b", output_schema={"x": "y" * MAX_SCHEMA_BYTES}))
    assert (names(found), reasons(found)) == (["a"], ["bad_schema"])


@pytest.mark.parametrize("name", ["", "  ", "x" * (MAX_NAME + 1), "a\ud800"], ids=["empty", "blank", "long", "half"])
def test_a_name_that_cannot_be_used_withholds_its_tool_only(name: str) -> None:
    found = listed(tool(name), tool("b"))
    assert (names(found), reasons(found)) == (["b"], ["bad_name"])
    assert found.withheld[0].name.isprintable()


def test_of_two_tools_of_one_name_the_first_is_taken() -> None:
    found = listed(tool("a", description="first"), tool("a", description="second"))
    assert [one.tool.description for one in found.candidates] == ["first"]
    assert reasons(found) == ["bad_name"]


def test_a_server_that_lists_more_than_it_may_loses_the_rest() -> None:
    found = listed(*(tool(f"t{number}") for number in range(5)), max_tools=3)
    assert (names(found), reasons(found)) == (["t0", "t1", "t2"], ["too_many"] * 2)


def test_a_server_that_says_more_than_any_model_takes_loses_the_rest() -> None:
    large = {"type": "object", "enum": list(range(8000))}
    count = MAX_LISTING_BYTES // 30_000
    found = listed(*(tool(f"t{number}", input_schema=large) for number in range(count)), max_tools=count)
    assert 0 < len(found.candidates) < count
    assert set(reasons(found)) == {"too_many"}


def test_globs_say_which_tools_are_offered_and_which_need_approval() -> None:
    found = listed(
        tool("read_file"), tool("write_file"), tool("run"), tool("read_secret"),
        tools=ToolFilter(allow=("*_*",), deny=("*secret*",)), approval=("write_*",),
    )  # fmt: skip
    assert {one.tool.name: one.tool.needs_approval for one in found.candidates} == {
        "read_file": False,
        "write_file": True,
    }
    assert reasons(found) == ["denied", "denied"]


@pytest.mark.parametrize(("approval", "needed"), [("always", True), ("never", False)])
def test_approval_of_all_or_none(approval: str, needed: bool) -> None:
    (found,) = listed(tool("a"), approval=approval).candidates
    assert found.tool.needs_approval is needed


def test_a_long_description_is_cut_with_a_mark_but_pinned_as_a_whole() -> None:
    text = "word " * MAX_DESCRIPTION
    one, other = tool("a", description=text), tool("a", description=text + "x")
    (found,) = listed(one).candidates
    assert len(found.tool.description) == MAX_DESCRIPTION
    assert found.tool.description.endswith(CUT)
    assert digest_of(one) != digest_of(other)


def test_what_did_not_change_is_not_read_again() -> None:
    server = Server(url="https://tools.example/mcp")
    known = {found.tool.name: found for found in read("s", server, [tool("a"), tool("b")]).candidates}
    again = read("s", server, [tool("a"), tool("b", description="new")], known)
    assert again.candidates[0] is known["a"]
    assert again.candidates[1].tool.description == "new"


@settings(max_examples=60)
@given(st.text(), st.none() | st.text(), st.dictionaries(st.text(), JSON, max_size=4), st.none() | st.text())
def test_whatever_a_server_says_an_offer_can_be_made_of_what_is_taken(
    name: str, description: str | None, schema: dict[str, Any], title: str | None
) -> None:
    said = tool(name, description=description, input_schema=schema, title=title)
    found = listed(said, tool("other"))
    assert len(found.candidates) + len(found.withheld) == 2
    Offer([one.tool for one in found.candidates]).encoded(CHAT)
