"""Payment card numbers, 12 to 19 digits.

Rule: the check digit (Luhn) must hold and the first digits must belong to an issuer that gives numbers of that length,
because one random number in ten has a right check digit. A label such as ``card number`` stands in for the issuer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.edges import DASHES, END, begins
from chatproxy_guardrails.checks.pii_rules.labels import OTHER_NUMBERS, Labels, left_of

SOURCE = "ISO/IEC 7812-1; the card networks' published number ranges"
SEPARATOR = f"[ .{DASHES}]"
CARD_WORDS = Labels(
    "amex|american express|(?:bank|credit|debit)?[ _-]?cards?|carta|carte|cc|ccn|ccnum|credit|debit|diners|jcb|karte|"
    "kartennummer|kreditkarte|maestro|mastercard|pan|rupay|tarjeta|unionpay|visa"
)
# First and last prefix of a range, then the lengths given in it.
ISSUERS: Sequence[tuple[str, str, Sequence[int]]] = (
    ("0604", "0604", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("1800", "1800", (15,)),  # JCB
    ("2131", "2131", (15,)),  # JCB
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("2221", "2720", (16,)),  # Mastercard
    ("300", "305", (14, 16)),  # Diners Club
    ("3088", "3094", (16,)),  # JCB
    ("309", "309", (14,)),  # Diners Club
    ("34", "34", (15,)),  # American Express
    ("35", "35", (16,)),  # JCB
    ("36", "36", (14, 16)),  # Diners Club
    ("37", "37", (15,)),  # American Express
    ("38", "39", (14, 16)),  # Diners Club
    ("4", "4", (13, 16, 19)),  # Visa
    ("50", "50", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("51", "55", (16,)),  # Mastercard
    ("56", "59", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("60", "60", (12, 13, 14, 15, 16, 17, 18, 19)),  # Discover, RuPay, Maestro
    ("61", "61", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("63", "69", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro, Discover
    ("81", "82", (16, 17, 18, 19)),  # RuPay, UnionPay
    ("9792", "9792", (16,)),  # Troy
)
ID_WORDS = Labels("id|uid|gid|pid")
IN_A_ROW = regex.compile(r"[0-9]{4} $")
UUID_TAIL = regex.compile(r"[0-9A-Fa-f]{4}-$")


def passes_luhn(number: str) -> bool:
    """Whether the last digit is the check digit of the others.

    Source: ISO/IEC 7812-1, annex B.
    """
    digits = [int(digit) for digit in reversed(number)]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0


def is_issued(number: str) -> bool:
    """Whether some network gives numbers that begin so and are that long."""
    return any(first <= number[: len(first)] <= last and len(number) in lengths for first, last, lengths in ISSUERS)


def digits_of(match: Any) -> str:
    """The digits of a match, without what stands between them."""
    return "".join(filter(str.isdigit, match[0]))


def is_card(match: Any) -> bool:
    """A grouped number; the groups themselves speak for a card."""
    number = digits_of(match)
    if len(set(number)) == 1 or not passes_luhn(number):
        return False
    if CARD_WORDS.precede(match):
        return True
    if OTHER_NUMBERS.name(match) or ID_WORDS.name(match) or IN_A_ROW.search(left_of(match)):
        return False
    return is_issued(number)


def is_plain_card(match: Any) -> bool:
    """A number in the usual groups, or without groups; decimals and the last part of a UUID look alike."""
    if match["decimals"] is not None:
        return False
    return is_card(match) and not (match[0].isdigit() and UUID_TAIL.search(left_of(match)))


def is_odd_card(match: Any) -> bool:
    """A grouped number of other than 16 digits."""
    return len(digits_of(match)) != 16 and is_card(match)


def rules() -> tuple[Rule, ...]:
    """Groups of four, the groups of American Express and Diners Club, no groups."""
    groups = rf"({SEPARATOR})(?:[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}|[0-9]{{6}}\1[0-9]{{4,5}})"
    plain = rf"{begins('[0-9]{4}')}(?:{groups}|[0-9]{{8,15}}(?P<decimals>\.[0-9])?){END}"
    odd = rf"{begins('[0-9]{4}')}({SEPARATOR})[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{1,4}}){{0,2}}{END}"
    return (
        Rule(kind="card", pattern=odd, accept=is_odd_card, source=SOURCE),
        Rule(kind="card", pattern=plain, accept=is_plain_card, source=SOURCE),
    )
