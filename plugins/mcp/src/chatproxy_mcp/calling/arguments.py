"""Arguments: whether a call's arguments fit its tool's schema, told so that a model can mend them.

Rule: nothing is fetched, and no check takes long, since schemas come from servers. One that refers to other documents
or to itself, that branches into too many parts, or whose patterns look around is not enforced here: servers check their
arguments themselves.
Source: JSON Schema 2020-12, the default of MCP's ``inputSchema``, as ``jsonschema-rs`` implements it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

import jsonschema_rs
import msgspec

from chatproxy_mcp.calling.schemas import nests_over, parts_of, size_of
from chatproxy_mcp.tool import Tool

Json = dict[str, Any]

MAX_PROBLEMS = 5
MAX_PROBLEM = 300
# Parts of a schema by parts of arguments: some 20 ms.
_MAX_STEPS = 1_000_000
_MAX_KEPT = 1024
_MAX_LEVELS = 100  # pydantic, by which the SDK writes them, takes 250
_PATTERN_BYTES = 1 << 18
_UNEXPECTED = (
    jsonschema_rs.ValidationErrorKind.AdditionalProperties,
    jsonschema_rs.ValidationErrorKind.UnevaluatedProperties,
)


class Arguments:
    """Checks arguments; of compiled schemas those used last are kept."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], _Check] = OrderedDict()

    def problem(self, tool: Tool, arguments: Json, *, written: Json) -> str | None:
        """What is wrong with arguments, or None.

        Args:
            arguments: as the tool would get them.
            written: as the model wrote them; names that are not in it are not quoted, and no values ever.
        """
        lines = self._check(tool).problems(arguments, written)
        if not lines:
            return None
        head = "The tool was not called, since its arguments do not fit its schema:"
        return "\n".join([head, *(f"- {line}" for line in lines), "Call it again with arguments that fit."])

    def without_nulls(self, tool: Tool, arguments: Json) -> Json:
        """The arguments, without nulls that stand for what was left out, where only then they fit.

        Models write null for an optional property, since strict function schemas of some APIs know no other way.
        """
        optional = arguments.keys() - set(_names_in(tool.parameters.get("required")))
        if not any(arguments[name] is None for name in optional) or not self.problem(tool, arguments, written={}):
            return arguments
        left = {name: value for name, value in arguments.items() if value is not None or name not in optional}
        return arguments if self.problem(tool, left, written={}) else left

    def _check(self, tool: Tool) -> _Check:
        key = tool.server, tool.name
        kept = self._kept.get(key)
        if kept is None or not kept.is_of(tool.parameters):
            kept = self._kept[key] = _Check(tool.parameters)
            if len(self._kept) > _MAX_KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return kept


class _Check:
    """One schema, compiled where it can be enforced."""

    __slots__ = ("_parts", "_schema", "_validator")

    def __init__(self, schema: Json) -> None:
        self._schema = schema
        self._parts = parts_of(schema)
        self._validator = None if self._parts is None else _compiled(schema)

    def is_of(self, schema: Json) -> bool:
        if self._schema is not schema and self._schema == schema:
            self._schema = schema
        return self._schema is schema

    def problems(self, arguments: Json, written: Json) -> list[str]:
        validator, parts = self._validator, self._parts
        if validator is None or parts is None:
            return []
        limit = _MAX_STEPS // parts
        if size_of(arguments, limit) > limit:
            return []
        try:
            if validator.is_valid(arguments):
                return []
            found = list(islice(validator.iter_errors(arguments), MAX_PROBLEMS + 1))
        except ValueError:
            # Values that are no JSON: a hook put them there, and what becomes of the call will say so.
            return []
        names = set(_names(written))
        lines = [_line(error, names) for error in found[:MAX_PROBLEMS]]
        return [*lines, "and more"] if len(found) > MAX_PROBLEMS else lines


def depth_problem(arguments: Json) -> str | None:
    """What is wrong with arguments that cannot be sent, or None."""
    if not nests_over(arguments, _MAX_LEVELS):
        return None
    return (
        f"The tool was not called, since its arguments nest over {_MAX_LEVELS} levels deep. Call it again with others."
    )


def malformed_problem(written: str) -> str:
    """What is wrong with arguments that are no JSON object."""
    try:
        found = f"found {_kind(msgspec.json.decode(written))}"
    except msgspec.DecodeError as exc:
        found = str(exc)
    except (UnicodeEncodeError, RecursionError):
        found = "they cannot be read"
    return (
        f"The tool was not called, since its arguments are not a JSON object: {found}. "
        "Call it again with one JSON object as the arguments."
    )


def _compiled(schema: Json) -> jsonschema_rs.Validator | None:
    # This engine takes linear time; patterns that it does not know make the schema one that does not compile.
    patterns = jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES)
    try:
        return jsonschema_rs.validator_for(
            schema, validate_formats=False, retriever=_refuse, pattern_options=patterns, mask="the value"
        )
    except (ValueError, jsonschema_rs.ReferencingError):
        return None


def _names_in(value: Any) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _refuse(uri: str) -> NoReturn:
    raise LookupError("other documents are never fetched")


def _line(error: jsonschema_rs.ValidationError, names: set[str]) -> str:
    kind, message = error.kind, error.message
    if isinstance(kind, _UNEXPECTED):
        message = "unexpected: " + ", ".join(_quoted(name, names) for name in islice(kind.unexpected, MAX_PROBLEMS))
    elif isinstance(kind, jsonschema_rs.ValidationErrorKind.FalseSchema):
        # It is the object that the error is about where no property at all is allowed.
        is_object = error.schema_path[-1:] == ["additionalProperties"]
        message = "no properties are allowed" if is_object else "not allowed"
    place = "".join(
        f"[{step}]" if isinstance(step, int) else f".{_quoted(step, names)}" for step in error.instance_path
    )
    line = f"{place.lstrip('.')}: {message}" if place else message
    return line if len(line) <= MAX_PROBLEM else f"{line[: MAX_PROBLEM - 1]}…"


def _quoted(name: str, names: set[str]) -> str:
    return name if name in names else "(a name)"


def _names(value: Any) -> Iterator[str]:
    """All keys within a value; level by level, so that depth costs no stack."""
    level = [value]
    while level:
        inner: list[Any] = []
        for item in level:
            if isinstance(item, dict):
                yield from item
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        level = inner


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "an array"}
    return kinds.get(type(value), "another value")
