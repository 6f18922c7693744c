"""JSON answers of the demo model: they match the schema, or the request is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo.schema_check import Checker
from tests.handlers.conftest import Ask

NODE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
    "required": ["value", "next"],
    "additionalProperties": False,
}


async def answered(ask: Ask, schema: dict[str, Any], text: str = "ok", **fields: Any) -> list[Any]:
    wanted = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
    body = await ask(text, response_format=wanted, **fields)
    return [json.loads(choice["message"]["content"]) for choice in body["choices"]]


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param({"type": "string"}, "text", id="string"),
        pytest.param({"type": "string", "minLength": 6, "maxLength": 6}, "text..", id="string-length"),
        pytest.param({"type": "string", "format": "uuid"}, "00000000-0000-4000-8000-000000000000", id="uuid"),
        pytest.param({"type": "integer"}, 1, id="integer"),
        pytest.param({"type": "integer", "minimum": 7, "maximum": 9}, 7, id="integer-range"),
        pytest.param({"type": "integer", "exclusiveMaximum": -3}, -4, id="integer-below"),
        pytest.param({"type": "integer", "multipleOf": 5, "minimum": 11}, 15, id="integer-step"),
        pytest.param({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5}, 0.25, id="number-between"),
        pytest.param({"type": "boolean"}, True, id="boolean"),
        pytest.param({"type": "null"}, None, id="null"),
        pytest.param({"type": ["null", "integer"]}, 1, id="type-list"),
        pytest.param({"const": {"a": [1]}}, {"a": [1]}, id="const"),
        pytest.param({"enum": [3, "b"]}, 3, id="enum"),
        pytest.param({"enum": ["no", "ok"]}, "ok", id="enum-from-text"),
        pytest.param({"type": "integer", "default": 44}, 44, id="default"),
        pytest.param({}, "text", id="anything"),
        pytest.param({"type": "array", "items": {"type": "integer"}, "minItems": 3}, [1, 2, 3], id="array"),
        pytest.param({"type": "array", "items": {"type": "boolean"}, "maxItems": 0}, [], id="array-empty"),
        pytest.param({"items": {"enum": [1, 2]}, "minItems": 2, "uniqueItems": True}, [1, 2], id="array-unique"),
        pytest.param({"prefixItems": [{"const": 1}, {"const": 2}], "items": False}, [1, 2], id="tuple"),
        pytest.param({"anyOf": [{"type": "string", "pattern": "x"}, {"const": 2}]}, 2, id="any-of-second"),
        pytest.param({"oneOf": [{"type": "number"}, {"type": "integer"}, {"type": "null"}]}, None, id="one-of"),
        pytest.param({"allOf": [{"minimum": 3}, {"maximum": 4}], "type": "integer"}, 3, id="all-of"),
        pytest.param({"type": "integer", "not": {"const": 1}}, 0, id="not"),
        pytest.param(
            {"properties": {"a": {"type": "integer"}}, "required": ["a", "b"]}, {"a": 1, "b": "b"}, id="object"
        ),
        pytest.param({"type": "object", "minProperties": 1}, {"key1": "key1"}, id="object-min"),
        pytest.param({"$ref": "#/definitions/a", "definitions": {"a": {"const": 5}}}, 5, id="ref-definitions"),
        pytest.param({"$ref": "#/$defs/node", "$defs": {"node": NODE}}, {"value": 1, "next": None}, id="ref-recursive"),
        pytest.param(
            {"type": "object", "properties": {"kids": {"type": "array", "items": {"$ref": "#"}}}, "required": ["kids"]},
            {"kids": [{"kids": []}]},
            id="ref-root",
        ),
    ],
)
async def test_content_matches_the_schema(ask: Ask, schema: dict[str, Any], expected: Any) -> None:
    (value,) = await answered(ask, schema)
    assert value == expected
    assert type(value) is type(expected)
    assert Checker(schema).matches(value, schema)


async def test_content_takes_values_from_the_text(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "participants": {"type": "array", "items": {"type": "string"}},
            "seats": {"type": "integer"},
        },
        "required": ["name", "participants", "seats"],
    }
    found = await answered(ask, schema, 'Plan "Science Fair" with Alice and Bob, 3 seats')
    assert found == [{"name": "Science Fair", "participants": ["Alice", "Bob", "Plan"], "seats": 3}]
    found = await answered(ask, schema, "Alice, Bob and Carol go to town")
    assert found == [{"name": "Alice", "participants": ["Bob", "Carol"], "seats": 1}]


async def test_choices_of_a_schema_differ_where_it_leaves_room(ask: Ask) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}, "s": {"type": "string"}},
        "required": ["n", "s"],
    }
    found = await answered(ask, schema, "hi", n=3)
    assert len({json.dumps(value) for value in found}) == 3


async def test_json_object_is_an_object(ask: Ask) -> None:
    body = await ask("what is 1+1", response_format={"type": "json_object"})
    assert json.loads(body["choices"][0]["message"]["content"]) == {"answer": "1+1 = 2", "model": "demo"}


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        pytest.param({"type": "string", "pattern": "^a+$"}, "pattern is not supported", id="pattern"),
        pytest.param({"type": "integer", "minimum": 5, "maximum": 4}, "no value", id="contradiction"),
        pytest.param({"allOf": [{"type": "string"}, {"type": "object"}]}, "types exclude each other", id="types"),
        pytest.param({"allOf": [False]}, "allows nothing", id="false"),
        pytest.param({"$ref": "#/$defs/none"}, "names nothing", id="ref-nowhere"),
        pytest.param({"$ref": "https://example.com/schema"}, "not local", id="ref-remote"),
        pytest.param({"$ref": "#"}, "without end", id="ref-loop"),
        pytest.param(
            {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]}, "without end", id="endless"
        ),
        pytest.param({"type": "str"}, "unknown", id="type-unknown"),
        pytest.param({"type": "string", "minLength": 10**9}, "too big", id="length-bomb"),
        pytest.param({"type": "array", "items": {"type": "null"}, "minItems": 10**9}, "too big", id="items-bomb"),
        pytest.param({"properties": [1]}, "malformed", id="properties-list"),
        pytest.param({"type": "string", "minLength": "1"}, "no number", id="length-text"),
        pytest.param({"enum": []}, "no value", id="enum-empty"),
        pytest.param({"oneOf": [{"const": 1}, {"const": 1}]}, "no value", id="one-of-twice"),
        pytest.param({"type": "object", "patternProperties": {"a": {}}}, "not supported", id="pattern-properties"),
    ],
)
async def test_schema_that_cannot_be_answered_is_refused(ask: Ask, schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await answered(ask, schema)
    assert caught.value.param == "response_format.json_schema.schema"
    assert reason in caught.value.message


def test_endless_branching_ends(ask: Ask) -> None:
    """A schema that doubles at each level costs a bounded number of steps."""
    names = [f"l{i}" for i in range(60)]
    defs: dict[str, Any] = {
        name: {"anyOf": [{"type": "array", "items": {"$ref": f"#/$defs/{following}"}, "minItems": 2}] * 2}
        for name, following in zip(names, [*names[1:], "end"], strict=True)
    }
    schema = {"$ref": "#/$defs/l0", "$defs": {**defs, "end": False}}
    checker = Checker(schema)
    value: Any = None
    for _ in names:
        value = [value, value]
    with pytest.raises(Exception, match="too big"):
        checker.matches(value, schema)
