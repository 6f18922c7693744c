"""Choosing: which tools one request is offered, and which calls are the gateway's to run."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from chatproxy import ChatRequest, RequestContext
from chatproxy.errors import InvalidRequest
from chatproxy_mcp.catalogue.catalogue import Catalogue
from chatproxy_mcp.catalogue.offer import Offer, Offers
from chatproxy_mcp.config import Config, Mode, Server
from chatproxy_mcp.loop.globs import matches, matches_one
from chatproxy_mcp.loop.guests import Guests
from chatproxy_mcp.loop.selection import Selection, Wish
from chatproxy_mcp.tool import Tool

_MAX_CACHED = 256
_MAX_GUESTS = 16  # in one request, each of which costs connections
_SURFACE_OF_ITEMS = "responses"

Snapshots = tuple[tuple[Tool, ...], ...]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The tools of one request.

    Attributes:
        approval: names, as models know them, of tools whose calls wait for the client's word.
        clients: names of the client's own tools; a tool of ours with such a name is not offered.
        labels: by server: what the client calls it.
        shows_items: the client knows OpenAI's ``mcp_call`` items.
        entries: tools of type ``mcp`` as the client wrote them.
    """

    offer: Offer
    mode: Mode = "tools"
    approval: frozenset[str] = frozenset()
    clients: frozenset[str] = frozenset()
    labels: Mapping[str, str] = msgspec.field(default_factory=dict)
    shows_items: bool = False
    entries: tuple[dict[str, Any], ...] = ()

    def owns(self, name: str) -> bool:
        """Whether a call of this name is the gateway's: of its tools, or of a tool its servers do not have."""
        if name in self.offer.tools:
            return True
        server, mark, _ = name.partition("__")
        return (
            bool(mark) and name not in self.clients and any(tool.server == server for tool in self.offer.tools.values())
        )

    def hides(self, name: str) -> bool:
        """Whether the client does not get to see calls of this name."""
        return self.owns(name) and (self.shows_items or name not in self.approval)


class Chooser:
    """Makes a `Chosen` of what the operator offers and a request asks for."""

    def __init__(self, config: Config, catalogue: Catalogue, guests: Guests) -> None:
        self._config = config
        self._catalogue = catalogue
        self._guests = guests
        self._offers = Offers()
        self._cached: OrderedDict[tuple[int, ...], tuple[Snapshots, _Offered]] = OrderedDict()

    async def choose(self, ctx: RequestContext, request: ChatRequest, selection: Selection) -> Chosen | None:
        """The tools of a request; None where it gets none.

        Raises:
            InvalidRequest: it asks for what is not here (400).
        """
        mode = self._mode_of(ctx.exchange.model)
        if fault := _fault(request, mode):
            if selection.says_something:
                raise InvalidRequest(fault[0], code="mcp_unavailable", param=fault[1])
            return None
        servers = self._servers(ctx, request, selection)
        if not servers:
            return None
        if selection.wishes is not None:
            wishes = {name: selection.wishes[label] for name, label in servers.items()}
            selection = msgspec.structs.replace(selection, wishes=wishes)
        snapshots = await self._snapshots(list(servers))
        clients = _names_of(request) if "tools" in request else frozenset()
        offered = self._offered(snapshots, selection)
        offered = self._without(offered, clients if mode == "tools" else offered.approval)
        if not offered.offer.tools:
            return None
        return Chosen(
            offer=offered.offer,
            mode=mode,
            approval=offered.approval,
            clients=clients,
            labels=servers,
            shows_items=ctx.surface == _SURFACE_OF_ITEMS and _is_openai(selection),
            entries=tuple(wish.entry for wish in (selection.wishes or {}).values() if wish.entry is not None),
        )

    # -- servers ------------------------------------------------------------------------------------------------------

    def _mode_of(self, model: str) -> Mode:
        for glob, rule in self._config.models.items():
            if matches(glob, model):
                return rule.mode
        return self._config.mode

    def _servers(self, ctx: RequestContext, request: ChatRequest, selection: Selection) -> dict[str, str]:
        """Servers by the name that the gateway has for them, with the client's name."""
        servers = self._config.servers.items()
        if selection.wishes is None:
            return {name: name for name, server in servers if server.is_default and _is_for(ctx, server)}
        allowed = {name for name, server in servers if _is_for(ctx, server)}
        found: dict[str, str] = {}
        guests = sum(wish.url is not None for wish in selection.wishes.values())
        if guests > _MAX_GUESTS:
            raise InvalidRequest(f"{guests} MCP servers are named by an address, at most {_MAX_GUESTS} may be.")
        for wish in selection.wishes.values():
            if wish.name in allowed and wish.url in {None, self._config.servers[wish.name].url}:
                if wish.authorization or wish.headers:
                    raise InvalidRequest(
                        f"'{wish.param}': the MCP server '{wish.name}' has a credential of the gateway's own; leave "
                        "'authorization' and 'headers' out.",
                        param=wish.param,
                    )
                found[wish.name] = wish.name
            elif wish.url is not None and self._guests.admits(wish):
                found[self._guests.name_of(ctx, wish)] = wish.name
            elif self._config.unknown_servers == "forward" and wish.entry is not None:
                request.tools.append(wish.entry)
            else:
                raise _unknown(wish, allowed)
        return found

    async def _snapshots(self, names: list[str]) -> Snapshots:
        peeked = {name: self._catalogue.peek(name) for name in names}
        known = [tools for tools in peeked.values() if tools is not None]
        if len(known) == len(names):
            return tuple(known)
        missing = [name for name, tools in peeked.items() if tools is None]
        tasks = [asyncio.ensure_future(self._catalogue.tools_of(name)) for name in missing]
        try:
            await asyncio.wait(tasks, timeout=self._config.list_wait_s)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return tuple(self._catalogue.peek(name) or () for name in names)

    # -- tools --------------------------------------------------------------------------------------------------------

    def _offered(self, snapshots: Snapshots, selection: Selection) -> _Offered:
        """What a selection leaves of the servers' tools; made once for requests that say nothing."""
        if selection.says_something:
            return self._made([tool for tools in snapshots for tool in tools if selection.takes(tool)], selection)
        key = tuple(map(id, snapshots))
        entry = self._cached.get(key)
        if entry is None:
            made = self._made([tool for tools in snapshots for tool in tools], selection)
            entry = self._cached[key] = (snapshots, made)  # while they are kept here, their ids are nobody else's
            if len(self._cached) > _MAX_CACHED:
                self._cached.popitem(last=False)
        else:
            self._cached.move_to_end(key)
        return entry[1]

    def _made(self, tools: list[Tool], selection: Selection) -> _Offered:
        """The first tools by name; a limit that cut at random would change what a prompt cache knows."""
        offer = self._offers.of(sorted(tools, key=lambda tool: tool.offered)[: self._config.max_offered])
        wishes = selection.wishes or {}
        waiting = (
            name
            for name, tool in offer.tools.items()
            if tool.needs_approval or (tool.server in wishes and wishes[tool.server].asks(tool))
        )
        return _Offered(offer, frozenset(waiting))

    def _without(self, offered: _Offered, names: frozenset[str]) -> _Offered:
        """What is left without some names: the client's own; or, where calls are text, of tools it is asked about."""
        if names.isdisjoint(offered.offer.tools):
            return offered
        left = [tool for name, tool in offered.offer.tools.items() if name not in names]
        return _Offered(self._offers.of(left), offered.approval - names)


class _Offered(NamedTuple):
    offer: Offer
    approval: frozenset[str]


def _fault(request: ChatRequest, mode: Mode) -> tuple[str, str] | None:
    """Why a request cannot have tools, and its field that says so."""
    if request.layout.turns is None:
        return f"The {request.layout.surface} API has no tools.", "tools"
    if mode == "off":
        return "MCP tools are switched off for this model.", "model"
    if "functions" in request:
        return "MCP tools cannot stand beside 'functions'; say them as 'tools'.", "functions"
    n = request.peek("n")
    if type(n) is int and n > 1:
        return "MCP tools are run for one choice only; leave 'n' out.", "n"
    return None


def _is_for(ctx: RequestContext, server: Server) -> bool:
    """Whether a server is offered to this model and this principal."""
    if server.models and not matches_one(server.models, ctx.exchange.model):
        return False
    return not server.keys or (ctx.principal is not None and matches_one(server.keys, ctx.principal.id))


def _unknown(wish: Wish, allowed: Iterable[str]) -> InvalidRequest:
    """Servers that are not for this client are unknown to it."""
    if wish.url is not None:
        return InvalidRequest(
            f"'{wish.param}': the operator does not allow the address of the MCP server '{wish.name[:64]}'.",
            code="mcp_server_not_allowed",
            param=wish.param,
        )
    there_are = f"; there are {sorted(allowed)}" if allowed else "; there are none"
    return InvalidRequest(
        f"'{wish.param}': there is no MCP server '{wish.name[:64]}'{there_are}.",
        code="mcp_server_not_found",
        param=wish.param,
    )


def _names_of(request: ChatRequest) -> frozenset[str]:
    """Names of the client's own tools, in any surface's form."""
    found = set[str]()
    listed: list[Any] = request.tools
    for tool in listed:
        if isinstance(tool, dict):
            inner = tool.get("custom" if tool.get("type") == "custom" else "function")
            name = (inner if isinstance(inner, dict) else tool).get("name")
            if isinstance(name, str):
                found.add(name)
    return frozenset(found)


def _is_openai(selection: Selection) -> bool:
    return any(wish.is_openai for wish in (selection.wishes or {}).values())
