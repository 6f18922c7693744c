"""Section: a typed, immutable group of settings that reports every fault of its values, not only the first.

Rule: a section is made of its fields' annotations. Each value is converted on its own (by msgspec), so that one
wrong value never hides another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform, get_type_hints

import msgspec

from chatproxy.config.describe import found, found_inside, key_path, suggestion, wanted
from chatproxy.config.references import Expanded, Unresolved, plain
from chatproxy.errors import ConfigError

MISSING: Any = dataclasses.MISSING
Check = Callable[[Any], str | None]
Convert = Callable[[object, str, list[str]], Any]


class Rule(NamedTuple):
    """What a field says beside its type.

    Attributes:
        is_secret: never shown, neither in `repr` nor in a fault.
        check: gives the fault of a converted value (``found …, wanted …``), or None.
        convert: replaces the conversion by type: ``(value, path, faults)``.
        is_setting: whether the configuration file may set it.
    """

    is_secret: bool = False
    check: Check | None = None
    convert: Convert | None = None
    is_setting: bool = True


def setting(
    *,
    default: Any = MISSING,
    default_factory: Any = MISSING,
    is_secret: bool = False,
    check: Check | None = None,
    convert: Convert | None = None,
    is_setting: bool = True,
    compare: bool = True,
) -> Any:
    """A field of a section, with a `Rule`."""
    rule = Rule(is_secret, check, convert, is_setting)
    options = {"default": default, "default_factory": default_factory}
    given = {name: value for name, value in options.items() if value is not MISSING}
    return dataclasses.field(compare=compare, metadata={"rule": rule}, **given)


class Field(NamedTuple):
    """One key of a section, as the documentation and the conversion see it."""

    name: str
    kind: Any
    rule: Rule
    default: Any
    default_factory: Any

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is MISSING and self.default_factory is MISSING

    def make_default(self) -> Any:
        """The value of a key that nobody gave."""
        return self.default if self.default_factory is MISSING else self.default_factory()


class Given(NamedTuple):
    """A value, and where it came from as a fault names it (a key's path or an environment variable)."""

    value: object
    path: str


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(setting,))
class Section:
    """Base of every group of settings. Keyword-only, immutable after construction.

    Raises:
        ConfigError: with one line for each fault.
    """

    fields_: ClassVar[Mapping[str, Field]]

    def __init_subclass__(cls) -> None:
        dataclasses.dataclass(frozen=True, kw_only=True, init=False, repr=False)(cls)
        hints = get_type_hints(cls, include_extras=True)
        cls.fields_ = MappingProxyType({f.name: _field(f, hints[f.name]) for f in _declared(cls)})

    def __init__(self, **values: Any) -> None:
        faults: list[str] = []
        self.assemble(values, faults)
        if faults:
            raise ConfigError(*faults)

    def assemble(self, values: Mapping[str, Any], faults: list[str]) -> None:
        """Set every field out of a constructor's arguments; add what is wrong to ``faults``."""
        name = type(self).__name__
        self.fill({key: Given(value, f"{name}.{key}") for key, value in values.items()}, name, faults)

    @classmethod
    def parse(cls, value: object, path: str, faults: list[str]) -> Self | None:
        """A section from a table of the file, or one made in code; None after a fault was added to ``faults``."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            faults.append(f"{path}: found {found(value)}, wanted a table")
            return None
        before = len(faults)
        section = cls.__new__(cls)
        section.fill({str(key): Given(item, _join(path, str(key))) for key, item in value.items()}, path, faults)
        return section if len(faults) == before else None

    def fill(self, given: Mapping[str, Given], path: str, faults: list[str]) -> None:
        """Set every field from what was given or its default; add what is wrong to ``faults``."""
        before = len(faults)
        for name in given.keys() - self.fields_.keys():
            known = [key for key, item in self.fields_.items() if item.rule.is_setting]
            faults.append(f"{given[name].path}: unknown key; {suggestion(name, known, 'valid key')}")
        for name, item in self.fields_.items():
            if name not in given and item.is_required:
                faults.append(f"{_join(path, name)}: missing, wanted {wanted(item.kind)}")
                continue
            source = given.get(name)
            value = item.make_default() if source is None else _converted(item, source, faults)
            self.set_fields(**{name: value})
        if len(faults) == before:
            faults.extend(self.conflicts(path))

    def conflicts(self, path: str) -> list[str]:
        """Faults that only show when keys are seen together; called when each alone is right."""
        del path
        return []

    def settings(self) -> dict[str, Any]:
        """Every value that a configuration can give, by its key."""
        return {name: getattr(self, name) for name, item in self.fields_.items() if item.rule.is_setting}

    def set_fields(self, **values: Any) -> None:
        """Set fields while the section is made; never called on one that somebody holds."""
        for name, value in values.items():
            object.__setattr__(self, name, MappingProxyType(value) if isinstance(value, dict) else value)

    def __getstate__(self) -> dict[str, Any]:
        state = vars(self).items()
        return {name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.set_fields(**state)

    def __repr__(self) -> str:
        shown = (f"{name}={self._shown(item)}" for name, item in self.fields_.items() if self._is_changed(item))
        return f"{type(self).__name__}({', '.join(shown)})"

    def _is_changed(self, item: Field) -> bool:
        return item.is_required or bool(getattr(self, item.name) != item.make_default())

    def _shown(self, item: Field) -> str:
        value = getattr(self, item.name)
        if item.rule.is_secret:
            return "'***'"
        return repr(dict(value) if isinstance(value, MappingProxyType) else value)


def _declared(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)


def _field(declared: dataclasses.Field[Any], kind: Any) -> Field:
    rule = declared.metadata.get("rule", Rule())
    return Field(declared.name, kind, rule, declared.default, declared.default_factory)


def _join(path: str, name: str) -> str:
    return f"{path}.{key_path(name)}" if path else key_path(name)


def _converted(item: Field, given: Given, faults: list[str]) -> Any:
    rule, is_text = item.rule, isinstance(given.value, Expanded)
    if isinstance(given.value, Unresolved):
        return None
    if rule.convert is not None:
        return rule.convert(given.value, given.path, faults)
    raw = plain(given.value)
    try:
        value = msgspec.convert(raw, item.kind, strict=not is_text)
    except msgspec.ValidationError as exc:
        what = found_inside(raw, _place(exc), secret=rule.is_secret)
        faults.append(f"{given.path}: found {what}, wanted {wanted(item.kind)}")
        return None
    fault = rule.check(value) if rule.check is not None and value is not None else None
    if fault is not None:
        faults.append(f"{given.path}: {fault}")
    return value


def _place(error: msgspec.ValidationError) -> str:
    """Where in the value it was, as msgspec ends its message: ``[2]``; empty for the value itself."""
    return str(error).partition(" - at `$")[2].rstrip("`")
