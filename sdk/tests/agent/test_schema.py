"""What a function takes, as JSON Schema."""

from __future__ import annotations

import dataclasses
import enum
import functools
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict
from uuid import UUID

import jsonschema
import msgspec
import pytest
from chatproxy_sdk.agent.schema import function_name, function_schema, function_text, parameter_texts, signature_of
from chatproxy_sdk.exceptions import ConfigurationError
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from nowhere import Unseen


class Unit(enum.Enum):
    CELSIUS = "celsius"
    KELVIN = "kelvin"


class Floor(enum.IntEnum):
    GROUND = 0
    FIRST = 1


@dataclasses.dataclass
class Place:
    """Somewhere.

    Not far.
    """

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


HOME = Place("x")
NO_JSON = object()
Small = Annotated[int, msgspec.Meta(ge=1, le=7, description="one week")]


def _takes(hint: Any) -> Any:
    def handler(value: Any) -> None: ...

    handler.__annotations__["value"] = hint
    return handler


PLACE = {
    "description": "Somewhere.\n\nNot far.",
    "type": "object",
    "properties": {"title": {"type": "string"}, "lat": {"type": "number", "default": 0.0}},
    "required": ["title"],
}
HINTS = [
    (str, {"type": "string"}),
    (int, {"type": "integer"}),
    (float, {"type": "number"}),
    (bool, {"type": "boolean"}),
    (None, {"type": "null"}),
    (Any, {}),
    (int | None, {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal[1, "b"], {"enum": [1, "b"]}),
    (Unit, {"type": "string", "enum": ["celsius", "kelvin"]}),
    (Floor, {"type": "integer", "enum": [0, 1]}),
    (list, {"type": "array"}),
    (list[int], {"type": "array", "items": {"type": "integer"}}),
    (Sequence[str], {"type": "array", "items": {"type": "string"}}),
    (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
    (Mapping[str, Unit], {"type": "object", "additionalProperties": {"type": "string", "enum": ["celsius", "kelvin"]}}),
    (Place, PLACE),
    (list[Place], {"type": "array", "items": PLACE}),
    (
        Point,
        {
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
            "required": ["x"],
        },
    ),
    (
        Options,
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "string"}}, "required": ["a"]},
    ),
    (datetime, {"type": "string", "format": "date-time"}),
    (datetime | None, {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}),
    (date, {"type": "string", "format": "date"}),
    (UUID, {"type": "string", "format": "uuid"}),
    (Small, {"type": "integer", "minimum": 1, "maximum": 7, "description": "one week"}),
]


@pytest.mark.parametrize(("hint", "schema"), HINTS, ids=[str(hint) for hint, _ in HINTS])
def test_a_hint_is_written_where_it_is_used(hint: Any, schema: dict[str, Any]) -> None:
    assert function_schema(_takes(hint)) == {
        "type": "object",
        "properties": {"value": schema},
        "required": ["value"],
        "additionalProperties": False,
    }


def test_a_recursive_type_stays_a_definition() -> None:
    schema = function_schema(_takes(Tree))
    assert schema["properties"]["value"] == {"$ref": "#/$defs/Tree"}
    kids = {"type": "array", "items": {"$ref": "#/$defs/Tree"}}
    assert schema["$defs"]["Tree"]["properties"] == {"value": {"type": "integer"}, "kids": kids}
    jsonschema.Draft202012Validator(schema).validate({"value": {"value": 1, "kids": [{"value": 2}]}})


def test_defaults_are_written_unless_they_are_none_or_no_json() -> None:
    def handler(
        a: int = 3, b: Unit = Unit.KELVIN, *, c: str | None = None, d: Place = HOME, e: Any = NO_JSON
    ) -> None: ...

    schema = function_schema(handler)
    found = {name: one["default"] for name, one in schema["properties"].items() if "default" in one}
    assert found == {"a": 3, "b": "kelvin", "d": {"title": "x", "lat": 0.0}}
    assert "required" not in schema


def test_a_default_of_none_allows_null() -> None:
    def handler(a: str = None) -> None: ...  # noqa: RUF013 - people do write it

    assert function_schema(handler)["properties"]["a"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}


def test_no_parameters_are_an_empty_object() -> None:
    assert function_schema(lambda: None) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_kwargs_leave_the_object_open() -> None:
    def handler(a: int, **rest: Any) -> None: ...

    assert "additionalProperties" not in function_schema(handler)


def google(city: str, days: int = 1) -> None:
    """Tell the weather.

    For some days.

    Args:
        city: where, and
            nowhere else
        days (int): how many

    Returns:
        Nothing.
    """


def numpy(city: str, days: int = 1) -> None:
    """Tell the weather.

    For some days.

    Parameters
    ----------
    city : str
        where, and
        nowhere else
    days : int
        how many
    """


def sphinx(city: str, days: int = 1) -> None:
    """Tell the weather.

    For some days.

    :param city: where, and
        nowhere else
    :param days: how many
    """


@pytest.mark.parametrize("fn", [google, numpy, sphinx], ids=function_name)
def test_a_docstring_describes_the_tool_and_its_parameters(fn: Any) -> None:
    assert function_text(fn) == "Tell the weather.\n\nFor some days."
    texts = {name: one["description"].replace("\n", " ") for name, one in function_schema(fn)["properties"].items()}
    assert texts == {"city": "where, and nowhere else", "days": "how many"}


def test_meta_beats_the_docstring() -> None:
    def handler(days: Small) -> None:
        """Do.

        Args:
            days: how many
        """

    assert function_schema(handler)["properties"]["days"]["description"] == "one week"


@pytest.mark.parametrize("text", [None, "", "Args:", "Args:\n    :", "Args:\n  a\n b: c", ":param", "Parameters\n---"])
def test_an_odd_docstring_never_raises(text: str | None) -> None:
    def handler(a: int) -> None: ...

    handler.__doc__ = text
    assert isinstance(function_text(handler), str)
    assert isinstance(parameter_texts(handler), dict)


@given(st.text(alphabet=" \n:-aArgsRet.", max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_docstring_raises(text: str) -> None:
    def handler(a: int) -> None: ...

    handler.__doc__ = text
    assert function_schema(handler)["properties"]["a"]["type"] == "integer"


class Caller:
    """A caller."""

    def method(self, a: int) -> None:
        """Do a."""

    @classmethod
    def of_class(cls, a: int) -> None:
        """Do a."""

    @staticmethod
    def static(a: int) -> None:
        """Do a."""

    def __call__(self, a: int) -> None:
        """Do a."""


class Made:
    """Do a."""

    def __init__(self, a: int) -> None:
        self.a = a


def decorated(fn: Any) -> Any:
    @functools.wraps(fn)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return fn(*args, **kwargs)

    return inner


def plain(a: int) -> None:
    """Do a."""


def two(b: str, a: int) -> None:
    """Do a."""


CALLABLES = {
    "function": (plain, "plain"),
    "method": (Caller().method, "method"),
    "classmethod": (Caller.of_class, "of_class"),
    "staticmethod": (Caller.static, "static"),
    "callable object": (Caller(), "Caller"),
    "class": (Made, "Made"),
    "partial by position": (functools.partial(two, "x"), "two"),
    "partial by name": (functools.partial(two, b="x"), "two"),
    "partial of partial": (functools.partial(functools.partial(two), b="x"), "two"),
    "partial of a method": (functools.partial(Caller().method), "method"),
    "decorated": (decorated(plain), "plain"),
    "decorated method": (decorated(Caller().method), "method"),
}


@pytest.mark.parametrize(("fn", "name"), list(CALLABLES.values()), ids=list(CALLABLES))
def test_every_kind_of_callable_is_read(fn: Any, name: str) -> None:
    assert function_name(fn) == name
    assert function_text(fn) == "Do a."
    schema = function_schema(fn)
    assert schema["properties"] == {"a": {"type": "integer"}}
    assert schema["required"] == ["a"]


def test_what_a_partial_gives_by_name_is_not_shown() -> None:
    def handler(city: str, api_key: str) -> None: ...

    assert "sk-secret" not in str(function_schema(functools.partial(handler, api_key="sk-secret")))


@pytest.mark.parametrize("kind", [Place, Point], ids=["dataclass", "struct"])
def test_a_class_of_data_is_described_by_its_own_docstring_only(kind: type) -> None:
    assert function_text(kind) == ("Somewhere.\n\nNot far." if kind is Place else "")
    assert "title" not in function_schema(kind)


def test_a_dataclass_without_a_docstring_has_no_text() -> None:
    assert function_text(Tree) == ""


def _no_hint(a: int, b) -> None: ...  # noqa: ANN001
def _stars(a: int, *rest: int) -> None: ...
def _by_position(a: int, /) -> None: ...
def _callable_hint(a: int, b: functools.partial) -> None: ...
def _unseen(a: int, b: Unseen) -> None: ...
def _mixed(b: Place | Tree) -> None: ...


@pytest.mark.parametrize(
    ("fn", "parameter", "problem"),
    [
        (_no_hint, "b", "has no type hint"),
        (_stars, "*rest", "cannot be given by name"),
        (_by_position, "a", "cannot be given by name"),
        (_callable_hint, "b", "without a JSON Schema"),
        (_unseen, "b", "'Unseen' cannot be resolved"),
        (_mixed, "b", "more than one dataclass"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_parameter_that_cannot_be_described_is_named(fn: Any, parameter: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        function_schema(fn)
    assert f"parameter {parameter!r}" in caught.value.message
    assert repr(fn.__name__) in caught.value.message
    assert problem in caught.value.message


def test_a_return_hint_that_cannot_be_resolved_does_not_matter() -> None:
    def handler(a: int) -> Unseen: ...

    assert function_schema(handler)["properties"] == {"a": {"type": "integer"}}


def test_a_hint_that_has_no_schema_leaves_a_registered_handlers_argument_as_it_is() -> None:
    assert signature_of(_unseen).parameters["b"].type is Any
    assert signature_of(_callable_hint).parameters["b"].type is Any


def test_something_without_a_signature_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no signature"):
        signature_of(dict)


def test_every_schema_is_one_of_json_schema() -> None:
    for hint, _ in HINTS:
        jsonschema.Draft202012Validator.check_schema(function_schema(_takes(hint)))
