"""Scalar parameters of a request: each read once, null as if absent, its type and range checked."""

from __future__ import annotations

from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo.faults import missing, wrong_type
from chatproxy.types.request import ChatRequest

MODEL = "demo"


def model_of(request: ChatRequest) -> str:
    """The model's name; any will do, but there must be one."""
    if not request.model:
        raise missing("model")
    return request.model


def boolean(request: ChatRequest, name: str, *, default: bool = False) -> bool:
    """A field that is true or false."""
    value = request.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def integer(request: ChatRequest, name: str, lowest: int, highest: int) -> int | None:
    """A whole number within bounds, which are allowed themselves."""
    value = request.get(name)
    return None if value is None else as_integer(value, name, lowest, highest)


def as_integer(value: Any, name: str, lowest: int, highest: int) -> int:
    """The value, if it is a whole number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    in_range(value, name, lowest, highest)
    return value


def number(request: ChatRequest, name: str, lowest: float, highest: float) -> None:
    """Check a number that changes nothing."""
    if (value := request.get(name)) is not None:
        in_range(value, name, lowest, highest)


def in_range(value: Any, name: str, lowest: float, highest: float) -> None:
    """Check that the value is a number within bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type(name, "a number", value)
    kind = "integer" if isinstance(lowest, int) else "decimal"
    if value > highest:
        raise InvalidRequest(
            f"Invalid '{name}': expected at most {highest:g}, found {value}.",
            code=f"{kind}_above_max_value",
            param=name,
        )
    if value < lowest:
        raise InvalidRequest(
            f"Invalid '{name}': expected at least {lowest:g}, found {value}.",
            code=f"{kind}_below_min_value",
            param=name,
        )


def text(request: ChatRequest, name: str) -> str | None:
    """A field that is a string."""
    value = request.get(name)
    if value is not None and not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return value
