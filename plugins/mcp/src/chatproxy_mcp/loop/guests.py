"""Guests: servers that clients name by an address, where the operator allows its host.

Rule: a guest belongs to one tenant, has no credential but the one that came with it, and must lead to public addresses.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from hashlib import sha256

from chatproxy import RequestContext
from chatproxy.errors import InvalidRequest
from chatproxy_mcp.catalogue.catalogue import Catalogue
from chatproxy_mcp.config import Bearer, Config, NoAuth, Server
from chatproxy_mcp.connect.links import Links
from chatproxy_mcp.loop.globs import matches_one
from chatproxy_mcp.loop.selection import Wish
from chatproxy_mcp.tenants import tenant_of

_MAX_GUESTS = 128
_LABEL = re.compile(r"[^a-z0-9]+")
_MAX_LABEL = 20
# Nothing that two parsers could take for two hosts.
_ADDRESS = re.compile(r"https?://(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?(?:[/?][!-~]*)?")
_MAX_URL = 2048
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS = re.compile(
    r"(?i)host|connection|content-.*|transfer-encoding|te|trailer|upgrade|keep-alive|proxy-.*|accept|accept-encoding"
    r"|cookie|forwarded|x-forwarded-.*|x-real-ip|mcp-.*|last-event-id|traceparent|tracestate"
)


class Guests:
    """The servers that clients have named lately."""

    def __init__(self, config: Config, links: Links, catalogue: Catalogue) -> None:
        self._config = config
        self._links = links
        self._catalogue = catalogue
        self._known: OrderedDict[str, None] = OrderedDict()

    def admits(self, wish: Wish) -> bool:
        """Whether the operator allows the host of a wish's address."""
        url = wish.url or ""
        found = _ADDRESS.fullmatch(url) if len(url) <= _MAX_URL else None
        if found is None or not 0 < int(found["port"] or 80) < 1 << 16:
            return False
        host = found["host"].strip("[]").rstrip(".").lower()
        return bool(host) and matches_one(self._config.allowed_hosts, host)

    def name_of(self, ctx: RequestContext, wish: Wish) -> str:
        """The gateway's name of a guest, which it is known by from now on.

        Raises:
            InvalidRequest: a header or the token is none (400).
        """
        server = self._server(wish)
        name = _name(ctx, wish)
        if name not in self._known:
            self._links.add(name, server)
            self._catalogue.add(name, server)
            self._known[name] = None
            while len(self._known) > _MAX_GUESTS:
                self._forget(self._known.popitem(last=False)[0])
        self._known.move_to_end(name)
        return name

    def _server(self, wish: Wish) -> Server:
        for name, value in wish.headers.items():
            if not _is_header(name, value):
                where = f"{wish.param}.headers"
                raise InvalidRequest(f"'{where}': '{name[:64]}' cannot be sent to an MCP server.", param=where)
        token = (wish.authorization or "").removeprefix("Bearer ").strip()
        if wish.authorization is not None and not (token and token.isascii() and token.isprintable()):
            where = f"{wish.param}.authorization"
            raise InvalidRequest(f"'{where}' is no token.", param=where)
        return Server(
            url=wish.url,
            headers=dict(wish.headers),
            auth=Bearer(token=token) if token else NoAuth(),
            public_only=True,
            networks=self._config.allowed_networks,
            max_sessions=2,
        )

    def _forget(self, name: str) -> None:
        self._catalogue.remove(name)
        self._links.remove(name)


def _name(ctx: RequestContext, wish: Wish) -> str:
    """The client's label, with what tells apart tenants, addresses and credentials; the same for the same ones."""
    label = _LABEL.sub("-", wish.name.lower())[:_MAX_LABEL].strip("-") or "guest"
    told = (tenant_of(ctx), wish.url or "", wish.authorization or "", *sum(sorted(wish.headers.items()), ()))
    return f"{label}-{sha256(chr(0).join(told).encode('utf-8', 'surrogatepass')).hexdigest()[:10]}"


def _is_header(name: str, value: str) -> bool:
    is_ours = _OUR_HEADERS.fullmatch(name) is not None
    return _TOKEN.fullmatch(name) is not None and not is_ours and value.isascii() and value.isprintable()
