"""Checks of a Responses request's shapes: what was found, what was wanted, and where.

Rule: every refusal names the client's own field; nothing here knows what a field means.
"""

from __future__ import annotations

from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json

_NAMES = {
    type(None): "null",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    str: "a string",
    list: "an array",
    dict: "an object",
}


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


def unsupported_parameter(param: str, message: str) -> InvalidRequest:
    """The answer depends on a parameter that chat completions do not have."""
    return InvalidRequest(f"Unsupported parameter '{param}': {message}", code="unsupported_parameter", param=param)


def unsupported_content(param: str, message: str) -> InvalidRequest:
    """The answer depends on content that chat completions cannot carry."""
    return InvalidRequest(f"Unsupported content in '{param}': {message}", code="unsupported_content", param=param)


def want_object(value: Any, param: str) -> Json:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise wrong_type(param, "an object", value)
    return value


def want_list(value: Any, param: str) -> list[Any]:
    """The value, if it is an array."""
    if not isinstance(value, list):
        raise wrong_type(param, "an array", value)
    return value


def want_text(holder: Json, key: str, param: str) -> str:
    """The string under ``key``; ``param`` is the path of ``holder``."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    if value is None:
        raise missing(f"{param}.{key}")
    raise wrong_type(f"{param}.{key}", "a string", value)
