"""What a function takes, as JSON Schema and as types that arguments are converted to.

Rule: no I/O here, and no function is called. msgspec knows types, docstring-parser docstrings; here they meet.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

from chatproxy_sdk.exceptions import ConfigurationError

Function = Callable[..., Any]
_DEFS = "#/$defs/{name}"
_NESTED = ("items", "additionalProperties", "not")
_NESTED_LISTS = ("anyOf", "allOf", "oneOf", "prefixItems")
_FORMATS: dict[Any, str] = {datetime: "date-time", date: "date", time: "time"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter that can be given by name.

    Attributes:
        type: what an argument is converted to; ``Any`` where there is no hint, or one that msgspec does not know.
        hint: as the function has it; ``inspect.Parameter.empty`` where it has none.
        default: ``inspect.Parameter.empty`` where the argument is required.
    """

    name: str
    type: Any
    hint: Any
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether a call without it fails."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a callable takes by name.

    Attributes:
        takes_any: whether it has ``**kwargs``.
        by_position: names that cannot be given by name, and ``*args``.
    """

    name: str
    parameters: Mapping[str, Parameter]
    takes_any: bool
    by_position: tuple[inspect.Parameter, ...] = field(default=())


def plain_function(fn: Function) -> Function:
    """What is behind partials."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return fn


def function_name(fn: Function) -> str:
    """A callable's name; a callable object's is that of its class."""
    found = getattr(plain_function(fn), "__name__", None)
    return found if isinstance(found, str) else type(plain_function(fn)).__name__


def signature_of(fn: Function) -> Signature:
    """Read what a function, method, partial, class or callable object takes.

    What a partial gives by name is not a parameter any more: it may be a secret, and is nothing for a model to change.

    Raises:
        ConfigurationError: it has no signature that can be read.
    """
    name = function_name(fn)
    try:
        found = inspect.signature(fn)
    except (NameError, TypeError, ValueError) as exc:
        raise ConfigurationError(f"{name!r} has no signature that can be read: {exc}", {"handler": name}) from exc
    bound, namespace = _given_by_name(fn), _namespace(fn)
    kinds = inspect.Parameter
    by_position = [
        one for one in found.parameters.values() if one.kind in {kinds.POSITIONAL_ONLY, kinds.VAR_POSITIONAL}
    ]
    named = [one for one in found.parameters.values() if one.kind in {kinds.POSITIONAL_OR_KEYWORD, kinds.KEYWORD_ONLY}]
    return Signature(
        name=name,
        parameters={one.name: _parameter(one, namespace) for one in named if one.name not in bound},
        takes_any=any(one.kind is kinds.VAR_KEYWORD for one in found.parameters.values()),
        by_position=tuple(by_position),
    )


def _given_by_name(fn: Function) -> set[str]:
    names: set[str] = set()
    while isinstance(fn, functools.partial):
        names |= fn.keywords.keys()
        fn = fn.func
    return names


def _namespace(fn: Function) -> dict[str, Any]:
    """The module's names that a callable's hints are looked up in."""
    plain = inspect.unwrap(plain_function(fn))
    if inspect.isclass(plain):
        return vars(sys.modules[plain.__module__]) if plain.__module__ in sys.modules else {}
    plain = plain if inspect.isroutine(plain) else type(plain).__call__
    names = getattr(inspect.unwrap(getattr(plain, "__func__", plain)), "__globals__", {})
    return names if isinstance(names, dict) else {}


def _parameter(found: inspect.Parameter, namespace: dict[str, Any]) -> Parameter:
    hint = _resolved(found.annotation, namespace)
    known = Any if hint is inspect.Parameter.empty or _problem_of(hint) else hint
    if found.default is None and known is not Any:
        known = Union[known, None]  # noqa: UP007 - made at run time
    return Parameter(name=found.name, type=known, hint=hint, default=found.default)


def _resolved(hint: Any, namespace: dict[str, Any]) -> Any:
    """A hint without texts in it; as it is where a name cannot be found, such as one imported for type checkers."""

    def holder() -> None:
        """Bears the hint."""

    holder.__annotations__ = {"hint": hint}
    try:
        return get_type_hints(holder, globalns=namespace, include_extras=True)["hint"]
    except (AttributeError, NameError, SyntaxError, TypeError):
        return hint


def _problem_of(hint: Any) -> str | None:
    """Why msgspec cannot write a type's schema; None where it can."""
    if isinstance(hint, str):
        return f"{hint!r} cannot be resolved; a type must be visible in its function's module"
    try:
        msgspec.json.schema(hint)
    except (AttributeError, NameError, TypeError, ValueError) as exc:
        return str(exc).splitlines()[-1]
    return None


def function_schema(fn: Function) -> dict[str, Any]:
    """The JSON Schema of a function's parameters: an object, with each parameter's text from the docstring.

    Types: those that msgspec knows, such as ``str``, ``int``, ``float``, ``bool``, ``None``, ``Literal``, enums,
    ``list``, ``dict``, ``datetime``, dataclasses, ``TypedDict``, Structs, unions, and ``Annotated`` with ``Meta``.
    Definitions that are not recursive are written where they are used, since not every server follows ``$ref``.

    Raises:
        ConfigurationError: a parameter has no hint, one that has no schema, or cannot be given by name.
    """
    signature = signature_of(fn)
    for one in signature.by_position:
        stars = "*" if one.kind is inspect.Parameter.VAR_POSITIONAL else ""
        raise _unusable(signature, f"{stars}{one.name}", "cannot be given by name")
    for parameter in signature.parameters.values():
        if parameter.hint is inspect.Parameter.empty:
            raise _unusable(signature, parameter.name, "has no type hint")
        if problem := _problem_of(parameter.hint):
            raise _unusable(signature, parameter.name, f"has a type hint without a JSON Schema: {problem}")
    return _object_schema(signature, parameter_texts(fn))


def _unusable(signature: Signature, parameter: str, problem: str) -> ConfigurationError:
    message = f"tool {signature.name!r}: parameter {parameter!r} {problem}"
    return ConfigurationError(message, {"tool": signature.name, "parameter": parameter})


def _object_schema(signature: Signature, texts: Mapping[str, str]) -> dict[str, Any]:
    parameters = list(signature.parameters.values())
    hints = [_with_format(parameter.type) for parameter in parameters]
    found, definitions = msgspec.json.schema_components(hints, ref_template=_DEFS)
    inlined = _Inliner(definitions)
    properties: dict[str, Any] = {}
    for parameter, schema in zip(parameters, found, strict=True):
        properties[parameter.name] = _described(inlined.of(schema), parameter, texts.get(parameter.name))
    schema = {"type": "object", "properties": properties}
    if required := [parameter.name for parameter in parameters if parameter.is_required]:
        schema["required"] = required
    if not signature.takes_any:
        schema["additionalProperties"] = False
    if inlined.kept:
        schema["$defs"] = inlined.kept
    return schema


def _described(schema: dict[str, Any], parameter: Parameter, text: str | None) -> dict[str, Any]:
    if text and "$ref" not in schema:
        schema.setdefault("description", text)
    if not parameter.is_required and parameter.default is not None and "$ref" not in schema:
        try:
            schema["default"] = msgspec.to_builtins(parameter.default)
        except (TypeError, ValueError):
            schema.pop("default", None)
    return schema


def _with_format(hint: Any) -> Any:
    """The hint of a moment with the format that msgspec writes only for times with a zone."""
    if hint in _FORMATS:
        return Annotated[hint, msgspec.Meta(extra_json_schema={"format": _FORMATS[hint]})]
    if get_origin(hint) in {Union, types.UnionType}:
        return Union[tuple(_with_format(one) for one in get_args(hint))]  # noqa: UP007 - made at run time
    return hint


class _Inliner:
    """Puts definitions where they are used, but for recursive ones, and leaves out titles.

    Attributes:
        kept: the recursive definitions.
    """

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.kept: dict[str, Any] = {}
        self._definitions = definitions

    def of(self, schema: Mapping[str, Any], within: tuple[str, ...] = ()) -> dict[str, Any]:
        """A copy of a schema. ``within`` names the definitions that it stands in."""
        found = {name: value for name, value in schema.items() if name != "title"}
        if isinstance(reference := found.pop("$ref", None), str):
            return {**self._definition(reference.rpartition("/")[2], within), **found}
        if "type" not in found and (kind := _kind_of(found.get("enum"))):
            found = {"type": kind, **found}
        if isinstance(text := found.get("description"), str):
            found["description"] = inspect.cleandoc(text)
        if isinstance(properties := found.get("properties"), dict):
            found["properties"] = {name: self.of(one, within) for name, one in properties.items()}
        for name in _NESTED_LISTS:
            if name in found:
                found[name] = [self.of(one, within) for one in found[name]]
        for name in _NESTED:
            if isinstance(one := found.get(name), dict):
                found[name] = self.of(one, within)
        return found

    def _definition(self, name: str, within: tuple[str, ...]) -> dict[str, Any]:
        if self._is_recursive(name):
            if name not in self.kept:
                self.kept[name] = {}  # a place, so that it is found when it is met inside itself
                self.kept[name] = self.of(self._definitions[name], (*within, name))
            return {"$ref": _DEFS.format(name=name)}
        return self.of(self._definitions[name], (*within, name))

    def _is_recursive(self, name: str) -> bool:
        seen: set[str] = set()
        ahead = _references(self._definitions[name])
        while ahead:
            one = ahead.pop()
            if one == name:
                return True
            if one not in seen:
                seen.add(one)
                ahead |= _references(self._definitions[one])
        return False


def _kind_of(choices: Any) -> str | None:
    """The type of an enum, which some servers want to see beside it; None for a mixed one."""
    kinds = {type(one) for one in choices or ()}
    return "string" if kinds == {str} else "integer" if kinds == {int} else None


def _references(schema: Any) -> set[str]:
    """Names of the definitions that a schema uses."""
    if isinstance(schema, Mapping):
        found = {schema["$ref"].rpartition("/")[2]} if isinstance(schema.get("$ref"), str) else set()
        return found.union(*(_references(value) for value in schema.values()))
    if isinstance(schema, (list, tuple)):
        return set().union(*(_references(value) for value in schema))
    return set()


def function_text(fn: Function) -> str:
    """A docstring without its sections: what the function does, in the author's words; empty without a docstring."""
    text = _docstring(fn)
    if not text:
        return ""
    return (_parsed(text).description or "").strip()


def parameter_texts(fn: Function) -> dict[str, str]:
    """What a docstring says of each parameter, whether in Google's, NumPy's, Sphinx' or Epydoc's style."""
    text = _docstring(fn)
    if not text:
        return {}
    return {one.arg_name: one.description.strip() for one in _parsed(text).params if one.description}


def _docstring(fn: Function) -> str:
    plain = plain_function(fn)
    if inspect.isroutine(plain):
        return inspect.getdoc(plain) or ""
    if not inspect.isclass(plain):
        return inspect.getdoc(type(plain).__call__) or ""
    text = inspect.cleandoc(vars(plain).get("__doc__") or "")  # its own: a Struct's base tells of Structs
    return "" if text.startswith(f"{function_name(fn)}(") else text  # a dataclass writes its signature there


def _parsed(text: str) -> Any:
    # Imported here, so that who makes no tool from a function does not wait for it.
    import docstring_parser  # noqa: PLC0415

    try:
        return docstring_parser.parse(text)
    except docstring_parser.ParseError:
        plain = docstring_parser.Docstring()
        plain.short_description = text
        return plain
