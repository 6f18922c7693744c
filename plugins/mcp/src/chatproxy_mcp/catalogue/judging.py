"""Judging: which of all servers' tools are offered, by their pins and by each other.

Rule: pure; the same readings and the same pins give the same verdict, in every worker.

A tool is offered if nothing speaks against it, in this order:

1. An operator approved exactly this digest: it is offered, whatever else was found.
2. The pins cannot be read: ``unapproved``. It has a pin of another digest: ``changed``. It has none and pinning is
   ``strict``: ``unapproved``. With pinning ``off``, and for servers that a request brings, none of these counts.
3. Its texts hide something: ``hidden_text``. It looks like another: ``look_alike``. Its texts read like instructions,
   and `Config.flagged` says so: ``flagged``.
4. With pinning ``first_use`` it gets a pin; where its server has too many already, it is ``unapproved``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import msgspec

from chatproxy_mcp.catalogue.listing import Candidate, Reading
from chatproxy_mcp.catalogue.lookalikes import plain, skeletons
from chatproxy_mcp.catalogue.pins import MAX_PINS, Pin, Pins
from chatproxy_mcp.config import Config
from chatproxy_mcp.tool import Tool, Withheld

_DISTINCT = re.compile(r"[A-Za-z0-9]{2,}[_-][A-Za-z0-9_-]{2,}|[a-z]{2,}[A-Z]\w{2,}")
Key = tuple[str, str]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of one server's tools.

    Attributes:
        tools: offered, by offered name.
        fresh: those of them that have no pin yet and get one now.
    """

    tools: tuple[Tool, ...] = ()
    withheld: tuple[Withheld, ...] = ()
    fresh: tuple[Tool, ...] = ()


def judge(
    config: Config, readings: Mapping[str, Reading], pins: Pins, guests: Collection[str] = ()
) -> dict[str, Verdict]:
    """Judge all servers' tools.

    Args:
        guests: servers that are not the operator's: nothing is pinned for them.
    """
    return _Court(config, readings, pins, guests).verdicts()


class _Court:
    """All that is known while one judgement is made."""

    def __init__(self, config: Config, readings: Mapping[str, Reading], pins: Pins, guests: Collection[str]) -> None:
        self._config = config
        self._readings = readings
        self._guests = guests
        self._fault = pins.fault if config.pinning != "off" else None
        self._count = {name: len(pins.of(name)) for name in readings}
        self._pins: dict[Key, Pin | None] = {
            (name, found.tool.name): None if name in guests else pins.get(name, found.tool.name)
            for name, reading in readings.items()
            for found in reading.candidates
        }
        self._owners = self._owners_of_names()
        self._candidates = {
            name: tuple(self._with_references(found) for found in reading.candidates)
            for name, reading in readings.items()
        }
        self._alike: dict[Key, str] = {}
        self._alike = self._look_alikes()

    def verdicts(self) -> dict[str, Verdict]:
        """One for each server that was read."""
        return {name: self._verdict(name, reading) for name, reading in self._readings.items()}

    def _verdict(self, name: str, reading: Reading) -> Verdict:
        tools: list[Tool] = []
        fresh: list[Tool] = []
        withheld = list(reading.withheld)
        for candidate in self._candidates[name]:
            tool = candidate.tool
            reason, detail = self._objection(candidate)
            if not reason and name not in self._guests and self._is_new(tool):
                if self._count[name] + len(fresh) < MAX_PINS:
                    fresh.append(tool)
                else:
                    reason, detail = "unapproved", f"the server has {MAX_PINS} pinned tools already"
            if reason:
                withheld.append(Withheld(server=name, name=tool.name, reason=reason, detail=detail, digest=tool.digest))
            else:
                tools.append(tool)
        return Verdict(tools=tuple(tools), withheld=tuple(withheld), fresh=tuple(fresh))

    def _is_new(self, tool: Tool) -> bool:
        return self._config.pinning == "first_use" and self._pins[tool.server, tool.name] is None

    def _objection(self, candidate: Candidate) -> tuple[str, str]:
        """Why a tool is withheld, and a detail; empty where it is offered."""
        tool = candidate.tool
        pin = self._pins[tool.server, tool.name]
        if pin is not None and pin.is_approved and pin.digest == tool.digest:
            return "", ""
        if self._config.pinning != "off" and tool.server not in self._guests:
            if self._fault:
                return "unapproved", self._fault
            if pin is not None and pin.digest != tool.digest:
                return "changed", _joined(f"it was {pin.digest[:12]} and is {tool.digest[:12]}", candidate)
            if pin is None and self._config.pinning == "strict":
                return "unapproved", _joined("no operator has looked at it", candidate)
        if candidate.hidden:
            return "hidden_text", candidate.hidden
        if other := self._alike.get((tool.server, tool.name)):
            return "look_alike", other
        if tool.flags and self._config.flagged == "withhold":
            return "flagged", "; ".join(tool.flags)
        return "", ""

    # -- tools beside each other --------------------------------------------------------------------------------------

    def _look_alikes(self) -> dict[Key, str]:
        """What each tool that comes too late looks like; see `lookalikes`. One that is withheld is in nobody's way."""
        found: dict[Key, str] = {}
        fakes = self._fake_servers()
        seen: dict[str, list[Tool]] = {}
        fine = (found.tool for group in self._candidates.values() for found in group if not self._objection(found)[0])
        for tool in sorted(fine, key=self._rank):
            key = (tool.server, tool.name)
            if tool.server in fakes:
                found[key] = f"server {tool.server} looks like server {fakes[tool.server]}"
                continue
            forms = skeletons(tool.name)
            rivals = (other for form in forms for other in seen.get(form, ()))
            rival = next((other for other in rivals if self._is_fake(tool, other)), None)
            if rival is not None:
                found[key] = f"it looks like {rival.offered}"
                continue
            for form in forms:
                seen.setdefault(form, []).append(tool)
        return found

    def _is_fake(self, tool: Tool, other: Tool) -> bool:
        if tool.server == other.server:
            return True
        if tool.server in self._guests and other.server in self._guests:
            return False
        return plain(tool.name) != plain(other.name)

    def _fake_servers(self) -> dict[str, str]:
        """By name the server that each one looks like; guests never take an operator's server for one."""
        found: dict[str, str] = {}
        seen: dict[str, str] = {}
        own = set(self._config.servers)
        for name in (*sorted(own), *sorted(set(self._readings) - own)):
            forms = skeletons(name)
            other = next((seen[form] for form in forms if form in seen), None)
            if other is not None:
                found[name] = other
            elif name in own:
                seen.update(dict.fromkeys(forms, name))
        return found

    def _rank(self, tool: Tool) -> tuple[bool, bool, str, str]:
        pin = self._pins[tool.server, tool.name]
        is_pinned = pin is not None and pin.digest == tool.digest
        return tool.server in self._guests, not is_pinned, tool.server, tool.name

    def _tools(self) -> Iterable[Tool]:
        return (found.tool for reading in self._readings.values() for found in reading.candidates)

    def _owners_of_names(self) -> dict[str, set[str]]:
        """The servers of the operator that have a tool, by each name that cannot be an ordinary word."""
        owners: dict[str, set[str]] = {}
        for tool in self._tools():
            if tool.server in self._guests:
                continue
            for name in {tool.offered, tool.name}:
                if _DISTINCT.fullmatch(name):
                    owners.setdefault(name, set()).add(tool.server)
        return owners

    def _with_references(self, candidate: Candidate) -> Candidate:
        """Flag a tool whose texts name other servers' tools; a name that its own server has too is its own."""
        tool = candidate.tool
        named = sorted(word for word in candidate.words & self._owners.keys() if tool.server not in self._owners[word])
        if not named:
            return candidate
        flag = f"names tools of other servers: {', '.join(named[:3])}"
        return msgspec.structs.replace(candidate, tool=msgspec.structs.replace(tool, flags=(*tool.flags, flag)))


def _joined(detail: str, candidate: Candidate) -> str:
    """A detail with all that the scan found, so that an operator who looks at the tool sees it."""
    return "; ".join(part for part in (detail, candidate.hidden, *candidate.tool.flags) if part)
