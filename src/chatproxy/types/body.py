"""The lossless lens over a JSON object.

Rule: what was read is what is sent; a field nobody read leaves byte for byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, Self

import msgspec

from chatproxy.errors import InvalidRequest

MAX_DEPTH = 500

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_value = msgspec.json.Decoder()
_encode = msgspec.json.Encoder().encode
_SCALARS = (str, int, float, bool, type(None))


class JsonBody(MutableMapping[str, Any]):
    """A JSON object, decoded field by field when a field is read.

    A scalar that was read keeps its own bytes (``1e-400`` stays ``1e-400``); an object or array that was read
    is encoded anew, so that duplicate keys inside it cannot mean one thing to the reader and another to the receiver.
    """

    __slots__ = ("_fields", "_read", "_source")

    def __init__(self, value: Mapping[str, Any] | None = None) -> None:
        self._fields: dict[str, Any] = dict(value or {})
        self._read: set[str] | None = None  # None: every field is a plain value
        self._source: bytes | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a JSON object.

        Args:
            data: UTF-8 JSON text of any size; the caller has limited it.

        Raises:
            InvalidRequest: not JSON, not an object, nested over 500 deep, or a number out of range (400).
        """
        body = cls()
        body._fields = check_json(data)
        body._read = set()
        body._source = data
        return body

    def encode(self) -> bytes:
        """The object as UTF-8 JSON; the very bytes it was read from when nobody looked.

        Raises:
            TypeError: a field was set to what JSON cannot hold.
        """
        if self._source is not None and not self._read:
            return self._source
        return _encode(self._fields)

    def __getitem__(self, key: str) -> Any:
        value = self._fields[key]
        if type(value) is not msgspec.Raw:
            return value
        value = _value.decode(value)
        if self._read is not None:
            self._read.add(key)
        if not isinstance(value, _SCALARS):
            self._fields[key] = value
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The field's value, or ``default`` where there is no such field."""
        return self[key] if key in self._fields else default

    def peek(self, key: str) -> Any:
        """Read a field without making it part of what was read: for the core's own look at scalars.

        Source: the law of this module; a peeked value must never decide what a guard checks.
        """
        value = self._fields.get(key)
        return _value.decode(value) if type(value) is msgspec.Raw else value

    def __setitem__(self, key: str, value: Any) -> None:
        self._source = None
        self._fields[key] = value

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
        return f"{type(self).__name__}(fields={sorted(self._fields)})"

    def to_dict(self) -> dict[str, Any]:
        """Every field decoded, as a plain dict of its own."""
        decoded: dict[str, Any] = _value.decode(_encode(self._fields))
        return decoded

    def restore(self, data: bytes) -> None:
        """Go back to the state that ``data`` (an earlier ``encode()``) holds."""
        self._fields = check_json(data)
        self._read = set()
        self._source = data


def check_json(data: bytes) -> dict[str, Any]:
    """Split a JSON object into undecoded fields after checking all of it.

    Raises:
        InvalidRequest: see `JsonBody.decode`.
    """
    too_deep = f"The JSON body is nested over {MAX_DEPTH} levels deep."
    try:
        value = _value.decode(data)  # numbers out of range and broken UTF-8 show only in a full decode
        if type(value) is not dict:
            found = type(value).__name__
            raise InvalidRequest(f"The body must be a JSON object, found {found}.", code="invalid_json")
        if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
            raise InvalidRequest(too_deep, code="invalid_json")
        return _fields.decode(data)
    except RecursionError as exc:
        raise InvalidRequest(too_deep, code="invalid_json") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}", code="invalid_json") from exc


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether arrays and objects nest deeper than ``limit``; level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True
