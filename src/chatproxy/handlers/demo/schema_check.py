"""Whether a value matches a JSON Schema, as far as the demo model's schemas go.

Rule: regular expressions of a schema are never run; a schema that needs one to decide is refused.
Source: JSON Schema 2020-12, core and validation vocabularies.
"""

from __future__ import annotations

from typing import Any

import msgspec

Schema = dict[str, Any] | bool
UNSUPPORTED = (
    "pattern", "patternProperties", "propertyNames", "contains", "dependentSchemas", "dependencies",
    "unevaluatedProperties", "unevaluatedItems", "$dynamicRef", "$recursiveRef",
)  # fmt: skip
_MAX_STEPS = 100_000
_encode = msgspec.json.Encoder(order="sorted").encode


class CannotMatchError(Exception):
    """The schema asks for what the demo model cannot make or decide."""


def resolve(ref: Any, root: Schema) -> Schema:
    """The schema a local ``$ref`` names.

    Raises:
        CannotMatchError: the reference is not local, or names nothing.
    """
    if not isinstance(ref, str) or not ref.startswith("#"):
        raise CannotMatchError(f"$ref {ref!r} is not local")
    found: Any = root
    for step in filter(None, ref[1:].split("/")):
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        elif isinstance(found, dict) and key in found:
            found = found[key]
        else:
            raise CannotMatchError(f"$ref {ref!r} names nothing")
    return as_schema(found)


def as_schema(value: Any) -> Schema:
    """The value, if it can be a schema."""
    if not isinstance(value, dict | bool):
        raise CannotMatchError("a schema is neither an object nor a boolean")
    return value


def schema_list(value: Any, keyword: str) -> list[Schema]:
    """The value, if it is a list of schemas."""
    if not isinstance(value, list) or not value:
        raise CannotMatchError(f"{keyword} is no list of schemas")
    return [as_schema(item) for item in value]


def amount(schema: dict[str, Any], keyword: str, default: float) -> float:
    """A number under a keyword."""
    value = schema.get(keyword, default)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise CannotMatchError(f"{keyword} is no number")
    return value


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON."""
    return type(one) is type(other) and _encode(one) == _encode(other)


class Checker:
    """Checks values against one root schema, in a bounded number of steps."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._steps = 0

    def matches(self, value: Any, schema: Schema) -> bool:
        """Whether the value matches.

        Raises:
            CannotMatchError: it needs a keyword that is not supported, or too many steps.
        """
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise CannotMatchError("it is too big")
        if isinstance(schema, bool):
            return schema
        if "$ref" in schema and not self.matches(value, resolve(schema["$ref"], self._root)):
            return False
        return self._plain(value, schema) and self._combined(value, schema)

    def _plain(self, value: Any, schema: dict[str, Any]) -> bool:
        if "const" in schema and not same(value, schema["const"]):
            return False
        if "enum" in schema and not any(same(value, allowed) for allowed in schema["enum"]):
            return False
        types = schema.get("type")
        names = [types] if isinstance(types, str) else types
        if names is not None and not any(is_type(value, name) for name in names):
            return False
        if isinstance(value, str):
            return self._string(value, schema)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._number(value, schema)
        if isinstance(value, list):
            return self._array(value, schema)
        return self._object(value, schema) if isinstance(value, dict) else True

    def _combined(self, value: Any, schema: dict[str, Any]) -> bool:
        for keyword, enough in (("allOf", all), ("anyOf", any)):
            if keyword in schema and not enough(self.matches(value, s) for s in schema_list(schema[keyword], keyword)):
                return False
        if "oneOf" in schema and sum(self.matches(value, s) for s in schema_list(schema["oneOf"], "oneOf")) != 1:
            return False
        if "not" in schema and self.matches(value, as_schema(schema["not"])):
            return False
        if "if" in schema:
            branch = "then" if self.matches(value, as_schema(schema["if"])) else "else"
            return self.matches(value, as_schema(schema.get(branch, True)))
        return True

    def _string(self, value: str, schema: dict[str, Any]) -> bool:
        if "pattern" in schema and "const" not in schema and "enum" not in schema:
            raise CannotMatchError("pattern is not supported")
        return amount(schema, "minLength", 0) <= len(value) <= amount(schema, "maxLength", float("inf"))

    def _number(self, value: float, schema: dict[str, Any]) -> bool:
        infinity = float("inf")
        inside = amount(schema, "minimum", -infinity) <= value <= amount(schema, "maximum", infinity)
        below = value > amount(schema, "exclusiveMinimum", -infinity)
        step = amount(schema, "multipleOf", 0)
        whole = step == 0 or value / step == round(value / step)
        return inside and below and value < amount(schema, "exclusiveMaximum", infinity) and whole

    def _array(self, value: list[Any], schema: dict[str, Any]) -> bool:
        if not amount(schema, "minItems", 0) <= len(value) <= amount(schema, "maxItems", float("inf")):
            return False
        if schema.get("uniqueItems") is True and len({_encode(item) for item in value}) < len(value):
            return False
        first = schema_list(schema["prefixItems"], "prefixItems") if "prefixItems" in schema else []
        rest = as_schema(schema.get("items", True))
        return all(self.matches(item, first[i] if i < len(first) else rest) for i, item in enumerate(value))

    def _object(self, value: dict[str, Any], schema: dict[str, Any]) -> bool:
        if not amount(schema, "minProperties", 0) <= len(value) <= amount(schema, "maxProperties", float("inf")):
            return False
        if any(name not in value for name in schema.get("required") or ()):
            return False
        dependent = schema.get("dependentRequired") or {}
        if any(name in value and any(other not in value for other in dependent[name]) for name in dependent):
            return False
        known = schema.get("properties") or {}
        others = as_schema(schema.get("additionalProperties", True))
        return all(self.matches(item, as_schema(known.get(name, others))) for name, item in value.items())


def is_type(value: Any, name: Any) -> bool:
    """Whether a value is of a JSON Schema type."""
    if name == "integer":
        return type(value) is int or (type(value) is float and value.is_integer())
    python: dict[Any, tuple[type, ...]] = {
        "object": (dict,), "array": (list,), "string": (str,), "number": (int, float),
        "boolean": (bool,), "null": (type(None),),
    }  # fmt: skip
    if name not in python:
        raise CannotMatchError(f"type {name!r} is unknown")
    return type(value) in python[name]
