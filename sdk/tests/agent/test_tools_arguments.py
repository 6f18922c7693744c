"""Arguments as models write them."""

from __future__ import annotations

import dataclasses
import enum
import json
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from chatproxy_sdk.agent.tools import Tool, ToolBox
from chatproxy_sdk.messages import FunctionCall, ToolCall


class Unit(enum.Enum):
    CELSIUS = "celsius"


@dataclasses.dataclass
class Place:
    name: str
    lat: float = 0.0


async def call(box: ToolBox, arguments: Any) -> Any:
    """What the only tool of a box answers to arguments, as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    calls = [ToolCall(id="c1", function=FunctionCall(box.names[0], text))]
    [message] = await box.run(calls, policy="inject_message", timeout_s=10, max_parallel=1)
    return json.loads(message.content)


def typed(hint: Any, got: list[Any]) -> ToolBox:
    """A box with a tool of one typed parameter, which keeps what it gets."""

    def keep(value: Any) -> None:
        got.append(value)

    keep.__annotations__["value"] = hint
    box = ToolBox()
    box.register_function(keep)
    return box


Week = Annotated[int, msgspec.Meta(ge=1, le=7)]


@pytest.mark.parametrize(
    ("hint", "written", "value"),
    [
        (int, 3, 3),
        (int, "3", 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (float, "3.5", 3.5),
        (bool, True, True),
        (bool, "true", True),
        (int | None, None, None),
        (int | None, "null", None),
        (str, "3", "3"),
        (str | None, "null", "null"),
        (list[int], ["1", 2], [1, 2]),
        (Unit, "celsius", Unit.CELSIUS),
        (Literal["a"], "a", "a"),
        (Place, {"name": "x", "lat": "1.5"}, Place("x", 1.5)),
        (list[Place], [{"name": "x"}], [Place("x")]),
        (datetime, "2026-01-02T03:04:05", datetime(2026, 1, 2, 3, 4, 5)),  # noqa: DTZ001 - as it was written
        (Week, 7, 7),
        (Any, {"a": [1]}, {"a": [1]}),
    ],
    ids=str,
)
async def test_arguments_reach_a_typed_function_as_its_hints_say(hint: Any, written: Any, value: Any) -> None:
    got: list[Any] = []
    assert await call(typed(hint, got), {"value": written}) is None
    assert got == [value]
    assert type(got[0]) is type(value)


@pytest.mark.parametrize(
    ("hint", "written"),
    [
        (int, "three"),
        (int, 3.5),
        (int, None),
        (int, True),
        (int, [1]),
        (str, 3),
        (bool, "maybe"),
        (Unit, "kelvin"),
        (Literal["a"], "b"),
        (Place, {"lat": 1}),
        (list[int], "1, 2"),
        (datetime, "tomorrow"),
        (Week, 8),
    ],
    ids=str,
)
async def test_arguments_of_the_wrong_type_are_told_to_the_model_and_not_given(hint: Any, written: Any) -> None:
    got: list[Any] = []
    answer = await call(typed(hint, got), {"value": written})
    assert answer["error"].startswith("argument 'value': ")
    assert got == []


def two(a: int, b: int = 2) -> list[int]:
    return [a, b]


def rest(a: int, **others: Any) -> dict[str, Any]:
    return {"a": a, **others}


def none(a: int = 1) -> int:
    return a


def box_of(fn: Any) -> ToolBox:
    box = ToolBox()
    box.register_function(fn)
    return box


@pytest.mark.parametrize("text", ["", "  \n", "null", "{}", '""', '"{}"', '"null"'], ids=repr)
async def test_no_arguments_are_an_empty_object(text: str) -> None:
    assert await call(box_of(none), text) == 1


async def test_json_within_json_text_is_unpacked_once() -> None:
    assert await call(box_of(none), json.dumps(json.dumps({"a": 5}))) == 5
    assert "a text" in (await call(box_of(none), json.dumps(json.dumps(json.dumps({"a": 5})))))["error"]


async def test_what_is_left_out_has_the_functions_default() -> None:
    assert await call(box_of(two), {"a": 1}) == [1, 2]


async def test_a_missing_argument_is_named() -> None:
    assert await call(box_of(two), {"b": 1}) == {"error": "missing argument 'a'"}


async def test_an_unknown_argument_is_named_beside_the_known() -> None:
    assert await call(box_of(two), {"a": 1, "c": 3}) == {"error": "unknown argument 'c'; known are 'a', 'b'"}


async def test_kwargs_take_unknown_arguments() -> None:
    assert await call(box_of(rest), {"a": "1", "c": "3"}) == {"a": 1, "c": "3"}


@pytest.mark.parametrize(
    "text",
    ["{", '{"a": 1', "{'a': 1}", '{"a": 1}}', "a=1", '{"a": "\\ud800"}', "NaN", "\ud800", '{"a": 1}{"a": 2}'],
    ids=ascii,
)
async def test_what_is_no_json_is_told_to_the_model(text: str) -> None:
    assert "arguments are not valid JSON" in (await call(box_of(none), text))["error"]


@pytest.mark.parametrize("text", ["[1]", "3", "true", "1.5", '"hello"'], ids=repr)
async def test_json_that_is_no_object_is_told_to_the_model(text: str) -> None:
    assert "error" in await call(box_of(none), text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"a":' + "[" * 100_000], ids=len)
async def test_json_without_a_bottom_is_told_to_the_model(text: str) -> None:
    assert "error" in await call(box_of(none), text)


async def test_deep_but_whole_json_never_ends_the_turn() -> None:
    deep = '{"a":' + "[" * 900 + "]" * 900 + "}"
    assert "error" in await call(box_of(none), deep)
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/l"}}}
    schema["$defs"] = {"l": {"type": "array", "items": {"$ref": "#/$defs/l"}}}
    box = ToolBox()
    box.register(Tool("t", parameters=schema), lambda a: "in")
    [message] = await box.run(
        [ToolCall(id="c", function=FunctionCall("t", deep))], policy="inject_message", timeout_s=9, max_parallel=1
    )
    assert message.content == "in" or "nested too deeply" in message.content


async def test_a_call_without_a_function_is_told_to_the_model() -> None:
    calls = [ToolCall(id="c", type="custom")]
    [message] = await box_of(two).run(calls, policy="inject_message", timeout_s=1, max_parallel=1)
    assert "names no function" in json.loads(message.content)["error"]


SCHEMA = {
    "type": "object",
    "properties": {
        "n": {"type": "integer", "minimum": 1, "maximum": 9},
        "x": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        "s": {"type": "string", "minLength": 2, "maxLength": 3},
        "e": {"type": "string", "enum": ["a", "b"]},
        "k": {"const": True},
        "l": {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2},
        "p": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
        "o": {
            "type": "object",
            "properties": {"i": {"type": "integer"}},
            "required": ["i"],
            "additionalProperties": False,
        },
        "m": {"type": "object", "additionalProperties": {"type": "integer"}},
        "u": {"type": ["integer", "null"]},
        "a": {"anyOf": [{"type": "integer"}, {"type": "boolean"}]},
        "r": {"$ref": "#/$defs/pair"},
        "never": False,
        "free": True,
        "odd": {"type": "unheard-of"},
    },
    "$defs": {"pair": {"type": "array", "items": {"type": "string"}, "minItems": 2}},
}


def schema_box() -> ToolBox:
    box = ToolBox()
    box.register(Tool("t", parameters=SCHEMA), lambda **given: given)
    return box


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"n": 9}, 9),
        ({"n": "3"}, 3),
        ({"x": 0.5}, 0.5),
        ({"x": "0.5"}, 0.5),
        ({"s": "ab"}, "ab"),
        ({"e": "a"}, "a"),
        ({"k": True}, True),
        ({"l": [1, "2"]}, [1, 2]),
        ({"p": [1, "a"]}, [1, "a"]),
        ({"o": {"i": "1"}}, {"i": 1}),
        ({"m": {"z": "1"}}, {"z": 1}),
        ({"u": None}, None),
        ({"u": 3}, 3),
        ({"a": True}, True),
        ({"a": 3}, 3),
        ({"r": ["a", "b"]}, ["a", "b"]),
        ({"free": [1]}, [1]),
        ({"odd": [1]}, [1]),
        ({"unnamed": {"a": 1}}, {"a": 1}),
    ],
    ids=str,
)
async def test_arguments_that_fit_a_registered_schema_are_given(given: dict[str, Any], value: Any) -> None:
    answer = await call(schema_box(), given)
    assert answer == dict.fromkeys(given, value)
    assert type(next(iter(answer.values()))) is type(value)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"n": 0}, "argument 'n' must be at least 1"),
        ({"n": 10}, "argument 'n' must be at most 9"),
        ({"n": "x"}, "argument 'n': Expected `int`, got `str`"),
        ({"n": 1.5}, "argument 'n': Expected `int`, got `float`"),
        ({"x": 0}, "argument 'x' must be above 0"),
        ({"x": 1}, "argument 'x' must be below 1"),
        ({"s": "a"}, "argument 's' must have a length of at least 2"),
        ({"s": "abcd"}, "argument 's' must have a length of at most 3"),
        ({"s": 12}, "argument 's': Expected `str`, got `int`"),
        ({"e": "c"}, 'argument \'e\' must be one of "a", "b"'),
        ({"k": 1}, "argument 'k' must be one of true"),
        ({"l": []}, "argument 'l' must have a length of at least 1"),
        ({"l": [1, 2, 3]}, "argument 'l' must have a length of at most 2"),
        ({"l": [1, "x"]}, "argument 'l[1]': Expected `int`, got `str`"),
        ({"p": [1, "a", 2]}, "argument 'p[2]' must not be given"),
        ({"o": {}}, "missing argument 'o.i'"),
        ({"o": {"i": 1, "j": 2}}, "unknown argument 'o.j'"),
        ({"o": {"i": []}}, "argument 'o.i': Expected `int`, got `array`"),
        ({"m": {"z": "x"}}, "argument 'm.z': Expected `int`, got `str`"),
        ({"a": "x"}, "argument 'a': Expected `int`, got `str`; or argument 'a': Expected `bool`, got `str`"),
        ({"r": ["a"]}, "argument 'r' must have a length of at least 2"),
        ({"r": [1, "b"]}, "argument 'r[0]': Expected `str`, got `int`"),
        ({"never": 1}, "argument 'never' must not be given"),
    ],
    ids=str,
)
async def test_arguments_that_do_not_fit_a_registered_schema_are_told(given: dict[str, Any], problem: str) -> None:
    assert await call(schema_box(), given) == {"error": problem}


async def test_required_and_closed_objects_are_held_to() -> None:
    box = ToolBox()
    schema = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}
    box.register(Tool("t", parameters=schema), lambda **given: given)
    assert await call(box, {}) == {"error": "missing argument 'a'"}
    assert await call(box, {"a": 1, "b": 2}) == {"error": "unknown argument 'b'"}


async def test_a_registered_handlers_hints_convert_what_fits_the_schema() -> None:
    got: list[Any] = []

    def keep(place: Place, unit: Unit = Unit.CELSIUS) -> None:
        got.append((place, unit))

    box = ToolBox()
    box.register(Tool.from_function(keep), keep)
    assert await call(box, {"place": {"name": "x"}, "unit": "celsius"}) is None
    assert got == [(Place("x"), Unit.CELSIUS)]


async def test_a_schema_that_refers_to_itself_without_end_is_told() -> None:
    box = ToolBox()
    box.register(Tool("t", parameters={"type": "object", "properties": {"a": {"$ref": "#/properties/a"}}}), lambda a: a)
    assert await call(box, {"a": 1}) == {"error": "arguments are nested too deeply"}
