"""Rows: an exchange that ended, as a row of `UsageRow`, in a form that every database and the spool take.

Rule: no I/O. What clients and upstreams say is cut to size here, for one value that the database refuses would hold up
all rows that are written with it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, NamedTuple

import msgspec

from chatproxy import Exchange, Usage
from chatproxy_platform.clock import MICRO, now_us
from chatproxy_platform.identity.records import Identity

_FINE = ("completed", "client_disconnected")
# Far above what one exchange can be, and low enough that a database's sum of a million such rows has no overflow.
_MAX_TOKENS = 10**9
_MAX_NANOUSD = 10**13
_MAX_US = 10**13
Tokens = Annotated[int, msgspec.Meta(ge=0, le=_MAX_TOKENS)]
Micros = Annotated[int, msgspec.Meta(ge=0, le=_MAX_US)]


class Ended(NamedTuple):
    """What is kept of an exchange until its row is made: taking it must cost the request next to nothing."""

    request_id: str
    started_at: float
    surface: str
    model: str
    upstream_model: str | None
    handler: str | None
    is_stream: bool
    usage: Usage | None
    cost: int | None
    duration_s: float
    first_byte_s: float | None
    status: int
    outcome: str
    error_code: str | None
    identity: Identity | None


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The columns of `UsageRow`, and whose spending it is.

    Attributes:
        subjects: names as in `Spend`.
    """

    request_id: str
    at: Annotated[int, msgspec.Meta(ge=0, lt=2**62)]
    day: str
    key_id: str | None
    user_id: str | None
    organization_id: str | None
    surface: str
    model: str
    upstream_model: str | None
    handler: str | None
    stream: bool
    prompt_tokens: Tokens
    completion_tokens: Tokens
    total_tokens: Tokens
    cached_tokens: Tokens
    cache_write_tokens: Tokens
    reasoning_tokens: Tokens
    source: str | None
    cost_nanousd: Annotated[int, msgspec.Meta(ge=0, le=_MAX_NANOUSD)] | None
    duration_us: Micros
    first_byte_us: Micros | None
    status: Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
    outcome: str
    error_code: str | None
    subjects: tuple[str, ...] = ()

    @property
    def is_error(self) -> bool:
        """It was refused or failed; a client that left is no error."""
        return self.outcome not in _FINE


COLUMNS = tuple(name for name in Row.__struct_fields__ if name != "subjects")
_NONE = Usage()


def ended(exchange: Exchange, identity: Identity | None, cost: int | None) -> Ended:
    """What is kept of an exchange."""
    return Ended(
        exchange.request_id,
        exchange.started_at,
        exchange.surface,
        exchange.model,
        exchange.upstream_model,
        exchange.handler,
        exchange.stream,
        exchange.usage,
        cost,
        exchange.duration_s,
        exchange.first_byte_s,
        exchange.status,
        exchange.outcome,
        exchange.error_code,
        identity,
    )


def row_of(end: Ended) -> Row:
    """The row of an exchange; its day is the one it began in, UTC."""
    usage, who = end.usage or _NONE, end.identity
    at = int(end.started_at * MICRO) or now_us()
    key_id = clean(who.key_id, 64) if who is not None else None
    user_id = clean(who.user_id, 200) if who is not None else None
    organization_id = clean(who.organization_id, 64) if who is not None else None
    return Row(
        request_id=clean(end.request_id, 64) or "",
        at=at,
        day=_day(at // (86_400 * MICRO)),
        key_id=key_id,
        user_id=user_id,
        organization_id=organization_id,
        surface=clean(end.surface, 32) or "",
        model=clean(end.model, 200) or "",
        upstream_model=clean(end.upstream_model, 200),
        handler=clean(end.handler, 200),
        stream=end.is_stream,
        prompt_tokens=_count(usage.prompt_tokens),
        completion_tokens=_count(usage.completion_tokens),
        total_tokens=_count(usage.total_tokens),
        cached_tokens=_count(usage.cached_tokens),
        cache_write_tokens=_count(usage.cache_write_tokens),
        reasoning_tokens=_count(usage.reasoning_tokens),
        source=None if end.usage is None else clean(usage.source, 16),
        cost_nanousd=None if end.cost is None else min(max(end.cost, 0), _MAX_NANOUSD),
        duration_us=_micros(end.duration_s),
        first_byte_us=None if end.first_byte_s is None else _micros(end.first_byte_s),
        status=end.status,
        outcome=end.outcome,
        error_code=clean(end.error_code, 100),
        subjects=_subjects(who, key_id, user_id, organization_id),
    )


def clean(value: str | None, size: int) -> str | None:
    """A text as it is stored: cut to size, without what PostgreSQL does not take: NUL and half of a surrogate pair."""
    if value is None or (value.isascii() and len(value) <= size and "\x00" not in value):
        return value
    return value.replace("\x00", "�").encode(errors="replace").decode()[:size]


def periods_of(day: str) -> tuple[str, str, str]:
    """Of a day ``2026-11-21``: itself, its month ``2026-11``, and ``total``; as `Spend` names them."""
    return day, day[:7], "total"


def _subjects(who: Identity | None, *ids: str | None) -> tuple[str, ...]:
    if who is None:
        return ()
    own = [f"{kind}:{value}" for kind, value in zip(("key", "user", "org"), ids, strict=True) if value]
    named = (clean(subject.name, 220) or "" for subject in who.subjects)
    return tuple(dict.fromkeys([*own, *named]))


@lru_cache(maxsize=32)
def _day(number: int) -> str:
    return datetime.fromtimestamp(number * 86_400, UTC).strftime("%Y-%m-%d")


def _count(value: int) -> int:
    return value if 0 <= value <= _MAX_TOKENS else max(0, min(value, _MAX_TOKENS))


def _micros(seconds: float) -> int:
    return min(max(round(seconds * MICRO), 0), _MAX_US)
