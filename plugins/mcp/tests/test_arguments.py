"""Whether arguments fit a schema: what a model is told, and that no schema costs much."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_mcp.calling.arguments import Arguments, malformed_problem
from chatproxy_mcp.calling.schemas import MAX_PARTS, parts_of
from chatproxy_mcp.tool import Tool
from hypothesis import given, settings
from hypothesis import strategies as st

Json = dict[str, Any]


def tool(schema: Json, *, name: str = "t") -> Tool:
    return Tool(server="s", name=name, offered=f"s__{name}", parameters=schema)


def problem(schema: Json, arguments: Json, *, written: Json | None = None) -> str | None:
    return Arguments().problem(tool(schema), arguments, written=arguments if written is None else written)


def lines(schema: Json, arguments: Json, *, written: Json | None = None) -> list[str]:
    found = problem(schema, arguments, written=written)
    return [] if found is None else [line[2:] for line in found.splitlines() if line.startswith("- ")]


SCHEMA: Json = {
    "type": "object",
    "properties": {
        "n": {"type": "integer"},
        "when": {"enum": ["now", "later"]},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}},
        "by": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False},
    },
    "required": ["n"],
    "additionalProperties": False,
    "$defs": {"tag": {"type": "string", "pattern": "^[a-z]+$", "maxLength": 3}},
}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param({"n": 1, "when": "now", "tags": ["ab"], "by": {"name": "x"}}, [], id="fits"),
        pytest.param({}, ['"n" is a required property'], id="missing"),
        pytest.param({"n": "secret"}, ['n: the value is not of type "integer"'], id="type"),
        pytest.param({"n": 1, "when": "secret"}, ['when: the value is not one of "now" or "later"'], id="enum"),
        pytest.param({"n": 1, "tags": ["ab", "SE"]}, ['tags[1]: the value does not match "^[a-z]+$"'], id="pattern"),
        pytest.param({"n": 1, "tags": ["abcd"]}, ["tags[0]: the value is longer than 3 characters"], id="length"),
        pytest.param({"n": 1, "by": {"x": 1, "y": 2}}, ["by: unexpected: x, y"], id="unexpected"),
    ],
)
def test_model_is_told_what_is_wrong_and_where(arguments: Json, told: list[str]) -> None:
    assert lines(SCHEMA, arguments) == told


def test_whole_message_says_what_to_do() -> None:
    assert problem(SCHEMA, {}) == (
        "The tool was not called, since its arguments do not fit its schema:\n"
        '- "n" is a required property\n'
        "Call it again with arguments that fit."
    )


def test_long_list_of_problems_is_short() -> None:
    found = lines({"additionalProperties": {"type": "string"}}, {f"k{i}": i for i in range(1000)})
    assert len(found) == 6
    assert found[-1] == "and more"
    (many,) = lines({"additionalProperties": False}, {f"{'k' * 100}{i}": i for i in range(1000)})
    assert len(many) <= 300
    (enum,) = lines({"properties": {"a": {"enum": ["x" * 50] * 100}}}, {"a": 1})
    assert len(enum) <= 300


def test_names_that_the_model_did_not_write_are_not_quoted() -> None:
    schema = {"additionalProperties": {"properties": {"a": {}}, "additionalProperties": False}}
    assert lines(schema, {"Ada": {"Bob": 1}}, written={"[NAME]": {"[NAME]": 1}}) == ["(a name): unexpected: (a name)"]


def test_tool_without_arguments_takes_none() -> None:
    assert lines({"type": "object", "additionalProperties": False}, {"a": 1}) == ["no properties are allowed"]
    assert lines({"properties": {"a": False}}, {"a": 1}) == ["a: not allowed"]


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({}, id="empty"),
        pytest.param({"type": "objekt"}, id="no schema"),
        pytest.param({"$schema": "http://127.0.0.1:9/none", "type": "object"}, id="unknown draft"),
        pytest.param({"$ref": "http://127.0.0.1:9/none"}, id="other document"),
        pytest.param({"$ref": "file:///etc/passwd"}, id="file"),
        pytest.param({"$ref": "#/$defs/none"}, id="reference to nothing"),
        pytest.param({"$ref": "#"}, id="itself"),
        pytest.param({"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}, {}]}}, "$ref": "#/$defs/a"}, id="cycle"),
        pytest.param({"$dynamicRef": "#a", "$dynamicAnchor": "a"}, id="dynamic"),
        pytest.param({"properties": {"x": {"$id": "http://a.test/b", "$ref": "#/c"}}}, id="another base"),
        pytest.param({"properties": {"x": {"pattern": "(?=a)b"}}, "required": ["n"]}, id="pattern looks around"),
        pytest.param({"properties": {"x": {"pattern": "((a{1,1000}){1,1000}){1,10}"}}}, id="huge pattern"),
    ],
)
def test_schema_that_cannot_be_checked_is_left_to_the_server(schema: Json) -> None:
    assert problem(schema, {"x": {"y": [1]}}) is None


def doubling(levels: int) -> Json:
    twice = {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**twice, f"d{levels}": {"type": "string"}}}


def test_parts_are_counted_as_they_are_visited() -> None:
    assert parts_of({"type": "object"}) == 2
    small, large = parts_of(doubling(3)), parts_of(doubling(6))
    assert small is not None
    assert large is not None
    assert large > 6 * small
    assert parts_of(doubling(40)) is None
    assert parts_of({"enum": list(range(MAX_PARTS))}) is None
    nested: Json = {}
    for _ in range(5000):
        nested = {"properties": {"a": nested}}
    assert parts_of(nested) is None


@pytest.mark.timeout(20)
def test_hostile_schema_and_arguments_cost_little() -> None:
    assert problem(doubling(60), {}) is None
    checks = {"items": {"allOf": [{"type": "integer"}] * 3000}}
    assert problem({"properties": {"x": checks}}, {"x": [*range(100_000), "x"]}) is None
    slow = {"properties": {"x": {"pattern": "^(a+)+(a|aa)+$"}}}
    assert lines(slow, {"x": "a" * 100_000 + "!"}) == ['x: the value does not match "^(a+)+(a|aa)+$"']
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    assert problem({"additionalProperties": {"type": "string"}}, {"x": deep, "y": "a" * 100_000_000}) is None
    many = {f"k{i}": "v" for i in range(200_000)}
    problem({"patternProperties": {f"^{i}": {"type": "string"} for i in range(90)}}, many)


def test_schema_that_changes_is_checked_anew() -> None:
    arguments = Arguments()
    assert arguments.problem(tool({"required": ["a"]}), {}, written={}) is not None
    assert arguments.problem(tool({"required": ["a"]}), {}, written={}) is not None
    assert arguments.problem(tool({"required": []}), {}, written={}) is None


def test_other_tools_schemas_come_and_go() -> None:
    arguments = Arguments()
    for _ in range(2):
        for i in range(1100):
            found = arguments.problem(tool({"required": [f"k{i}"]}, name=f"t{i}"), {}, written={})
            assert found is not None
            assert f'"k{i}"' in found


def test_value_that_is_no_json_is_left_to_the_server() -> None:
    assert problem({"properties": {"a": {"type": "integer"}}}, {"a": object()}) is None


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ('{"a": 1', "Input data was truncated"),
        ('{"a": 1}}', "JSON is malformed: trailing characters (byte 9)"),
        ("{a: 1}", "JSON is malformed: object keys must be strings (byte 1)"),
        ("[]", "found an array"),
        ("5", "found a number"),
        ("true", "found a boolean"),
        ("null", "found null"),
        ('"x"', "found a string"),
        ('"\ud800"', "they cannot be read"),
        ("[" * 100_000, "they cannot be read"),
    ],
    ids=lambda value: value[:12] if isinstance(value, str) else "",
)
def test_malformed_arguments_say_where(written: str, found: str) -> None:
    assert malformed_problem(written) == (
        f"The tool was not called, since its arguments are not a JSON object: {found}. "
        "Call it again with one JSON object as the arguments."
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
WORDS = st.sampled_from(["type", "properties", "items", "$ref", "$defs", "$id", "allOf", "pattern", "required", "a"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "object", "#/$defs/a", "#", "(", "^a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(schema=st.dictionaries(WORDS, VALUES, max_size=5), arguments=st.dictionaries(st.text(max_size=5), JSON))
def test_any_schema_and_any_arguments_have_an_answer(schema: Json, arguments: Json) -> None:
    found = problem(schema, arguments)
    assert found is None or found.startswith("The tool was not called")


@pytest.mark.parametrize(
    ("arguments", "left"),
    [
        ({"n": 1, "when": None, "by": None}, {"n": 1}),
        ({"n": None, "when": None}, {"n": None, "when": None}),
        ({"n": 1, "when": "now"}, {"n": 1, "when": "now"}),
        ({"n": "x", "when": None}, {"n": "x", "when": None}),
    ],
    ids=["optional", "required", "none", "wrong anyhow"],
)
def test_a_null_for_what_may_be_left_out_is_left_out(arguments: Json, left: Json) -> None:
    assert Arguments().without_nulls(tool(SCHEMA), arguments) == left


def test_a_null_that_the_schema_knows_stays() -> None:
    schema = {"type": "object", "properties": {"a": {"type": ["string", "null"]}}}
    assert Arguments().without_nulls(tool(schema), {"a": None}) == {"a": None}
