"""How a client's request is refused: what was found, what was wanted, and where.

Rule: every refusal names the client's own field; nothing here knows what a field means. Null counts as absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from chatproxy.errors import InvalidRequest
from chatproxy.translation.base import Json

_TYPES = {
    dict: "an object", list: "an array", str: "a string", bool: "a boolean", int: "an integer", float: "a number",
    type(None): "null",
}  # fmt: skip


def wrong_type(at: str, wanted: str, found: Any) -> InvalidRequest:
    """The field holds another JSON type than wanted."""
    shown = _TYPES.get(type(found), type(found).__name__)
    return InvalidRequest(f"Invalid type for '{at}': expected {wanted}, found {shown}.", code="invalid_type", param=at)


def wrong_value(at: str, problem: str) -> InvalidRequest:
    """The field has the right type and a value that cannot be."""
    return InvalidRequest(f"Invalid '{at}': {problem}.", code="invalid_value", param=at)


def missing(at: str) -> InvalidRequest:
    """The field must be there and is not."""
    return InvalidRequest(f"Missing required parameter: '{at}'.", code="missing_required_parameter", param=at)


def empty(at: str) -> InvalidRequest:
    """The list must have an entry."""
    return InvalidRequest(f"Invalid '{at}': expected at least one entry, found none.", code="empty_array", param=at)


def unsupported_parameter(at: str, why: str) -> InvalidRequest:
    """The answer depends on a parameter that the handler's API does not have."""
    return InvalidRequest(f"Unsupported parameter '{at}': {why}.", code="unsupported_parameter", param=at)


def unsupported_content(at: str, why: str) -> InvalidRequest:
    """The answer depends on content that the handler's API cannot carry."""
    return InvalidRequest(f"Unsupported content in '{at}': {why}.", code="unsupported_content", param=at)


def want_object(value: Any, at: str) -> Json:
    """The value, if it is an object."""
    if isinstance(value, dict):
        return value
    raise missing(at) if value is None else wrong_type(at, "an object", value)


def want_list(value: Any, at: str) -> list[Any]:
    """The value, if it is an array."""
    if isinstance(value, list):
        return value
    raise missing(at) if value is None else wrong_type(at, "an array", value)


def want_objects(value: Any, at: str) -> Iterator[tuple[Json, str]]:
    """The objects of an array, each with its path."""
    for i, entry in enumerate(want_list(value, at)):
        where = f"{at}[{i}]"
        if not isinstance(entry, dict):
            raise wrong_type(where, "an object", entry)
        yield entry, where


def want_content(value: Any, at: str) -> str | list[Any]:
    """The value, if it is a text or an array of what makes up a content."""
    if isinstance(value, str | list):
        return value
    raise missing(at) if value is None else wrong_type(at, "a string or an array", value)


def want_text(holder: Json, key: str, at: str) -> str:
    """The string under ``key``; ``at`` is the path of ``holder``, empty for the request itself."""
    value = holder.get(key)
    if isinstance(value, str):
        return value
    where = f"{at}.{key}" if at else key
    raise missing(where) if value is None else wrong_type(where, "a string", value)


def optional_text(holder: Json, key: str, at: str) -> str:
    """As `want_text`, but empty where there is none."""
    return "" if holder.get(key) is None else want_text(holder, key, at)


def want_word(holder: Json, key: str, words: Collection[str], at: str) -> str:
    """As `want_text`, if it is one of the words."""
    word = want_text(holder, key, at)
    return word if word in words else one_of(words, word, f"{at}.{key}" if at else key)


def one_of(words: Collection[str], word: str, at: str) -> str:
    """The word, if it is one of the words."""
    if word in words:
        return word
    *most, last = words
    wanted = f"{', '.join(most)} or {last}" if most else last
    raise wrong_value(at, f"expected {wanted}, found {word[:40]!r}")


def same_role(first: str, role: str, at: str) -> str:
    """The role of a message that instructs, if all before it had the same: OpenAI's models take one of the two."""
    if first in ("", role):
        return role
    raise wrong_value(f"{at}.role", f"expected {first}, as of the instructions before it, found {role}")


def optional_object(holder: Json, key: str, at: str) -> Json:
    """The object under ``key``, empty where there is none."""
    value = holder.get(key)
    return {} if value is None else want_object(value, f"{at}.{key}" if at else key)


def optional_objects(holder: Json, key: str, at: str) -> Iterator[tuple[Json, str]]:
    """The objects of the array under ``key``, each with its path; none where there is none."""
    value = holder.get(key)
    return iter(()) if value is None else want_objects(value, f"{at}.{key}" if at else key)


def want_integer(value: Any, at: str) -> int:
    """The value, if it is an integer."""
    if type(value) is int:
        return value
    raise missing(at) if value is None else wrong_type(at, "an integer", value)


def optional_bool(holder: Json, key: str, at: str) -> bool | None:
    """The boolean under ``key``, or None."""
    value = holder.get(key)
    if value is None or isinstance(value, bool):
        return value
    raise wrong_type(f"{at}.{key}" if at else key, "a boolean", value)
