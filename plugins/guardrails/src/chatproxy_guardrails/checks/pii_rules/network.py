"""Addresses in networks: IPv4, IPv6, MAC.

Rule: what has the shape of an address and another meaning is left alone: versions, sections, object identifiers, times,
slices; so are loopback, unspecified and multicast addresses and masks, which name nobody.
"""

from __future__ import annotations

import ipaddress
from typing import Any

import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.edges import END
from chatproxy_guardrails.checks.pii_rules.labels import Labels, left_of

VERSION_WORDS = Labels(
    "version|assemblyversion|fileversion|ver|v|release|rel|build|firmware|section|sect|sec|chapter|clause|appendix|rev|"
    "revision|oid|objectidentifier|object identifier|driver|(?:update|upgrade)d? (?:from|to)|§"
)
# ``name/1.2.3.4`` as in user agents and paths, ``name==1.2.3.4``, ``name-1.2.3.4``, ``^1.2.3.4``.
VERSION_SIGNS = regex.compile(r"(?:[A-Za-z]/|[=<>~!^]=\s?|[A-Za-z]-|[~^]|§\s?)$")
ADDRESS_WORDS = Labels(
    "addr|address|client|connect(?:ing|ion)?|dns|from|gateway|host|hostname|http|https|inet|ip|ipv4|login|nameserver|"
    "ping|port|proxy|resolver|server|ssh|subnet|tcp|udp|visitor"
)
SMALL = 30
MULTICAST = 224
SOURCE_V4 = "RFC 791, RFC 6890"
SOURCE_V6 = "RFC 4291, RFC 5952"


def is_like_version(numbers: bytes) -> bool:
    """Four small numbers: releases have them, public addresses hardly ever."""
    return max(numbers) <= SMALL and numbers[0] != 10 and len(set(numbers)) > 1


def is_host_v4(text: str) -> bool:
    """Four numbers up to 255 without leading zeros that may name one machine."""
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return False
    first = address.packed[0]
    return first not in {0, 127} and first < MULTICAST and (address.packed[1:] != b"\0\0\0" or first == 10)


def is_v4(match: Any) -> bool:
    """Neither a version nor a longer row of numbers."""
    if match["more"] or not is_host_v4(match[0]):
        return False
    if VERSION_SIGNS.search(left_of(match)) or VERSION_WORDS.name(match):
        return False
    return not is_like_version(ipaddress.IPv4Address(match[0]).packed) or ADDRESS_WORDS.name(match)


def is_v6(match: Any) -> bool:
    """An address of eight groups, or a shortened one that is neither a slice nor a name in C++."""
    text = match[0]
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    if address.is_loopback or address.is_unspecified:
        return False
    long_enough = text.count(":") >= 3 or len(text.partition(":")[0]) == 4
    return long_enough and any(character.isdigit() for character in text)


def is_mac(match: Any) -> bool:
    """Neither nobody's address nor everybody's."""
    return len(set(match[0].lower()) - {":", "-"}) > 1


def ip_rules() -> tuple[Rule, ...]:
    """IPv6, then IPv4 with what would make it a version or an identifier."""
    group = "[0-9A-Fa-f]{1,4}"
    rest = rf":?{group}(?::{{1,2}}{group}){{0,31}}(?:::|(?:\.[0-9]{{1,3}}){{3}})?"
    v6 = rf"\b(?<![:.]){group}:(?:{rest}|:){END}"
    short_v6 = rf":(?<![0-9A-Za-z_:.]:){rest}{END}"
    more = r"(?P<more>(?:\.[0-9]{1,10}){1,12}|[+~\-]?[0-9]{0,3}\.?[A-Za-z_][0-9A-Za-z_]{0,20})?"
    v4 = rf"[0-9](?<![0-9A-Za-z_.][0-9])[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{3}}{more}{END}"
    return (
        Rule(kind="ip", pattern=v6, accept=is_v6, source=SOURCE_V6),
        Rule(kind="ip", pattern=short_v6, accept=is_v6, source=SOURCE_V6),
        Rule(kind="ip", pattern=v4, accept=is_v4, source=SOURCE_V4),
    )


def mac_rules() -> tuple[Rule, ...]:
    """Six pairs of hexadecimal digits between colons or dashes."""
    pair = "[0-9A-Fa-f]{2}"
    pattern = rf"[0-9A-Fa-f](?<![0-9A-Za-z_:\-].)[0-9A-Fa-f]([:\-]){pair}(?:\1{pair}){{4}}(?![0-9A-Za-z_:\-])"
    return (Rule(kind="mac_address", pattern=pattern, accept=is_mac, source="IEEE 802, EUI-48"),)
