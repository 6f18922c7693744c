"""What a model gives to a tool: JSON text to values that fit the tool's schema.

Rule: no I/O here. Models are taken at their word where it is clear what they mean: ``"3"`` is 3 where a number is
wanted, no text is no arguments, and JSON inside JSON text is unpacked once. All else is an error that the model reads.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, Union

import msgspec

from chatproxy_sdk.agent.schema import Signature

_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": int | float,
    "boolean": bool,
    "null": None,
    "array": list[Any],
    "object": dict[str, Any],
}
_Bounds = dict[str, tuple[Callable[[Any, Any], bool], str]]
_NUMBER: _Bounds = {
    "minimum": (operator.ge, "be at least"),
    "maximum": (operator.le, "be at most"),
    "exclusiveMinimum": (operator.gt, "be above"),
    "exclusiveMaximum": (operator.lt, "be below"),
}
_TEXT: _Bounds = {
    "minLength": (operator.ge, "have a length of at least"),
    "maxLength": (operator.le, "have a length of at most"),
}
_LIST: _Bounds = {
    "minItems": (operator.ge, "have a length of at least"),
    "maxItems": (operator.le, "have a length of at most"),
}


class ArgumentsError(ValueError):
    """Arguments that cannot be used; the message is written for the model that sent them."""


def decoded(text: object) -> dict[str, Any]:
    """The object that a call's ``arguments`` stand for; empty for no text and for ``null``.

    Raises:
        ArgumentsError: they are no JSON object.
    """
    found = text
    for _ in range(2):  # some servers encode the JSON text once more
        if isinstance(found, str):
            found = _json(found)
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ArgumentsError(f"arguments must be a JSON object, found {_json_name(found)}")
    return dict(found)


def _json(text: str) -> Any:
    if not text.strip():
        return None
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as exc:
        raise ArgumentsError(f"arguments are not valid JSON: {exc}") from exc


def fitted(arguments: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments as a tool's schema wants them.

    These keywords are checked: type, enum, const, properties, required, additionalProperties, items, prefixItems,
    bounds, lengths, anyOf, oneOf, and ``$ref`` to the schema itself. Others are left to the handler.

    Raises:
        ArgumentsError: they do not fit; the message says where.
    """
    try:
        found: dict[str, Any] = _fit(arguments, schema, "", schema)
    except RecursionError as exc:
        raise ArgumentsError("arguments are nested too deeply") from exc
    return found


def converted(arguments: Mapping[str, Any], signature: Signature) -> dict[str, Any]:
    """Arguments as a handler's hints want them; what is not given is left to the handler's defaults.

    Raises:
        ArgumentsError: one is missing, unknown, or of the wrong type.
    """
    parameters = signature.parameters
    if missing := [name for name, one in parameters.items() if one.is_required and name not in arguments]:
        raise ArgumentsError(f"missing argument {', '.join(map(repr, missing))}")
    if not signature.takes_any and (unknown := [name for name in arguments if name not in parameters]):
        known = ", ".join(map(repr, parameters)) or "none"
        raise ArgumentsError(f"unknown argument {', '.join(map(repr, unknown))}; known are {known}")
    types = {name: parameters[name].type if name in parameters else Any for name in arguments}
    return {name: _convert(value, types[name], name) for name, value in arguments.items()}


def _convert(value: Any, wanted: Any, where: str) -> Any:
    try:
        return msgspec.convert(value, wanted, strict=False)
    except (msgspec.ValidationError, RecursionError) as exc:
        raise ArgumentsError(f"argument {where!r}: {exc}") from exc


def _fit(value: Any, schema: Any, where: str, root: Mapping[str, Any]) -> Any:
    if not isinstance(schema, Mapping):
        if schema is False:
            raise ArgumentsError(f"{_at(where)} must not be given")
        return value
    if isinstance(reference := schema.get("$ref"), str):
        return _fit(value, _target(reference, root), where, root)
    for name in ("anyOf", "oneOf"):
        if isinstance(choices := schema.get(name), list):
            value = _fit_one(value, choices, where, root)
    value = _of_type(value, schema, where)
    _check_choice(value, schema, where)
    _check_bounds(value, schema, where)
    if isinstance(value, Mapping):
        return _fit_object(value, schema, where, root)
    if isinstance(value, list):
        first, others = schema.get("prefixItems") or [], schema.get("items", True)
        wanted = [*first, *[others] * (len(value) - len(first))]
        return [_fit(one, wanted[index], f"{where}[{index}]", root) for index, one in enumerate(value)]
    return value


def _target(reference: str, root: Mapping[str, Any]) -> Any:
    """What a reference inside the schema points at; anything goes where it points elsewhere."""
    found: Any = root if reference.startswith("#") else {}
    for step in reference.lstrip("#").split("/"):
        if step:
            found = found.get(step, {}) if isinstance(found, Mapping) else {}
    return found


def _fit_one(value: Any, choices: list[Any], where: str, root: Mapping[str, Any]) -> Any:
    """The value as the first choice takes it; as it is, where one takes it so."""
    taken: list[Any] = []
    problems: list[str] = []
    for choice in choices:
        try:
            taken.append(_fit(value, choice, where, root))
        except ArgumentsError as exc:
            problems.append(str(exc))
    if not taken:
        raise ArgumentsError("; or ".join(problems) or f"{_at(where)} fits none of no choices")
    return next((one for one in taken if type(one) is type(value) and _is_same(one, value)), taken[0])


def _of_type(value: Any, schema: Mapping[str, Any], where: str) -> Any:
    names = schema.get("type")
    wanted = [name for name in ([names] if isinstance(names, str) else names or []) if name in _TYPES]
    if not wanted:
        return value
    kinds = tuple(_TYPES[name] for name in wanted)
    if isinstance(value, float) and value.is_integer() and "integer" in wanted and "number" not in wanted:
        value = int(value)  # msgspec 0.22 does the same, but only up to 2**53
    return _convert(value, Union[kinds], where) if where else value  # noqa: UP007 - made at run time


def _check_choice(value: Any, schema: Mapping[str, Any], where: str) -> None:
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if isinstance(choices, list) and not any(_is_same(value, one) for one in choices):
        shown = ", ".join(msgspec.json.encode(one).decode() for one in choices)
        raise ArgumentsError(f"{_at(where)} must be one of {shown}")


def _is_same(value: Any, other: Any) -> bool:
    """As JSON has it: true is not 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)


def _check_bounds(value: Any, schema: Mapping[str, Any], where: str) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    bounds = _NUMBER if is_number else _TEXT if isinstance(value, str) else _LIST if isinstance(value, list) else {}
    for name, (holds, words) in bounds.items():
        bound = schema.get(name)
        is_bound = isinstance(bound, (int, float)) and not isinstance(bound, bool)  # a boolean, in drafts before 6
        if is_bound and not holds(value if is_number else len(value), bound):
            raise ArgumentsError(f"{_at(where)} must {words} {bound}")


def _fit_object(value: Mapping[str, Any], schema: Mapping[str, Any], where: str, root: Mapping[str, Any]) -> Any:
    properties = schema.get("properties") or {}
    others = schema.get("additionalProperties", True)
    prefix = f"{where}." if where else ""
    if missing := [f"{prefix}{name}" for name in schema.get("required") or [] if name not in value]:
        raise ArgumentsError(f"missing argument {', '.join(map(repr, missing))}")
    if others is False and (unknown := [f"{prefix}{name}" for name in value if name not in properties]):
        raise ArgumentsError(f"unknown argument {', '.join(map(repr, unknown))}")
    return {name: _fit(one, properties.get(name, others), f"{prefix}{name}", root) for name, one in value.items()}


def _at(where: str) -> str:
    return f"argument {where!r}" if where else "arguments"


def _json_name(value: object) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a text", list: "an array"}
    return names.get(type(value), type(value).__name__)
