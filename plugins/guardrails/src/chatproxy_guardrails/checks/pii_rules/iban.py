"""International bank account numbers.

Rule: the country must give numbers of that length and shape, and the check digits (mod 97) must hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.edges import DASHES, END, begins

SOURCE = "SWIFT IBAN Registry, release 101; ISO 13616-1"
# Country, then what follows the check digits: n digits, a letters, c either.
REGISTRY = """
    AD8n12c AE19n AL8n16c AT16n AZ4a20c BA16n BE12n BG4a6n8c BH4a14c BI23n BR23n1a1c BY4c4n16c CH5n12c CR18n CY8n16c
    CZ20n DE18n DJ23n DK14n DO4c20n EE16n EG25n ES20n FI14n FK2a12n FO14n FR10n11c2n GB4a14n GE2a16n GI4a15c GL14n
    GR7n16c GT24c HN4a20n HR17n HU24n IE4a14n IL19n IQ4a15n IS22n IT1a10n12c JO4a4n18c KW4a22c KZ3n13c LB4n20c
    LC4a24c LI5n12c LT16n LU3n13c LV4a13c LY21n MC10n11c2n MD20c ME18n MK3n10c2n MN16n MR23n MT4a5n18c MU4a19n3a
    NI4a20n NL4a10n NO11n OM3n16c PK4a16c PL24n PS4a21c PT21n QA4a21c RO4a16c RS18n RU14n15c SA2n18c SC4a20n3a SD14n
    SE20n SI15n SK20n SM1a10n12c SO19n ST21n SV4a20n TL19n TN20n TR6n16c UA6n19c VA18n VG4a16n XK16n YE4a4n18c
"""
STRUCTURES = REGISTRY.split()
LETTERS = {"n": "[0-9]", "a": "[A-Z]", "c": "[0-9A-Z]"}
SEPARATOR = f"[ {DASHES}]?"


def shape_of(structure: str) -> str:
    """A pattern for ``DE18n`` and its like, without separators."""
    parts = regex.findall(r"([0-9]+)([nac])", structure[2:])
    return structure[:2] + "[0-9]{2}" + "".join(f"{LETTERS[kind]}{{{count}}}" for count, kind in parts)


def length_of(structure: str) -> int:
    """Characters of the whole number, without separators."""
    return 4 + sum(map(int, regex.findall(r"[0-9]+", structure[2:])))


SHAPES = {structure[:2]: regex.compile(shape_of(structure)) for structure in STRUCTURES}


def passes_mod97(number: str) -> bool:
    """Whether the check digits hold.

    Source: ISO 7064, MOD 97-10.
    """
    moved = number[4:] + number[:4]
    return int("".join(str(int(character, 36)) for character in moved)) % 97 == 1


def is_iban(match: Any) -> bool:
    """The country's shape and right check digits."""
    number = "".join(filter(str.isalnum, match[0])).upper()
    shape = SHAPES.get(number[:2])
    return shape is not None and shape.fullmatch(number) is not None and passes_mod97(number)


def groups_of_four(count: int, letters: str) -> str:
    """So many characters with a separator allowed in front of every fourth."""
    whole, rest = divmod(count, 4)
    pattern = f"(?:{SEPARATOR}[0-9{letters}]{{4}}){{{whole}}}"
    return pattern + (f"{SEPARATOR}[0-9{letters}]{{{rest}}}" if rest else "")


def branches(letters: str) -> Iterator[str]:
    """A pattern for each length, which looks back at the country."""
    countries: dict[int, list[str]] = {}
    for structure in STRUCTURES:
        code = structure[:2] if letters == "A-Z" else structure[:2].lower()
        countries.setdefault(length_of(structure), []).append(code)
    for length, codes in sorted(countries.items()):
        yield f"(?<=(?:{'|'.join(codes)})[0-9]{{2}}){groups_of_four(length - 4, letters)}"


def rules() -> tuple[Rule, ...]:
    """In capitals, and in small letters: there the boundary stands first, because most words are written so."""
    capitals = begins("[A-Z][A-Z][0-9]{2}") + f"(?:{'|'.join(branches('A-Z'))}){END}"
    small = rf"\b[a-z][a-z][0-9]{{2}}(?:{'|'.join(branches('a-z'))}){END}"
    return tuple(Rule(kind="iban", pattern=each, accept=is_iban, source=SOURCE) for each in (capitals, small))
