"""Several schemas that hold at once, as one: ``$ref`` with its neighbours, and ``allOf``."""

from __future__ import annotations

from typing import Any

from chatproxy.handlers.demo.schema_check import CannotMatchError, Schema, as_schema, resolve, same, schema_list

_LARGER = {"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"}
_SMALLER = {"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"}
_MAX_PARTS = 100


def flat(schema: Schema, root: Schema) -> tuple[dict[str, Any], frozenset[str]]:
    """One schema without ``$ref`` and ``allOf`` at its top.

    Returns:
        (the schema, the references followed).

    Raises:
        CannotMatchError: nothing matches it, or it refers to itself without end.
    """
    merged: dict[str, Any] = {}
    refs: set[str] = set()
    todo: list[Schema] = [schema]
    for _ in range(_MAX_PARTS):
        if not todo:
            return merged, frozenset(refs)
        part = todo.pop()
        if part is False:
            raise CannotMatchError("a schema allows nothing")
        if part is True:
            continue
        part = dict(part)
        if "$ref" in part:
            ref = part.pop("$ref")
            refs.add(str(ref))
            todo.append(resolve(ref, root))
        if "allOf" in part:
            todo.extend(schema_list(part.pop("allOf"), "allOf"))
        for keyword, value in part.items():
            merged[keyword] = _joined(keyword, merged[keyword], value) if keyword in merged else value
    raise CannotMatchError("a schema refers to itself without end")


def both(one: dict[str, Any], other: Schema) -> dict[str, Any]:
    """A schema that wants what both want."""
    return {"allOf": [one, as_schema(other)]}


def _joined(keyword: str, one: Any, other: Any) -> Any:
    if keyword == "properties" and isinstance(one, dict) and isinstance(other, dict):
        shared = {name: {"allOf": [one[name], other[name]]} for name in one if name in other}
        return {**one, **other, **shared}
    if keyword == "required" and isinstance(one, list) and isinstance(other, list):
        return one + [name for name in other if name not in one]
    if keyword == "enum" and isinstance(one, list) and isinstance(other, list):
        return [value for value in one if any(same(value, allowed) for allowed in other)]
    if keyword in _LARGER or keyword in _SMALLER:
        return max(one, other) if keyword in _LARGER else min(one, other)
    if keyword == "type":
        return _shared_types(one, other)
    if keyword in {"items", "additionalProperties"}:
        return {"allOf": [one, other]}
    return one


def _shared_types(one: Any, other: Any) -> list[str]:
    left, right = ([value] if isinstance(value, str) else list(value) for value in (one, other))
    shared = [name for name in left if name in right]
    if "integer" in left + right and "number" in left + right and "integer" not in shared:
        shared.append("integer")
    if not shared:
        raise CannotMatchError("types exclude each other")
    return shared
