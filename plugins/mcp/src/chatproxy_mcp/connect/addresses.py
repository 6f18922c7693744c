"""Addresses: which hosts may be connected to, decided on the very address that is connected to.

Rule: a name is resolved once, every address of it is checked, and the connection goes to a checked address; nothing
resolves the name again. So a name whose answer changes in between (DNS rebinding) leads nowhere else.
Source: IANA special-purpose address registries; RFC 6052 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")
_ISATAP = (0x00005EFE, 0x02005EFE)
# What `is_global` of older Pythons lets through.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)


class AddressRefusedError(OSError):
    """A host leads to an address that must not be connected to; the message names the host, not the address."""


def is_public(address: Ip) -> bool:
    """Whether an address belongs to the public internet, also what an IPv6 address carries of IPv4."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        if any(not is_public(inner) for inner in _carried(address)):
            return False
        if address.ipv4_mapped is not None:
            return True
    if not address.is_global or address.is_multicast:
        return address in _NAT64[0]
    return not any(address.version == network.version and address in network for network in _NEVER)


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """List the IPv4 addresses that packets to an IPv6 address may end at."""
    found: list[ipaddress.IPv4Address] = []
    number = int(address)
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if any(address in network for network in _NAT64) or (number >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    if address in _SIX_TO_FOUR:
        found.append(ipaddress.IPv4Address((number >> 80) & 0xFFFFFFFF))
    return found


class Gate:
    """Decides for one server; a host that the server itself names gets no further than the server's own kind.

    Args:
        hosts: what the operator (or, checked, a client) configured: the server's own host, and its token endpoint's.
        public_only: these too must be public, or in one of ``networks``.
        networks: in CIDR form.
    """

    def __init__(self, hosts: frozenset[str], *, public_only: bool, networks: tuple[str, ...] = ()) -> None:
        self._hosts = hosts
        self._public_only = public_only
        self._networks = tuple(ipaddress.ip_network(network) for network in networks)
        self._is_private_network = False

    def check(self, host: str, addresses: list[Ip]) -> None:
        """Refuse a host of which one address is not allowed.

        Raises:
            AddressRefusedError: it leads to an address that is not public, and may not.
        """
        public = all(is_public(address) for address in addresses)
        if host in self._hosts:
            self._is_private_network = self._is_private_network or not public
            allowed = public or not self._public_only or all(self._is_named(address) for address in addresses)
        else:
            allowed = public or (self._is_private_network and not self._public_only)
        if not allowed:
            raise AddressRefusedError(f"{host} leads to an address that is not public")

    def _is_named(self, address: Ip) -> bool:
        """Whether the operator has named a network that an address is in."""
        inner = getattr(address, "ipv4_mapped", None) or address
        return any(inner.version == network.version and inner in network for network in self._networks)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Give the addresses of a host to connect to, all of them checked, in the resolver's order.

        Raises:
            OSError: the name does not resolve, or it is refused (`AddressRefusedError`).
        """
        found = await _look_up(host, port)
        self.check(host, [ipaddress.ip_address(address) for address in found])
        return found


async def _look_up(host: str, port: int) -> list[str]:
    literal = host.strip("[]")
    try:
        return [str(ipaddress.ip_address(literal))]
    except ValueError:
        pass
    try:
        infos = await asyncio.get_running_loop().getaddrinfo(literal, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as exc:
        raise OSError(f"the name {host} does not resolve") from exc
    found = list(dict.fromkeys(str(info[4][0]) for info in infos))
    if not found:
        raise OSError(f"the name {host} has no address")
    return found
