"""The base of what the clients take and return: objects with attributes that lose nothing a server sent.

Rule: no I/O here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Self

import msgspec


@dataclasses.dataclass
class Record:
    """Fields by attribute, with room for those this version does not know.

    A field that a server sent and the class does not name is an attribute as well, and stands in ``to_dict()``.
    """

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The record that a JSON object stands for.

        Raises:
            ValueError: a field is missing or is of the wrong type; the message names its path.
        """
        try:
            record = msgspec.convert(data, cls)
        except msgspec.ValidationError as exc:
            raise ValueError(f"{cls.__name__}: {exc}") from exc
        _keep_unknown(record, data)
        return record

    def to_dict(self) -> dict[str, Any]:
        """A JSON object; fields that are None are in it only if the server sent them so."""
        sent = self.__dict__.get("_sent", ())
        known = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        found = {name: _plain(value) for name, value in known.items() if value is not None or name in sent}
        return {**found, **self.unknown_fields}

    @property
    def unknown_fields(self) -> dict[str, Any]:
        """What the server sent and this class does not name."""
        unknown: dict[str, Any] = self.__dict__.setdefault("_unknown", {})
        return unknown

    def __getattr__(self, name: str) -> Any:
        unknown = self.__dict__.get("_unknown", {})
        if name in unknown:
            return unknown[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _keep_unknown(value: Any, data: Any) -> None:
    """Walk a record beside what it was made of, and leave in each what its class does not name."""
    if isinstance(value, Record) and isinstance(data, Mapping):
        names = {field.name for field in dataclasses.fields(value)}
        value.__dict__["_sent"] = names & data.keys()
        value.__dict__["_unknown"] = {name: found for name, found in data.items() if name not in names}
        for name in names & data.keys():
            _keep_unknown(getattr(value, name), data[name])
    elif isinstance(value, list) and isinstance(data, list):
        for one, source in zip(value, data, strict=False):
            _keep_unknown(one, source)


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.value if isinstance(value, Enum) else value
