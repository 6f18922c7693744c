"""Top-level fields of a request on their way to another surface, each by a rule of its own.

Rule: null is as good as absent for a field that has a rule; one that has none is an extension and passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from chatproxy.translation import checks
from chatproxy.translation.base import Json, Losses

_LONGEST = 200
_PLACE = re.compile(r"(?:messages|input)\[(\d{1,9})\]")


class Written(NamedTuple):
    """A request for the handler, and what is needed to speak about it in the client's words.

    Attributes:
        names: the client's names for fields, or for the beginnings of their paths.
        origins: for each of the handler's messages or input items, the client's path for what it came from.
        custom: names of the tools that take free text.
        tools: the client's names of tools that the handler knows under others.
    """

    body: Json
    names: Mapping[str, str]
    origins: Sequence[str] = ()
    custom: frozenset[str] = frozenset()
    tools: Mapping[str, str] = {}

    @property
    def model(self) -> str:
        """The model that was asked for."""
        model = self.body.get("model")
        return model if isinstance(model, str) else ""

    def param(self, name: str) -> str:
        """See `Translation.param`."""
        if (place := _PLACE.match(name)) and int(place[1]) < len(self.origins):
            return self.origins[int(place[1])]
        known = name[:_LONGEST]
        while known and known not in self.names:
            known = known[: max(known.rfind("."), known.rfind("["), 0)]
        return self.names.get(known, name)


class Fields:
    """The fields of one request.

    Attributes:
        out: what the handler gets, but for extensions.
        names: the client's names for fields that the handler knows under others.
    """

    __slots__ = ("_extensions", "losses", "names", "out")

    def __init__(self, losses: Losses, names: Mapping[str, str]) -> None:
        self.losses = losses
        self.names = names
        self.out: Json = {}
        self._extensions: Json = {}

    def read(self, body: Json, rules: Mapping[str, Rule]) -> None:
        """Take every field of the client's request."""
        for key, value in body.items():
            rule = rules.get(key)
            if rule is None:
                self._extensions[key] = value
            elif value is not None:
                rule(self, key, value)

    def put(self, name: str, value: Any, key: str) -> None:
        """Give the handler ``name``, which the client called ``key``."""
        self.out[name] = value
        self.names = {**self.names, name: key}

    def written(self, **more: Any) -> Written:
        """The handler's request, where an extension gives way to a field that the client's own surface has.

        Args:
            more: attributes of `Written`.
        """
        for key in self._extensions:
            if key in self.out and self._extensions[key] is not None:
                self.losses.add(key, "dropped", "another field of the request says it")
        return Written(self._extensions | self.out, self.names, **more)


Rule = Callable[[Fields, str, Any], None]


def apart(_: Fields, key: str, value: Any) -> None:
    """For a field that is read together with others."""


def same(fields: Fields, key: str, value: Any) -> None:
    """For a field that both surfaces know in the same form."""
    fields.out[key] = value


def dropped(reason: str, *, unless_off: bool = False) -> Rule:
    """For a hint; ``unless_off`` for one that changes nothing where it is zero, false or empty."""

    def drop(fields: Fields, key: str, value: Any) -> None:
        if value or not unless_off:
            fields.losses.add(key, "dropped", reason)

    return drop


def refused(why: str) -> Rule:
    """For a field on which the answer depends."""

    def refuse(fields: Fields, key: str, value: Any) -> None:
        raise checks.unsupported_parameter(key, why)

    return refuse
