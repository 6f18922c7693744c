"""What fits a function's schema reaches the function as it was meant."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date, datetime
from typing import Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import jsonschema
import msgspec
import pytest
from chatproxy_sdk.agent.arguments import ArgumentsError, converted, decoded, fitted
from chatproxy_sdk.agent.schema import function_schema, signature_of
from hypothesis import example, given, settings
from hypothesis import strategies as st


class Unit(enum.Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class Floor(enum.IntEnum):
    GROUND = 0
    FIRST = 1


@dataclasses.dataclass
class Place:
    title: str
    lat: float = 0.0


@dataclasses.dataclass
class Tree:
    value: int
    kids: list[Tree] = dataclasses.field(default_factory=list)


class Point(msgspec.Struct):
    x: int
    y: int = 0


class Options(TypedDict):
    a: int
    b: NotRequired[str]


Small = Annotated[int, msgspec.Meta(ge=1, le=7)]


def _takes(hint: Any) -> Any:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = hint
    return handler


ROUND_HINTS = [
    int,
    str,
    bool,
    float,
    int | None,
    list[int],
    dict[str, list[int | None]],
    Unit,
    Floor,
    Literal["a", 1],
    Place,
    Tree,
    Point,
    Options,
    datetime,
    date,
    UUID,
    Small,
    tuple[int, str],
    set[int],
]
EXAMPLES: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Small: st.integers(1, 7),
    Tree: st.recursive(
        st.builds(Tree, st.integers(0, 9)), lambda kid: st.builds(Tree, st.integers(0, 9), st.lists(kid))
    ),
    Place: st.builds(Place, st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    Point: st.builds(Point, st.integers(0, 9), st.integers(0, 9)),
    Options: st.fixed_dictionaries({"a": st.integers(0, 9)}, optional={"b": st.text()}),
}


@pytest.mark.parametrize("hint", ROUND_HINTS, ids=str)
@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_a_value_written_as_json_fits_the_schema_and_comes_back(hint: Any, data: st.DataObject) -> None:
    value = data.draw(EXAMPLES[hint] if hint in EXAMPLES else st.from_type(hint))
    handler = _takes(hint)
    schema = function_schema(handler)
    arguments = msgspec.json.decode(msgspec.json.encode({"value": value}))
    jsonschema.Draft202012Validator(schema).validate(arguments)
    assert fitted(arguments, schema) == arguments
    assert converted(arguments, signature_of(handler)) == {"value": value}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abnv"), inner, max_size=3),
    max_leaves=8,
)
SCHEMA = {
    "type": "object",
    "properties": {
        "a": {
            "anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": ["integer", "null"]}, {"enum": [True, "x"]}]
        },
        "b": {"type": "object", "properties": {"n": {"type": "number", "minimum": 0}}, "additionalProperties": False},
        "n": {"type": "string", "maxLength": 3},
        "v": {"$ref": "#"},
    },
}


@given(st.dictionaries(st.sampled_from("abnv"), JSON, max_size=4))
@example({"a": 9007199254740994.0})
@settings(max_examples=150, deadline=None)
def test_what_fits_a_schema_is_valid_and_all_else_is_an_arguments_error(arguments: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(SCHEMA)
    try:
        found = fitted(arguments, SCHEMA)
    except ArgumentsError:
        assert not validator.is_valid(arguments)
    else:
        validator.validate(found)
        assert not validator.is_valid(arguments) or found == arguments


@given(st.text(max_size=30) | JSON.map(lambda value: msgspec.json.encode(value).decode()))
@settings(max_examples=100, deadline=None)
def test_any_text_is_an_object_or_an_arguments_error(text: str) -> None:
    try:
        found = decoded(text)
    except ArgumentsError:
        return
    assert isinstance(found, dict)
