"""State: typed attributes that a session keeps from turn to turn.

Rule: nothing is awaited here; where states are kept is `turns`' affair. A new version of a class reads what an older
one stored: attributes it no longer has are ignored, those of a type it no longer takes go back to their defaults and
are logged.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec
from msgspec.structs import fields

if sys.version_info >= (3, 14):
    import annotationlib

logger = logging.getLogger("chatproxy.kit")

_UNCHANGEABLE = (str, bytes, int, float, bool, type(None), tuple, frozenset)


def _annotated(namespace: dict[str, Any]) -> Iterable[str]:
    """The names that a class body annotates; from Python 3.14 on they are known by a function (PEP 749)."""
    if sys.version_info >= (3, 14):
        annotate = annotationlib.get_annotate_from_class_namespace(namespace)
        if annotate is not None:
            return annotationlib.call_annotate_function(annotate, annotationlib.Format.FORWARDREF)
    found: dict[str, Any] = namespace.get("__annotations__", {})
    return found


class _StateMeta(msgspec.StructMeta):
    """Gives every state a copy of its own of defaults that can be changed."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        for key in _annotated(namespace):
            default = namespace.get(key)
            if not isinstance(default, _UNCHANGEABLE) and not _is_field(default):
                namespace[key] = msgspec.field(default_factory=partial(copy.deepcopy, default))
        return super().__new__(mcls, name, bases, namespace, **options)


class State(msgspec.Struct, metaclass=_StateMeta, kw_only=True):
    """Base of a handler's state: attributes with types that JSON can hold, each with a default.

    Example:
        class Visits(State):
            count: int = 0
            names: list[str] = []
    """


class StateError(Exception):
    """A state cannot be stored; the message names the class and the attribute."""


class Schema:
    """Reads and writes the states of one class.

    Args:
        kind: a subclass of `State`.
        max_bytes: of a stored state.

    Raises:
        TypeError: it is none, has an attribute without a default, or one of a type that cannot be stored.
    """

    def __init__(self, kind: Any, *, max_bytes: int) -> None:
        if not (isinstance(kind, type) and issubclass(kind, State)):
            raise TypeError(f"state_class must be a subclass of State, found {kind!r}")
        self.kind: type[State] = kind
        self._max_bytes = max_bytes
        try:
            self._decode = msgspec.json.Decoder(kind).decode
            self._fields = fields(kind)
            msgspec.json.schema(kind)  # raises for types that can be named and not be written
        except (TypeError, NameError) as exc:
            raise TypeError(f"{kind.__qualname__} has an attribute that cannot be stored: {exc}") from exc
        for field in self._fields:
            if field.required:
                raise TypeError(f"{kind.__qualname__}.{field.name} needs a default: a session begins with it")
        self.dump(kind())

    def new(self) -> State:
        """A state with its defaults."""
        return self.kind()

    def load(self, data: bytes) -> State:
        """A stored state, as far as this version of the class can take it."""
        try:
            return self._decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return self._load_apart(data)

    def dump(self, state: State) -> bytes:
        """A state as it is stored; what `load` gives back is the same.

        Raises:
            StateError: an attribute holds what its type does not allow, or too much.
        """
        name = self.kind.__qualname__
        try:
            data = msgspec.json.encode(state)
            self._decode(data)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as exc:
            raise StateError(f"{name} cannot be stored: {exc}") from exc
        if len(data) > self._max_bytes:
            raise StateError(f"{name} cannot be stored: {len(data)} bytes, at most {self._max_bytes} are kept")
        return data

    def _load_apart(self, data: bytes) -> State:
        """Attribute by attribute; those that do not fit get their defaults."""
        state = self.new()
        try:
            stored = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            logger.warning("a stored %s cannot be read; the session begins anew", self.kind.__qualname__)
            return state
        for field in self._fields:
            if field.encode_name not in stored:
                continue
            try:
                setattr(state, field.name, msgspec.json.decode(stored[field.encode_name], type=field.type))
            except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
                logger.warning("%s.%s: what is stored does not fit (%s); it gets its default",
                               self.kind.__qualname__, field.name, exc)  # fmt: skip
        return state


def _is_field(value: object) -> bool:
    """Whether it is what `msgspec.field` made."""
    return type(value) is type(msgspec.field(default=None))
