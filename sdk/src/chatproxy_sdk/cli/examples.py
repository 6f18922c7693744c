"""Example tools for a first try: they read and change nothing outside.

Their hints and docstrings are what the model is told, so they are written for it.
"""

from __future__ import annotations

import ast
import operator
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MAX_CHARS = 200
_MAX_DIGITS = 300
_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


def current_time(timezone: str = "UTC") -> str:
    """Tell the current date and time.

    Args:
        timezone: an IANA name such as Europe/Zurich.
    """
    try:
        zone = UTC if timezone.upper() == "UTC" else ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
        raise ValueError(f"there is no timezone {timezone!r}") from exc
    return datetime.now(zone).strftime("%A, %Y-%m-%d %H:%M:%S %Z")


def calculate(expression: str) -> str:
    """Work out an arithmetic expression.

    Args:
        expression: numbers, + - * / // % ** and brackets, such as (2 + 3) * 4.
    """
    if len(expression) > _MAX_CHARS:
        raise ValueError(f"the expression is longer than {_MAX_CHARS} characters")
    try:
        return str(_value(ast.parse(expression.strip(), mode="eval").body))
    except (SyntaxError, ArithmeticError, RecursionError, TypeError) as exc:
        raise ValueError(f"it cannot be worked out: {exc}") from exc


def roll_dice(count: int = 1, sides: int = 6) -> list[int]:
    """Roll dice and tell what each shows.

    Args:
        count: dice, 1 to 100.
        sides: of each, 2 to 1000.
    """
    if not (1 <= count <= 100 and 2 <= sides <= 1000):
        raise ValueError("1 to 100 dice with 2 to 1000 sides")
    return [random.randint(1, sides) for _ in range(count)]  # noqa: S311 - a game


TOOLS = (current_time, calculate, roll_dice)


def _value(node: ast.expr) -> float:
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        return _bounded(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = _value(node.operand)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow) and abs(right) > _MAX_DIGITS:
            raise ValueError("the exponent is too big")
        return _bounded(_OPERATORS[type(node.op)](left, right))
    raise ValueError("only numbers, + - * / // % ** and brackets are allowed")


def _bounded(value: Any) -> float:
    if isinstance(value, complex) or abs(value) > 10**_MAX_DIGITS:
        raise ValueError("the result is no number, or too big")
    return value  # type: ignore[no-any-return]
