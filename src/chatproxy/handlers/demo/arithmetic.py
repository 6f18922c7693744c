"""Sums in a text: found, and worked out without evaluating code.

Rule: numbers and operators only; every result is bounded, so that no text can cost much.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from fractions import Fraction

_MAX_CHARACTERS = 100
_MAX_DIGITS = 40
_MAX_EXPONENT = 64
_ASKING = re.compile(
    r"(?:^|what(?:'s|’s| is)|how much is|calculate|compute|evaluate|solve|add up)\s*:?\s*$", re.IGNORECASE
)
_EXPRESSION = re.compile(r"[-(]?[\d(][\d\s.+\-*/()^%×÷]*[\d)]")
_SIGNS = str.maketrans({"^": "**", "×": "*", "÷": "/"})
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}


def find_sum(text: str) -> str | None:
    """An expression the text asks to work out, such as ``2 + 2``; None where it asks for none.

    It must stand at the text's start or after words such as "what is", so that dates and phone numbers stay text.
    """
    for match in _EXPRESSION.finditer(text[:2000]):
        found = match.group().strip()
        before = text[max(0, match.start() - 20) : match.start()]
        if len(found) <= _MAX_CHARACTERS and re.search(r"[\d)]\s*[-+*/^%×÷]", found) and _ASKING.search(before):
            return found
    return None


def work_out(expression: str) -> str | None:
    """The value as text, exact or to 10 digits; None where it is no sum, has no value or is too big."""
    try:
        tree = ast.parse(expression.translate(_SIGNS).strip(), mode="eval")
        return _shown(_value(tree.body))
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) in {int, float}:
        return _bounded(Fraction(str(node.value)))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        inner = _value(node.operand)
        return -inner if isinstance(node.op, ast.USub) else inner
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _bounded(_power(left, right))
        if (work := _OPERATORS.get(type(node.op))) is not None:
            return _bounded(work(left, right))
    raise ValueError("not a sum")


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    if exponent.denominator != 1 or abs(exponent) > _MAX_EXPONENT:
        raise ValueError("exponent out of range")
    return base ** int(exponent)


def _bounded(value: Fraction) -> Fraction:
    limit = 10**_MAX_DIGITS
    if abs(value.numerator) > limit or value.denominator > limit:
        raise ValueError("too big")
    return value


def _shown(value: Fraction) -> str:
    if value.denominator == 1:
        return str(value.numerator)
    return f"{float(value):.10g}"
