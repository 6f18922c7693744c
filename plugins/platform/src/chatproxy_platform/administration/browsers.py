"""The platform's routes and browsers: pages of other sites, and names that point here without our knowledge.

Rule: this only refuses. What a request may do never depends on ``X-Forwarded-*``, ``X-Original-URL``,
``X-HTTP-Method-Override`` and the like: nothing here or in `access` reads them.
Source: Fetch Metadata Request Headers (W3C), section 2.4; DNS rebinding: a page's own name is made to point here.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from chatproxy import PermissionDenied, RequestContext
from chatproxy_platform.config import PLUGIN, Config

_OWN_NAMES = {"localhost", "127.0.0.1", "::1"}
_TRUSTED_SITES = {"same-origin", "none"}  # "none": a person typed the address


def check_browser(ctx: RequestContext, config: Config, listening_host: str) -> None:
    """Let a request go on to one of the platform's own routes; others are nobody's business here.

    Args:
        listening_host: the address or name that the gateway listens on.

    Raises:
        PermissionDenied: it names another host, or comes from a page of another site (403).
    """
    if ctx.route.plugin != PLUGIN:
        return
    host = ctx.headers.get("host", "")
    if not _is_own_host(_name_of(host), config.allowed_hosts, listening_host):
        raise PermissionDenied(
            "The administration does not answer under this Host; name it in [plugins.platform] allowed_hosts.",
            code="host_not_allowed",
        )
    if not _is_own_page(ctx, host, config.allowed_origins):
        raise PermissionDenied(
            "Pages of other sites may not call the administration; see [plugins.platform] allowed_origins.",
            code="origin_not_allowed",
        )


def _is_own_host(name: str, allowed: list[str], listening: str) -> bool:
    if "*" in allowed or name in (entry.lower() for entry in allowed):
        return True
    listening = listening.strip("[]").lower()
    if name == listening:
        return True
    address = _address(listening)
    if address is None:
        return False
    if address.is_unspecified:  # on every address: any of them, for a page's own name is never an address
        return name in _OWN_NAMES or _address(name) is not None
    return address.is_loopback and name in _OWN_NAMES


def _is_own_page(ctx: RequestContext, host: str, allowed: list[str]) -> bool:
    origin = ctx.headers.get("origin")
    if origin is not None and origin != "null" and origin in allowed:
        return True
    site = ctx.headers.get("sec-fetch-site")
    if site is not None:  # pages cannot set it
        return site in _TRUSTED_SITES
    return origin is None or origin.lower() == f"{ctx.exchange.scheme}://{host.lower()}"


def _name_of(host: str) -> str:
    """Host without its port, lower-case; empty for what is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").removesuffix(".")
    except ValueError:
        return ""


def _address(name: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(name)
    except ValueError:
        return None
