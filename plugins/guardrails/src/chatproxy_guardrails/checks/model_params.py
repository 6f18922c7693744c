"""The check ``model_params``: which parameters a request may have, and with which values.

A rule for one of chat's names holds for the names that other surfaces have for the same thing, on every surface, for
servers read each other's fields. Names count without regard to case: there are servers that read them so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from chatproxy.types import ChatRequest
from chatproxy_guardrails.checks.base import Breach, CheckType

Scalar = bool | int | float | str
Path = tuple[str, ...]

_SAME: Sequence[tuple[str, ...]] = (
    ("max_tokens", "max_completion_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"),
    ("stop", "stop_sequences"),
    ("verbosity", "text.verbosity"),
)


class ParamRule(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """What one parameter may be; one that is absent or null always may.

    Attributes:
        min: the lowest number; with the action ``redact`` a lower one becomes it.
        max: the highest number, likewise.
        values: everything it may be, or may contain where it is a list; ``redact`` removes what it may not.
    """

    min: int | float | None = None
    max: int | float | None = None
    values: tuple[Scalar, ...] = ()


class ModelParamsOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``model_params``.

    With the action ``redact``, what is denied or not allowed is removed, and values come into their range.

    Attributes:
        params: rules by name; dots lead into objects, as in ``stream_options.include_usage``.
        allow: the parameters that a request may have, by their top-level names; empty: all. What carries texts, tools
            or the model's name is no parameter.
        deny: names of those that it may not have; dots as above.
        allow_tools: globs of the types that its tools may have, for example ``function``; empty: all.
        deny_tools: globs of those that they may not have, for example ``web_search*``.
    """

    params: dict[str, ParamRule] = msgspec.field(default_factory=dict)
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    allow_tools: tuple[str, ...] = ()
    deny_tools: tuple[str, ...] = ()


class Fault(NamedTuple):
    """What is wrong with a value, and what it may be instead; `msgspec.UNSET`: nothing."""

    kind: str
    message: str
    value: Any = msgspec.UNSET


Judge = Callable[[Any], Fault | None]


class ModelParamsCheck:
    """Reviews a request's parameters; raises ValueError for options that say nothing, or that contradict."""

    def __init__(self, options: ModelParamsOptions) -> None:
        self._options = options
        self._allow = [path for name in options.allow for path in _aliases(_top_level(name))]
        self._judges: list[tuple[list[Path], Judge]] = [
            *((_aliases(name), _denying(name)) for name in options.deny),
            *((_aliases(name), _ruling(name, rule)) for name, rule in options.params.items()),
        ]
        if options.allow_tools or options.deny_tools:
            self._judges += [([("tools",)], self._tools_fault), ([("tool_choice",)], self._choice_fault)]
        if not self._judges and not self._allow:
            raise ValueError("nothing is ruled, wanted 'params', 'allow', 'deny', 'allow_tools' or 'deny_tools'")

    def review(self, request: ChatRequest) -> Sequence[Breach]:
        """See `RequestCheck.review`. A field's last breach holds the value without any of its faults."""
        found = list(self._not_allowed(request))
        values: dict[str, Any] = {breach.param: None for breach in found}
        for paths, judge in self._judges:
            for key, path in _places(request, paths):
                fault, value = examined(values.get(key, request.get(key)), path, judge)
                if fault is not None:
                    values[key] = None if value is msgspec.UNSET else value
                    found.append(Breach(fault.kind, key, fault.message, value))
        return found

    def _not_allowed(self, request: ChatRequest) -> Iterator[Breach]:
        if not self._allow:
            return
        allowed = {path[0] for path in _own_paths(request, self._allow)} | request.layout.structural
        for key in request:
            if key not in allowed and request.get(key) is not None:
                yield Breach("param_not_allowed", key, f"{_shown(key)} is not an allowed parameter.")

    def _tools_fault(self, value: Any) -> Fault | None:
        if not isinstance(value, list):
            return Fault("param_type", "'tools' must be an array.")
        kept = [tool for tool in value if self._is_tool_allowed(tool)]
        if len(kept) == len(value):
            return None
        return Fault("tool_denied", "'tools' has a tool of a type that is not allowed.", kept or msgspec.UNSET)

    def _choice_fault(self, value: Any) -> Fault | None:
        named = value.get("type") if isinstance(value, dict) else None
        denied = isinstance(named, str) and _matches(named, self._options.deny_tools)
        return Fault("tool_denied", "'tool_choice' is of a type that is not allowed.") if denied else None

    def _is_tool_allowed(self, tool: Any) -> bool:
        """Also every tool inside it, for tools can be grouped; one without a type is the client's own."""
        if not isinstance(tool, dict):
            return False
        kind = tool.get("type")
        if kind is None:
            kind = "function" if "function" in tool else "custom"
        inner = tool.get("tools")
        return (
            isinstance(kind, str)
            and not _matches(kind, self._options.deny_tools)
            and (not self._options.allow_tools or _matches(kind, self._options.allow_tools))
            and all(self._is_tool_allowed(part) for part in (inner if isinstance(inner, list) else []))
        )


def examined(value: Any, path: Path, judge: Judge) -> tuple[Fault | None, Any]:
    """The first fault of what lies at ``path`` below a value, and the value without any of them.

    The value itself stays as it is.
    """
    if value is None:
        return None, value
    if not path:
        fault = judge(value)
        return fault, value if fault is None else fault.value
    if not isinstance(value, dict):
        return Fault("param_type", f"The parent of '{path[0]}' must be an object."), msgspec.UNSET
    first: Fault | None = None
    made = dict(value)
    for key in same_names(value, path[0]):
        fault, changed = examined(value[key], path[1:], judge)
        first = first or fault
        if changed is msgspec.UNSET:
            del made[key]
        else:
            made[key] = changed
    return first, made


def same_names(fields: Iterable[str], name: str) -> list[str]:
    """The fields that some server reads as ``name``."""
    wanted = name.casefold()
    return [field for field in fields if field.casefold() == wanted]


def _places(request: ChatRequest, paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The request's fields that paths lead through, each with the rest of its path."""
    for path in _own_paths(request, paths):
        for key in same_names(request, path[0]):
            yield key, path[1:]


def _own_paths(request: ChatRequest, paths: Sequence[Path]) -> list[Path]:
    """The paths, and those by the names of the request's surface."""
    own = ((request.layout.own_param(path[0]), path[1:]) for path in paths)
    return list(dict.fromkeys([*paths, *((name, *rest) for name, rest in own if name is not None)]))


def _aliases(name: str) -> list[Path]:
    parts = tuple(name.split("."))
    if not all(parts):
        raise ValueError(f"{name!r} is no name of a parameter")
    others = next((group for group in _SAME if name in group), ())
    return list(dict.fromkeys([parts, *(tuple(other.split(".")) for other in others)]))


def _top_level(name: str) -> str:
    if "." in name:
        raise ValueError(f"'allow' has {name!r}, wanted top-level names")
    return name


def _denying(name: str) -> Judge:
    return lambda _: Fault("param_denied", f"'{name}' is not allowed.")


def _ruling(name: str, rule: ParamRule) -> Judge:
    if rule.min is None and rule.max is None and not rule.values:
        raise ValueError(f"the rule for {name!r} says nothing, wanted 'min', 'max' or 'values'")
    if rule.min is not None and rule.max is not None and rule.min > rule.max:
        raise ValueError(f"the rule for {name!r} has a 'min' above its 'max'")

    def judge(value: Any) -> Fault | None:
        return (_value_fault(name, value, rule.values) if rule.values else None) or _range_fault(name, value, rule)

    return judge


def _value_fault(name: str, value: Any, values: Sequence[Scalar]) -> Fault | None:
    listed = value if isinstance(value, list) else [value]
    kept = [entry for entry in listed if _is_among(entry, values)]
    if len(kept) == len(listed):
        return None
    message = f"'{name}' must be one of: {', '.join(map(str, values))}."
    return Fault("param_value", message, kept if isinstance(value, list) and kept else msgspec.UNSET)


def _range_fault(name: str, value: Any, rule: ParamRule) -> Fault | None:
    if rule.min is None and rule.max is None:
        return None
    if type(value) not in {int, float}:
        return Fault("param_type", f"'{name}' must be a number.")
    if rule.min is not None and value < rule.min:
        return Fault("param_out_of_range", f"'{name}' must be at least {rule.min}.", rule.min)
    if rule.max is not None and value > rule.max:
        return Fault("param_out_of_range", f"'{name}' must be at most {rule.max}.", rule.max)
    return None


def _is_among(value: Any, values: Sequence[Scalar]) -> bool:
    """Equality as JSON has it: ``true`` is not 1."""
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in values)


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name.casefold(), glob.casefold()) for glob in globs)


def _shown(key: str) -> str:
    """A field's name as a client sent it, where it is fit to be shown."""
    return f"'{key}'" if len(key) <= 64 and key.replace(".", "_").isidentifier() else "A field"


CHECK = CheckType(
    options=ModelParamsOptions,
    make=ModelParamsCheck,
    on=("input",),
    summary="Allows, denies or limits a request's parameters and the types of its tools.",
)
