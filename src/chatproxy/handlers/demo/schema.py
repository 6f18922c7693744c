"""JSON made to match a JSON Schema, filled from a user's text where that fits.

Rule: the same schema, text and variant give the same value, and every value given out was checked against the schema.
Source: JSON Schema 2020-12.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from chatproxy.handlers.demo.hints import Hints
from chatproxy.handlers.demo.schema_check import (
    UNSUPPORTED,
    CannotMatchError,
    Checker,
    Schema,
    amount,
    as_schema,
    is_type,
    schema_list,
)
from chatproxy.handlers.demo.schema_merge import both, flat

_MAX_DEPTH = 40
_MAX_VALUES = 2000
_MAX_LENGTH = 10_000
_SAMPLES = {
    "date": "2026-01-31", "date-time": "2026-01-31T12:00:00Z", "time": "12:00:00Z", "duration": "PT1H",
    "email": "demo@example.com", "idn-email": "demo@example.com", "hostname": "example.com",
    "idn-hostname": "example.com", "ipv4": "192.0.2.1", "ipv6": "2001:db8::1", "uri": "https://example.com/",
    "uri-reference": "/demo", "iri": "https://example.com/", "iri-reference": "/demo", "url": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000", "json-pointer": "/demo", "regex": "demo",
}  # fmt: skip
_BY_KEYWORD = {
    "properties": "object", "required": "object", "additionalProperties": "object", "minProperties": "object",
    "items": "array", "prefixItems": "array", "minItems": "array", "minimum": "number", "maximum": "number",
    "exclusiveMinimum": "number", "exclusiveMaximum": "number", "multipleOf": "number",
}  # fmt: skip


def sample(schema: Schema, *, hints: Hints, variant: int = 0, want_optional: bool = True) -> Any:
    """A value that matches the schema.

    Args:
        hints: what the user's text offers.
        variant: another number gives another value where the schema leaves room.
        want_optional: whether optional properties are filled, or only those the text speaks of.

    Raises:
        CannotMatchError: the schema is malformed, allows nothing, or wants what is not supported.
    """
    try:
        value = _Sampler(schema, hints, variant=variant, want_optional=want_optional).value(schema, "", 0, frozenset())
        if Checker(schema).matches(value, schema):
            return value
    except (TypeError, AttributeError, KeyError, ValueError, ArithmeticError, RecursionError) as exc:
        # A keyword's value has another JSON type than the specification allows; which one does not matter here.
        raise CannotMatchError("the schema is malformed") from exc
    raise CannotMatchError("no value was found that matches all of it")


class _Sampler:
    def __init__(self, root: Schema, hints: Hints, *, variant: int, want_optional: bool) -> None:
        self._root = root
        self._hints = hints
        self._variant = variant
        self._want_optional = want_optional
        self._made = 0
        self._checker = Checker(root)

    def value(self, schema: Schema, name: str, depth: int, seen: frozenset[str]) -> Any:
        """A value for one place.

        Args:
            name: of the property, for the hints.
            seen: the references this place lies inside of; going into one again would have no end.
        """
        self._made += 1
        if depth > _MAX_DEPTH or self._made > _MAX_VALUES:
            raise CannotMatchError("it is too deep or too big")
        merged, refs = flat(schema, self._root)
        if refs & seen:
            raise CannotMatchError("it refers to itself without end")
        seen |= refs
        for keyword in UNSUPPORTED:
            if keyword in merged and "const" not in merged and "enum" not in merged:
                raise CannotMatchError(f"{keyword} is not supported")
        for made in self._candidates(merged, name, depth, seen):
            if self._checker.matches(made, merged):
                return made
        raise CannotMatchError(f"no value for {name!r} was found")

    def _candidates(self, schema: dict[str, Any], name: str, depth: int, seen: frozenset[str]) -> Iterator[Any]:
        if "const" in schema:
            yield schema["const"]
        elif "enum" in schema:
            yield from self._from_list(schema["enum"])
        elif (alternatives := schema.get("anyOf") or schema.get("oneOf")) is not None:
            rest = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf"}}
            for alternative in schema_list(alternatives, "anyOf"):
                yield from self._attempt(both(rest, alternative), name, depth, seen)
        else:
            yield from self._typed(schema, name, depth, seen)

    def _from_list(self, allowed: list[Any]) -> Iterator[Any]:
        named = [value for value in allowed if isinstance(value, str) and self._hints.mentions(value)]
        yield from named
        turn = self._variant % max(1, len(allowed))
        yield from allowed[turn:] + allowed[:turn]

    def _attempt(self, schema: Schema, name: str, depth: int, seen: frozenset[str]) -> Iterator[Any]:
        """The value, or nothing where there is none; the caller goes on to the next possibility."""
        try:
            yield self.value(schema, name, depth + 1, seen)
        except CannotMatchError:
            return

    def _typed(self, schema: dict[str, Any], name: str, depth: int, seen: frozenset[str]) -> Iterator[Any]:
        for kind in _types(schema):
            if kind == "object":
                yield self._object(schema, depth, seen)
            elif kind == "array":
                yield self._array(schema, name, depth, seen)
            elif kind in {"integer", "number"}:
                yield from self._numbers(schema, name, kind)
            elif kind == "boolean":
                yield from self._first_known(self._hints.boolean(name), schema, self._variant % 2 == 0)
                yield self._variant % 2 == 1
            elif kind == "null":
                yield None
            else:
                yield from self._strings(schema, name)

    def _first_known(self, hint: Any, schema: dict[str, Any], last: Any) -> Iterator[Any]:
        if hint is not None:
            yield hint
        if "default" in schema and schema["default"] is not None:
            yield schema["default"]
        yield last

    def _strings(self, schema: dict[str, Any], name: str) -> Iterator[Any]:
        format_name = str(schema.get("format", ""))
        shortest = int(amount(schema, "minLength", 0))
        if shortest > _MAX_LENGTH:
            raise CannotMatchError("minLength is too big")
        text = _SAMPLES.get(format_name or name) or (f"{name or 'text'} {self._variant + 1}" if self._variant else name)
        yield from self._first_known(self._hints.string(name, format_name), schema, text or "text")
        padded = (text or "text").ljust(shortest, ".")
        yield padded[: int(min(amount(schema, "maxLength", _MAX_LENGTH), _MAX_LENGTH))]

    def _numbers(self, schema: dict[str, Any], name: str, kind: str) -> Iterator[Any]:
        yield from self._first_known(self._hints.number(name), schema, self._variant + 1)
        lowest, highest = amount(schema, "minimum", -math.inf), amount(schema, "maximum", math.inf)
        above, below = amount(schema, "exclusiveMinimum", -math.inf), amount(schema, "exclusiveMaximum", math.inf)
        low, high = max(lowest, above), min(highest, below)
        step = amount(schema, "multipleOf", 1 if kind == "integer" else 0)
        start = low if low > -math.inf else high - 1 if high < math.inf else 0
        if step:
            first = math.ceil(start / step)
            yield from (_neat((first + i + self._variant) * step, step) for i in range(3))
            yield from (_neat((first + i) * step, step) for i in range(3))
        else:
            yield from (start, start + 1, (low + high) / 2 if math.isfinite(low + high) else start)

    def _array(self, schema: dict[str, Any], name: str, depth: int, seen: frozenset[str]) -> list[Any]:
        first = schema_list(schema["prefixItems"], "prefixItems") if "prefixItems" in schema else []
        made = [self.value(item, name, depth + 1, seen) for item in first]
        items = as_schema(schema.get("items", True))
        fewest, most = int(amount(schema, "minItems", 0)), amount(schema, "maxItems", math.inf)
        if fewest > _MAX_VALUES:
            raise CannotMatchError("minItems is too big")
        if items is False or len(made) >= most:
            return made[: int(min(most, len(made)))]
        if isinstance(items, dict) and items.get("type") == "string" and not first:
            given = [text for text in self._hints.strings() if self._checker.matches(text, items)]
            made = list(dict.fromkeys(given))[: int(min(most, 20))]
        wanted = max(fewest, min(1, most))
        outer, start = self._variant, self._variant
        for i in range(2 * _MAX_VALUES):
            if len(made) >= wanted:
                break
            self._variant = start + i
            one = list(self._attempt(items, name, depth, seen))
            if not one and len(made) >= fewest:
                break
            if not one:
                self._variant = outer
                raise CannotMatchError(f"no item for {name!r} was found")
            if schema.get("uniqueItems") is not True or one[0] not in made:
                made += one
        self._variant = outer
        return made

    def _object(self, schema: dict[str, Any], depth: int, seen: frozenset[str]) -> dict[str, Any]:
        properties: dict[str, Any] = schema.get("properties") or {}
        required: list[str] = schema.get("required") or []
        others = as_schema(schema.get("additionalProperties", True))
        made: dict[str, Any] = {}
        for name, part in properties.items():
            if name in required:
                made[name] = self.value(as_schema(part), name, depth + 1, seen)
            elif self._is_wanted(name):
                made.update((name, value) for value in self._attempt(as_schema(part), name, depth, seen))
        for name in required:
            if name not in made:
                made[name] = self.value(others, name, depth + 1, seen)
        for i in range(int(amount(schema, "minProperties", 0)) - len(made)):
            made[f"key{i + 1}"] = self.value(others, f"key{i + 1}", depth + 1, seen)
        return made

    def _is_wanted(self, name: str) -> bool:
        return self._want_optional or self._hints.assigned(name) is not None


def _types(schema: dict[str, Any]) -> list[str]:
    """The types to try, null last; guessed from the other keywords where the schema names none."""
    named = schema.get("type")
    if named is None:
        return [next((kind for keyword, kind in _BY_KEYWORD.items() if keyword in schema), "string")]
    listed = [named] if isinstance(named, str) else list(named)
    for name in listed:
        is_type(None, name)
    return sorted(listed, key=lambda name: name == "null")


def _neat(value: float, step: float) -> int | float:
    return int(value) if float(step).is_integer() else round(value, 10)
