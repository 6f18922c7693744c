"""Ledger: which plugin changed which fields of a body, for exchanges whose record is to be detailed.

Rule: names of fields only. A body is compared as it would be sent, so that a field that was merely read is no change.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec

from chatproxy.plugins.impl import Impl
from chatproxy.types.body import JsonBody
from chatproxy.types.exchange import Exchange, Mutation

MAX_BYTES = 256 * 1024
MAX_NAMES = 64
MAX_NAME = 1_024

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


class Ledger:
    """The body of one exchange on its way through the plugins."""

    __slots__ = ("_before", "_exchange")

    def __init__(self, exchange: Exchange, before: bytes) -> None:
        self._exchange = exchange
        self._before = before

    @classmethod
    def of(cls, exchange: Exchange, body: JsonBody) -> Ledger | None:
        """A ledger that starts with the body as it is; None where nobody wants one, or the body is large."""
        if not exchange.keeps_mutations:
            return None
        try:
            before = body.encode()
        except (TypeError, ValueError, RecursionError):
            return None  # a reply that is no JSON; who encodes it to send it says so
        return cls(exchange, before) if len(before) <= MAX_BYTES else None

    def note(self, impl: Impl, body: JsonBody) -> None:
        """Put on record what a call changed; a body that cannot be encoded is somebody else's to report."""
        try:
            after = body.encode()
        except (TypeError, ValueError, RecursionError):
            return
        before, self._before = self._before, after
        if after == before:
            return
        added, changed, removed = differences(_fields(before), _fields(after))
        if added or changed or removed:
            at_s = time.perf_counter() - self._exchange.clock_s
            names = (_bounded(found) for found in (added, changed, removed))
            self._exchange.mutations.append(Mutation(impl.plugin, impl.hook, at_s, *names))


def differences(before: dict[str, Any], after: dict[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Names of fields that are new, that mean something else, and that are gone; undecoded fields in."""
    added = [name for name in after if name not in before]
    removed = [name for name in before if name not in after]
    changed = [name for name, raw in after.items() if name in before and not _is_same(bytes(before[name]), bytes(raw))]
    return added, changed, removed


def _bounded(names: list[str]) -> list[str]:
    """As many and as long as a record can hold; a client chooses the names of its fields."""
    return [name[:MAX_NAME] for name in names[:MAX_NAMES]]


def _is_same(before: bytes, after: bytes) -> bool:
    return before == after or _value(before) == _value(after)
