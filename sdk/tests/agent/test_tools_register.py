"""Registering tools: what fits, and what is refused by which name."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from chatproxy_sdk.agent.tools import Tool, ToolBox
from chatproxy_sdk.exceptions import ConfigurationError

CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


def weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


def test_a_tool_is_written_as_openai_wants_it() -> None:
    assert Tool("weather", "Tell the weather.", CITY).to_dict() == {
        "type": "function",
        "function": {"name": "weather", "description": "Tell the weather.", "parameters": CITY},
    }


def test_strict_and_description_are_written_only_if_they_are_set() -> None:
    assert Tool("a").to_dict()["function"] == {"name": "a", "parameters": {"type": "object", "properties": {}}}
    assert Tool("a", strict=False).to_dict()["function"]["strict"] is False
    assert Tool("a", strict=True).to_dict()["function"]["strict"] is True


def test_two_tools_do_not_share_their_parameters() -> None:
    Tool("a").parameters["properties"]["x"] = {}
    assert Tool("b").parameters["properties"] == {}


def test_a_tool_from_a_function_takes_name_and_text_from_it_or_from_the_caller() -> None:
    assert (Tool.from_function(weather).name, Tool.from_function(weather).description) == (
        "weather",
        "Tell the weather.",
    )
    named = Tool.from_function(weather, name="w", description="")
    assert (named.name, named.description) == ("w", "")


@pytest.mark.parametrize("wrapped", [True, False], ids=["with type", "bare"])
def test_openais_form_is_registered_as_well(wrapped: bool) -> None:
    inner = {"name": "weather", "description": "d", "parameters": CITY, "strict": True}
    box = ToolBox()
    box.register({"type": "function", "function": inner} if wrapped else inner, weather)
    assert box.to_list() == [{"type": "function", "function": inner}]


@pytest.mark.parametrize(
    "form", [{}, {"type": "function"}, {"type": "custom", "name": "x"}, {"type": "function", "function": "x"}], ids=str
)
def test_another_form_is_refused(form: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="a tool must be"):
        ToolBox().register(form, weather)


def test_a_box_lists_its_tools_in_their_order() -> None:
    box = ToolBox()
    assert (len(box), box.names, box.to_list()) == (0, [], [])
    box.register(Tool("b", parameters=CITY), weather)
    tool = box.register_function(weather)
    assert tool == Tool.from_function(weather)
    assert (len(box), box.names) == (2, ["b", "weather"])
    assert [one["function"]["name"] for one in box.to_list()] == ["b", "weather"]


def test_a_cleared_box_takes_the_same_name_again() -> None:
    box = ToolBox()
    box.register_function(weather)
    box.clear()
    assert len(box) == 0
    box.register_function(weather)
    assert box.names == ["weather"]


def test_a_name_is_taken_once() -> None:
    box = ToolBox()
    box.register_function(weather)
    with pytest.raises(ConfigurationError, match="'weather'") as caught:
        box.register(Tool("weather", parameters=CITY), weather)
    assert caught.value.details["tool"] == "weather"
    assert len(box) == 1


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ä", "x" * 65, "a\n", None, 7], ids=repr)
def test_a_name_that_servers_refuse_is_refused_here(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="a name must be"):
        ToolBox().register(Tool(name, parameters=CITY), weather)
    with pytest.raises(ConfigurationError, match="a name must be"):
        Tool.from_function(weather, name="a b")


def test_a_lambda_needs_a_name() -> None:
    box = ToolBox()
    with pytest.raises(ConfigurationError, match="<lambda>"):
        box.register_function(lambda: 1)
    box.register_function(lambda: 1, name="one")
    assert box.names == ["one"]


BAD_PARAMETERS = {
    "no mapping": "object",
    "none": None,
    "no type": {"properties": {}},
    "array": {"type": "array"},
    "properties list": {"type": "object", "properties": ["city"]},
    "property text": {"type": "object", "properties": {"city": "string"}},
    "required text": {"type": "object", "required": "city"},
    "required numbers": {"type": "object", "required": [1]},
    "no json": {"type": "object", "properties": {"city": {"default": object()}}},
}


@pytest.mark.parametrize("parameters", list(BAD_PARAMETERS.values()), ids=list(BAD_PARAMETERS))
def test_parameters_that_are_no_schema_of_an_object_are_refused(parameters: Any) -> None:
    def anything(**arguments: Any) -> None: ...

    with pytest.raises(ConfigurationError, match="tool 'x'"):
        ToolBox().register(Tool("x", parameters=parameters), anything)


def test_a_description_that_is_no_text_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="description"):
        ToolBox().register(Tool("x", description=None, parameters=CITY), weather)


def test_a_box_keeps_its_own_copy_of_a_schema() -> None:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}}}
    box = ToolBox()
    box.register(Tool("x", parameters=parameters), weather)
    parameters["properties"]["other"] = {}
    assert box.to_list()[0]["function"]["parameters"]["properties"] == {"city": {"type": "string"}}


def _other(town: str) -> None: ...
def _more(city: str, country: str) -> None: ...
def _none() -> None: ...
def _by_position(city: str, /) -> None: ...
def _generator(city: str) -> Iterator[str]:
    yield city


async def _async_generator(city: str) -> AsyncIterator[str]:
    yield city


@pytest.mark.parametrize(
    ("handler", "parameter"),
    [
        (_other, "city"),
        (_more, "country"),
        (_none, "city"),
        (_by_position, "city"),
        (_generator, None),
        (_async_generator, None),
        (functools.partial(_more, country="x", city="y"), "city"),
        (functools.partial(_more, "x"), "city"),
    ],
    ids=["renamed", "too much", "too little", "by position", "generator", "async generator", "bound", "bound first"],
)
def test_a_handler_that_does_not_fit_is_refused_with_all_three_names(handler: Any, parameter: str | None) -> None:
    with pytest.raises(ConfigurationError) as caught:
        ToolBox().register(Tool("weather", parameters=CITY), handler)
    name = getattr(handler, "func", handler).__name__
    assert f"tool 'weather': handler {name!r}" in caught.value.message
    assert caught.value.details == {"tool": "weather", "handler": name, "parameter": parameter}
    assert parameter is None or repr(parameter) in caught.value.message


def test_what_only_required_names_must_be_taken_too() -> None:
    with pytest.raises(ConfigurationError, match="'city'"):
        ToolBox().register(Tool("x", parameters={"type": "object", "required": ["city"]}), _none)


class Forecast:
    def tell(self, city: str) -> str:
        return city

    def __call__(self, city: str) -> str:
        return city


def _defaults(city: str, country: str = "NO") -> None: ...
def _any(**arguments: Any) -> None: ...
def _stars(*args: Any, **kwargs: Any) -> None: ...
def _no_hints(city):  # noqa: ANN001, ANN202 - the schema says it all
    return city


@pytest.mark.parametrize(
    "handler",
    [
        weather, Forecast().tell, Forecast(), _defaults, _any, _stars, _no_hints,
        functools.partial(_more, country="NO"), lambda city: city,
    ],
    ids=["function", "method", "object", "defaults", "kwargs", "stars", "no hints", "partial", "lambda"],
)  # fmt: skip
def test_a_handler_that_takes_what_the_schema_names_fits(handler: Any) -> None:
    box = ToolBox()
    box.register(Tool("weather", parameters=CITY), handler)
    assert box.names == ["weather"]


@pytest.mark.parametrize("handler", [None, "weather", 7], ids=repr)
def test_what_cannot_be_called_is_no_handler(handler: Any) -> None:
    with pytest.raises(ConfigurationError, match="tool 'weather'"):
        ToolBox().register(Tool("weather", parameters=CITY), handler)


def test_a_refused_tool_is_not_in_the_box() -> None:
    box = ToolBox()
    with pytest.raises(ConfigurationError):
        box.register(Tool("weather", parameters=CITY), _other)
    assert len(box) == 0
