"""The lossless lens over a JSON object.

Rule: what was read is what is sent; a field nobody read leaves byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

import msgspec

from chatproxy.errors import InvalidRequest

MAX_DEPTH = 500

_Raw = msgspec.Raw
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_SCALARS = frozenset({str, int, float, bool, type(None)})
_UNCHANGEABLE = _SCALARS | {_Raw}
_ESCAPED_NAME = re.compile(rb"\\u00(?:3[0-9]|[46][1-9a-fA-F]|5[0-9aAfF]|7[0-9aA])")  # a letter, digit or underscore
State = tuple[dict[str, Any], bytes | None]


class JsonBody(MutableMapping[str, Any]):
    """A JSON object, decoded field by field when a field is read.

    A scalar that was read keeps its own bytes (``1e-400`` stays ``1e-400``); an object or array that was read
    is encoded anew, so that duplicate keys inside it cannot mean one thing to the reader and another to the receiver.
    A copy (`copy`, or Python's ``copy`` module) shares nothing that can be changed.
    """

    __slots__ = ("_fields", "_source")

    def __init__(self, value: Mapping[str, Any] | None = None) -> None:
        self._fields: dict[str, Any] = {}
        self._source: bytes | None = None  # what to send while nobody has read or changed a field
        if isinstance(value, JsonBody):
            self.__setstate__(value.__getstate__())
        elif value is not None:
            self._fields.update(value)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a JSON object.

        Args:
            data: UTF-8 JSON text of any size; the caller has limited it.

        Raises:
            InvalidRequest: not JSON, not an object, nested over 500 deep, or a number out of range (400).
        """
        body = cls.__new__(cls)  # `__init__` would make what `restore` makes again; this runs for every request
        body.restore(data)
        return body

    def restore(self, data: bytes) -> None:
        """Go to the state that ``data`` (an earlier ``encode()``) holds; raises as `decode` does."""
        self._fields = check_json(data)
        self._source = data

    def encode(self) -> bytes:
        """The object as UTF-8 JSON; the very bytes it was read from when nobody looked.

        Raises:
            TypeError: a field was set to what JSON cannot hold.
            ValueError: a text was set to what UTF-8 cannot hold, a lone surrogate.
        """
        return _encode(self._fields) if self._source is None else self._source

    def encode_with(self, changes: Mapping[str, Any]) -> bytes:
        """As `encode`, with some fields set to other values; the body itself stays as it is."""
        return _encode({**self._fields, **changes})

    def __getitem__(self, key: str) -> Any:
        value = self._fields[key]
        return self._read(key, value) if type(value) is _Raw else value

    def get(self, key: str, default: Any = None) -> Any:
        """The field's value, or ``default`` where there is no such field."""
        value = self._fields.get(key, default)
        return self._read(key, value) if type(value) is _Raw else value

    def _read(self, key: str, raw: msgspec.Raw) -> Any:
        self._source = None
        value = _value(raw)
        if type(value) not in _SCALARS:
            self._fields[key] = value
        return value

    def peek(self, key: str) -> Any:
        """Read a field without making it part of what was read: for the core's own look at scalars.

        Source: the law of this module; a peeked value must never decide what a guard checks.
        """
        value = self._fields.get(key)
        return _value(value) if type(value) is _Raw else value

    def mentions(self, key: str, name: bytes) -> bool:
        """Whether a field can hold a name somewhere in it; nothing is decoded, and nothing counts as read.

        False is certain. True also where the field is decoded already, where a text has the name in it, and where
        letters are written as escapes.

        Args:
            name: ASCII letters, digits and underscores.
        """
        value = self._fields.get(key)
        if type(value) is not _Raw:
            return value is not None
        data = bytes(value)
        return name in data or (b"\\u00" in data and _ESCAPED_NAME.search(data) is not None)

    def __setitem__(self, key: str, value: Any) -> None:
        self._fields[key] = value  # first: a reply is taken apart only now, from its source
        self._source = None

    def __delitem__(self, key: str) -> None:
        del self._fields[key]
        self._source = None

    def __contains__(self, key: object) -> bool:
        return key in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(fields={sorted(map(str, self._fields))})"

    def to_dict(self) -> dict[str, Any]:
        """Every field decoded, as a plain dict of its own. All of them count as read."""
        for key in list(self._fields):
            self[key]
        decoded: dict[str, Any] = _value(_encode(self._fields))
        return decoded

    def plain(self) -> dict[str, Any]:
        """What `encode` sends, decoded as a plain dict. Nothing counts as read."""
        decoded: dict[str, Any] = _value(self.encode())
        return decoded

    def copy(self) -> Self:
        """Another body with the same content; changing one, however deep, does not change the other."""
        return type(self)(self)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __getstate__(self) -> State:
        fields = self._fields.items()
        return {k: v if type(v) in _UNCHANGEABLE else _value(_encode(v)) for k, v in fields}, self._source

    def __setstate__(self, state: State) -> None:
        self._fields, self._source = state


def check_json(data: bytes) -> dict[str, Any]:
    """Split a JSON object into undecoded fields after checking all of it.

    Raises:
        InvalidRequest: see `JsonBody.decode`.
    """
    too_deep = f"The JSON body is nested over {MAX_DEPTH} levels deep."
    try:
        value = _value(data)  # numbers out of range and broken UTF-8 show only in a full decode
        if type(value) is not dict:
            found = type(value).__name__
            raise InvalidRequest(f"The body must be a JSON object, found {found}.", code="invalid_json")
        # so many levels take two brackets each: a short body need not be looked through
        if len(data) > 2 * MAX_DEPTH and data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_too_deep(value):
            raise InvalidRequest(too_deep, code="invalid_json")
        return _fields(data)
    except RecursionError as exc:
        raise InvalidRequest(too_deep, code="invalid_json") from exc
    except (msgspec.MsgspecError, ValueError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}", code="invalid_json") from exc


def _is_too_deep(value: Any) -> bool:
    """Whether arrays and objects nest over `MAX_DEPTH`; level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
