"""What is measured and for how long; goals are in ``report``.

Rule: names and sizes, nothing is run here.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from benchmarks.platform.gateways import Name

Engine = Literal["SQLite", "PostgreSQL"]

ENGINES: tuple[Engine, ...] = ("SQLite", "PostgreSQL")
MEASURED: tuple[Name, ...] = ("without", "empty hooks", "keys", "memory", "written", "redis")

ORGANIZATION = "company"
MANY = "many"
"""The user whose half of all stored sessions are."""
FEW = "few"
"""A user who has none."""
STORED = 1_000_000
USERS = 5_000
ORGANIZATIONS = 8

WRITERS = (1, 64)
"""Of audit rows, at once."""
AUDIT_S = 4.0


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A load on every gateway in turn.

    Attributes:
        requests: in one round.
        ramp_s: over which they begin.
        fields: added to the bodies.
    """

    name: str
    requests: int
    model: str = "mock"
    stream: bool = False
    in_flight: int = 64
    ramp_s: float = 0.0
    rate_per_s: float = 0.0
    fields: dict[str, str] = {}


COSTS = (
    Case(name="JSON", requests=3_000),
    Case(name="stream", requests=192, model="mock-10ms-100", stream=True, ramp_s=1.0),
)
_USER = {"user": "ann"}
KEPT = (
    Case(name="buffered", requests=6_000, fields=_USER),
    Case(name="streamed", requests=4_000, stream=True, model="mock-0ms-20", fields=_USER),
    Case(name="buffered, 200 a second", requests=3_000, rate_per_s=200, fields=_USER),
)
"""Exchanges that are kept; without the plugin they are the yardstick."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One page, asked for again and again.

    Attributes:
        key: whose key asks: a user's id, or ``admin``.
        path: what is asked.
        is_first: page 1 of all or many sessions, which has a goal.
    """

    name: str
    key: str
    path: str
    is_first: bool = True


_LIST = "/v1/sessions?page_size=20"
LISTINGS = (
    Listing(name="a user without sessions", key=FEW, path=_LIST, is_first=False),
    Listing(name="a user who has half of all", key=MANY, path=_LIST),
    Listing(name="a user who has half of all, by cursor", key=MANY, path=f"{_LIST}&cursor="),
    Listing(name="a user who has half of all, not archived", key=MANY, path=f"{_LIST}&archived=false"),
    Listing(name="administrator, all", key="admin", path=_LIST),
    Listing(name="administrator, not archived", key="admin", path=f"{_LIST}&archived=false"),
    Listing(name="administrator, one user's", key="admin", path=f"{_LIST}&user_id={MANY}"),
    Listing(name="organization's administrator, all", key="boss", path=_LIST),
    Listing(name="organization's administrator, one user's", key="boss", path=f"{_LIST}&user_id={MANY}"),
    Listing(name="a user who has half of all, page 1,000", key=MANY, path=f"{_LIST}&page=1000", is_first=False),
)
