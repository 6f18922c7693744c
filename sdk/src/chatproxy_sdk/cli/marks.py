"""The mark of functions that a module offers to a model at the terminal."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
_MARK = "__chatproxy_tool__"


def tool(function: F) -> F:
    """Offer a function to the model, where its module is named by ``--tools``.

    Example::

        from chatproxy_sdk.cli import tool

        @tool
        def read_sensor(room: str) -> float:
            \"\"\"Temperature of a room in degrees Celsius.\"\"\"
    """
    setattr(function, _MARK, True)
    return function


def is_marked(value: Any) -> bool:
    """Whether it is a function that was offered."""
    return callable(value) and getattr(value, _MARK, False) is True
