"""How the demo model refuses a request: OpenAI's codes, and the field at fault."""

from __future__ import annotations

from typing import Any

from chatproxy.errors import InvalidRequest

_NAMES = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number",
    type(None): "null",
}  # fmt: skip


def wrong_type(param: str, wanted: str, found: Any) -> InvalidRequest:
    """The field holds another JSON type than wanted."""
    shown = _NAMES.get(type(found), type(found).__name__)
    return InvalidRequest(
        f"Invalid type for '{param}': expected {wanted}, found {shown}.", code="invalid_type", param=param
    )


def wrong_value(param: str, message: str) -> InvalidRequest:
    """The field has the right type and a value that cannot be."""
    return InvalidRequest(f"Invalid '{param}': {message}", code="invalid_value", param=param)


def missing(param: str) -> InvalidRequest:
    """The field must be there and is not."""
    return InvalidRequest(f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def empty(param: str) -> InvalidRequest:
    """The list must have an entry and has none."""
    return InvalidRequest(f"Invalid '{param}': expected at least one entry.", code="empty_array", param=param)


def too_long(param: str, limit: int, found: int) -> InvalidRequest:
    """The list has more entries than it may have."""
    return InvalidRequest(
        f"Invalid '{param}': expected at most {limit} entries, found {found}.",
        code="array_above_max_length",
        param=param,
    )


def want_object(value: Any, param: str) -> dict[str, Any]:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    return value


def want_text(holder: dict[str, Any], key: str, param: str) -> str:
    """The string under ``key``; ``param`` is the path of ``holder``."""
    where = f"{param}.{key}" if param else key
    if key not in holder:
        raise missing(where)
    value = holder[key]
    if not isinstance(value, str):
        raise wrong_type(where, "a string", value)
    return value


def want_list(value: Any, param: str) -> list[Any]:
    """The value, if it is an array with entries."""
    if not isinstance(value, list):
        raise wrong_type(param, "an array", value)
    if not value:
        raise empty(param)
    return value


def want_one_of(value: Any, allowed: tuple[str, ...], param: str) -> str:
    """The value, if it is one of the strings."""
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    if value not in allowed:
        raise wrong_value(param, f"expected one of {', '.join(allowed)}, found {value[:40]!r}.")
    return value
