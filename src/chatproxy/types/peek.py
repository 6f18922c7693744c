"""Peek: the few fields of a reply that every exchange asks for, without decoding the rest.

Rule: a reply of any shape passes as long as it is a JSON object; one of unusual shape is decoded in full.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.types.body import check_json

T = TypeVar("T", bound=msgspec.Struct)


def peek(decode: Callable[[bytes], T], data: bytes) -> T | dict[str, Any]:
    """What a typed decoder finds in a reply, or all of the reply where a field has another type.

    Raises:
        InvalidRequest: not a JSON object (400, code ``invalid_json``).
    """
    try:
        return decode(data)
    except msgspec.ValidationError:
        check_json(data)
        body: dict[str, Any] = msgspec.json.decode(data)
        return body
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidRequest(f"The body is not valid JSON: {exc}", code="invalid_json") from exc
