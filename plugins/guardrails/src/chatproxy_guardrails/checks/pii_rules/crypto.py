"""Wallet addresses that carry a checksum: Bitcoin's.

Rule: the checksum must hold, so that a finding is never a guess.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

from chatproxy_guardrails.checks.base import Rule

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
GENERATORS = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
BECH32_FINALS = frozenset({1, 0x2BC830A3})


def passes_base58check(address: str) -> bool:
    """Whether the last four of 25 bytes are the checksum of the others.

    Source: Bitcoin's developer reference, "Base58Check".
    """
    number = 0
    for character in address:
        number = number * 58 + BASE58.index(character)
    if number.bit_length() > 200:
        return False
    payload, checksum = divmod(number, 1 << 32)
    digest = hashlib.sha256(hashlib.sha256(payload.to_bytes(21, "big")).digest()).digest()
    return int.from_bytes(digest[:4], "big") == checksum


def polymod(values: Iterable[int]) -> int:
    """The checksum of five-bit values (BIP 173)."""
    checksum = 1
    for value in values:
        top = checksum >> 25
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value
        for place, generator in enumerate(GENERATORS):
            checksum ^= generator if top >> place & 1 else 0
    return checksum


def passes_bech32(address: str) -> bool:
    """Whether a segregated witness address has a right checksum (BIP 173, BIP 350)."""
    prefix, _, data = address.lower().partition("1")
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    return polymod(expanded + [BECH32.index(character) for character in data]) in BECH32_FINALS


def is_base58(match: Any) -> bool:
    """A pay-to-public-key-hash or pay-to-script-hash address."""
    return passes_base58check(match[0])


def is_bech32(match: Any) -> bool:
    """A segregated witness address, in letters of one case."""
    return match[0] in {match[0].lower(), match[0].upper()} and passes_bech32(match[0])


def rules() -> tuple[Rule, ...]:
    """Addresses that begin with 1, 3 or ``bc1``."""
    end = "(?![0-9A-Za-z_])"
    start = "(?<![0-9A-Za-z_])"
    return (
        Rule(
            kind="crypto_wallet",
            pattern=rf"{start}[13][1-9A-HJ-NP-Za-km-z]{{25,34}}{end}",
            accept=is_base58,
            source="Bitcoin's developer reference, Base58Check",
        ),
        Rule(
            kind="crypto_wallet",
            pattern=rf"{start}bc1[02-9ac-hj-np-z]{{11,71}}{end}",
            keywords=("bc1",),
            ignore_case=True,
            accept=is_bech32,
            source="BIP 173, BIP 350",
        ),
    )
