"""Wire: the protobuf encoding of attributes, and what it is made of.

Rule: no I/O, and only what OTLP's messages need; a value that does not fit raises, and OpenTelemetry's own encoder,
which knows what to do with it, takes over (`spans`).
Source: Protocol Buffers, "Encoding"; OTLP ``common.proto``.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

MAX_INT = 1 << 63
fixed32 = struct.Struct("<I").pack
fixed64 = struct.Struct("<Q").pack
_double = struct.Struct("<d").pack
_SMALL = [bytes([number]) for number in range(128)]


def varint(number: int) -> bytes:
    """A number of up to 64 bits; negative ones as two's complement."""
    if 0 <= number < 128:
        return _SMALL[number]
    if not -MAX_INT <= number < MAX_INT:
        raise ValueError("more than 64 bits")
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(tag: bytes, content: bytes) -> bytes:
    """A field that has a length: a text, bytes or a message.

    Args:
        tag: the field's number and the wire type 2.
    """
    size = len(content)
    return tag + (_SMALL[size] if size < 128 else varint(size)) + content


def optional(tag: bytes, text: str | None) -> bytes:
    """A text, left out where it is empty."""
    return field(tag, text.encode()) if text else b""


def count(tag: bytes, number: int) -> bytes:
    """A number, left out where it is 0."""
    return tag + varint(number) if number else b""


class Attributes:
    """Encodes attributes; remembers their names, of which there are few."""

    MAX_NAMES = 1024

    def __init__(self) -> None:
        self._names: dict[str, bytes] = {}

    def encode(self, tag: bytes, attributes: Mapping[str, Any] | None) -> bytes:
        """``repeated KeyValue``.

        Raises:
            ValueError: a number that is too large, or a text that is no Unicode.
            TypeError: a value of a rare type.
        """
        if not attributes:
            return b""
        names, out = self._names, []
        for name, value in attributes.items():
            key = names.get(name) or self._remember(name)
            out.append(field(tag, key + field(b"\x12", any_value(value))))
        return b"".join(out)

    def _remember(self, name: str) -> bytes:
        key = field(b"\x0a", name.encode())
        if len(self._names) < self.MAX_NAMES:
            self._names[name] = key
        return key


def any_value(value: Any) -> bytes:
    """``AnyValue``; see `Attributes.encode` for errors."""
    if isinstance(value, str):
        return field(b"\x0a", value.encode())
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value)
    if isinstance(value, float):
        return b"\x21" + _double(value)
    if isinstance(value, tuple | list):
        return field(b"\x2a", b"".join(field(b"\x0a", any_value(item)) for item in value))
    raise TypeError(f"{type(value).__name__} is left to OpenTelemetry's encoder")
