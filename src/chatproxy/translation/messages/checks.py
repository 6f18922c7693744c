"""How a Messages request is refused, and how what chat has no field for is put on record.

Rule: every refusal names the client's own field and says what was found and what was wanted.
Source: Anthropic API reference, "Create a Message".
"""

from __future__ import annotations

from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json, Losses

_NAMES = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number",
    type(None): "null",
}  # fmt: skip


def wrong_type(field: str, wanted: str, found: Any) -> InvalidRequest:
    """The field holds another JSON type than wanted."""
    shown = _NAMES.get(type(found), type(found).__name__)
    return InvalidRequest(f"'{field}' must be {wanted}, found {shown}.", code="invalid_type", param=field)


def wrong_value(field: str, message: str) -> InvalidRequest:
    """The field has the right type and a value that cannot be; the message goes on after the field's name."""
    return InvalidRequest(f"'{field}' {message}", code="invalid_value", param=field)


def missing(field: str) -> InvalidRequest:
    """The field must be there and is not."""
    return InvalidRequest(f"'{field}' is required and was not found.", code="missing_required_parameter", param=field)


def unsupported(field: str, reason: str, *, code: str = "unsupported_parameter") -> InvalidRequest:
    """The API knows the field, but what answers here cannot do what it asks for."""
    return InvalidRequest(f"'{field}' cannot be used with this model: {reason}.", code=code, param=field)


def want_object(value: Any, field: str) -> Json:
    """The value, if it is an object."""
    if not isinstance(value, dict):
        raise wrong_type(field, "an object", value)
    return value


def want_list(value: Any, field: str) -> list[Any]:
    """The value, if it is an array."""
    if not isinstance(value, list):
        raise wrong_type(field, "an array", value)
    return value


def want_text(holder: Json, key: str, at: str) -> str:
    """The string under ``key``; ``at`` is the path of ``holder``."""
    value = holder.get(key)
    if value is None:
        raise missing(f"{at}.{key}")
    if not isinstance(value, str):
        raise wrong_type(f"{at}.{key}", "a string", value)
    return value


def optional_text(holder: Json, key: str, at: str) -> str:
    """As `want_text`, but empty where there is none."""
    return "" if holder.get(key) is None else want_text(holder, key, at)


def record_rest(holder: Json, known: frozenset[str], at: str, losses: Losses) -> None:
    """Put on record what a block, tool or message holds beside the known keys.

    Marks for the prompt cache stand on many blocks and are one loss.
    """
    for key in holder.keys() - known:
        if key == "cache_control":
            if holder[key] is not None:
                losses.add("cache_control", "dropped", "chat has no marks for the prompt cache")
        elif holder[key] not in (None, [], {}):
            losses.add(f"{at}.{key}", "dropped", "chat has no such field")
