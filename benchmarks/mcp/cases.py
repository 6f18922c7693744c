"""What is measured: which gateway answers what, and which other case it is compared with.

Rule: names and what they mean; sizes are here once, goals in ``report``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from benchmarks.mcp.gateways import TOOLS, Name
from benchmarks.mcp.tools import client_tools
from benchmarks.mcp.upstream import CALLS, REPEATS, SHORT

SURFACES = ("chat", "responses", "messages")
BESIDE = "chat with 3 tools of the client"
REPEATED = "responses that repeat their tools"
IN_FLIGHT = 64
STREAM_MODEL = "mock-10ms-100"

_IDLE: tuple[Name, ...] = ("no servers", "off")
_JSON_REQUESTS = 2_000
_ROUND_REQUESTS = 800
_STREAM_REQUESTS = 192


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one gateway.

    Attributes:
        requests: in one round of the benchmark.
        tools: how many must reach the upstream; the measurement is void else.
        results: how many tools' results must, in the last request.
        per_event: the cost is that of an event of the upstream's streams.
    """

    series: str
    name: str
    gateway: Name
    model: str = "mock"
    surface: str = "chat"
    stream: bool = False
    fields: dict[str, Any] = {}
    requests: int = _JSON_REQUESTS
    in_flight: int = IN_FLIGHT
    tools: int = 0
    results: int = 0
    per_event: bool = False


def _injection() -> list[Case]:
    fields: dict[str, Any] = {"tools": client_tools()}
    bases = [
        *(Case(series="injection", name=surface, gateway="without", surface=surface) for surface in SURFACES),
        Case(series="injection", name=BESIDE, gateway="without", fields=fields, tools=len(fields["tools"])),
        Case(series="injection", name=REPEATED, gateway="without", surface="responses", model=REPEATS),
    ]
    idle = [Case(series="injection", name=f"chat, {name}", gateway=name) for name in _IDLE]
    return [*(case for base in bases for case in _pair(base)), *idle]


def _pair(base: Case) -> list[Case]:
    """A case without the plugin, and with 50 tools."""
    name, tools = f"{base.name}, 50 tools", base.tools + TOOLS
    with_ours = msgspec.structs.replace(base, name=name, gateway="50 tools", tools=tools)
    return [msgspec.structs.replace(base, name=f"{base.name}, without"), with_ours]


def _rounds() -> list[Case]:
    usual: dict[str, Any] = {"series": "rounds", "requests": _ROUND_REQUESTS, "model": SHORT}
    found = [
        Case(name="plain chat", gateway="without", **usual),
        Case(name="asked twice", gateway="twice", **usual),
    ]
    for transport in ("http", "stdio"):
        offered = Case(name=f"{transport}, not called", gateway=transport, tools=1, **usual)
        called = msgspec.structs.replace(offered, name=f"{transport}, called", model=CALLS, results=1)
        found += [offered, called]
    streamed = [
        msgspec.structs.replace(case, name=f"{case.name}, streamed", stream=True)
        for case in found
        if case.gateway == "http"
    ]
    return [*found, *streamed]


def _streams() -> list[Case]:
    usual: dict[str, Any] = {
        "series": "streams", "model": STREAM_MODEL, "stream": True, "requests": _STREAM_REQUESTS, "per_event": True,
    }  # fmt: skip
    gateways: tuple[Name, ...] = ("without", *_IDLE, "50 tools")
    found = [Case(name=name, gateway=name, tools=TOOLS if name == "50 tools" else 0, **usual) for name in gateways]
    bursts = [
        msgspec.structs.replace(case, name=f"{case.name}, burst", model="mock")
        for case in found
        if case.gateway not in _IDLE
    ]
    return [*found, *bursts]


CASES: tuple[Case, ...] = (*_injection(), *_rounds(), *_streams())
