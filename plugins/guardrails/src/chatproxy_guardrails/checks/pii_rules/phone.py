"""Telephone numbers, national ones of the configured regions and international ones.

Rule: a bounded pattern gives candidates, `phonenumbers` (Google's libphonenumber) decides. Without a label such as
``tel:`` a number must be valid, or be written as only telephone numbers are; with one it need only be possible.
Bare digits always need a label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import phonenumbers
import regex

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.edges import DASHES, END
from chatproxy_guardrails.checks.pii_rules.labels import OTHER_NUMBERS, OTHER_SIGNS, Labels, left_of

SOURCE = "ITU-T E.164 and E.123; libphonenumber's metadata"
NOUNS = Labels(
    "cell|cellular|celular|dzwo[nń]|fax|handy|handynummer|hotline|landline|(?:cell|home|smart|tele|work)?phone|m[oó]vil|"
    "mob|mobile?|mobilnummer|mobiltelefon|msisdn|rufnummer|sms|tel|telefax|telefon|telefonnummer|tel[eé]fono|telefone|"
    "telefono|t[ée]l|t[ée]l[ée]phone|tfno|tlf|whats ?app"
)
VERBS = Labels("call|calling|contact|dial|reach|ring|text (?:her|him|me|them|us)")
DATE = regex.compile(
    r"\(?(?:[0-9]{1,2}([./\- ])[0-9]{1,2}\1(?:(?:19|20)[0-9]{2}(?![0-9])|[0-9]{2}$)"
    r"|(?:19|20)[0-9]{2}([./\-])[0-9]{1,2}\2[0-9])"
)
AMERICAN = regex.compile(r"(?:\+?1[ .\-]?|001[ .\-])?(?:\([0-9]{3}\) ?|[2-9][0-9]{2}[.\-])[0-9]{3}[.\-][0-9]{4}")
THREE_THREE_FOUR = regex.compile(r"(?:1[^0-9])?\(?[0-9]{3}[^0-9][^0-9]?[0-9]{3}[^0-9][0-9]{4}(?![0-9])")
AMERICAN_CODE = 1
# No word, sign, time, date, dotted number or country code goes on as a telephone number.
BEFORE = r"(?<![0-9A-Za-z_+])(?<![0-9][.\-/:])(?<!\+[0-9]{1,3}[ .\-(]{1,2})"
PLAIN = regex.compile(r"[0-9]{2,3}(?: [0-9]{2,3}){2,3}")
TRUNK = regex.compile(r"\(?0[1-9]")
# ZIP+4; Brazil's CPF; a row of numbers of four digits; decimals.
OTHER_FORMS = regex.compile(
    r"[0-9]{5}-[0-9]{4}|[0-9]+(?:\.[0-9]+)+-[0-9]+|[0-9]{4}(?: [0-9]{4}){2,3}|[0-9]\.[0-9]{4}.*"
)
NOT_THE_NUMBER = regex.compile(r"(?:id|code|count|index|length|size)[\W_]{0,5}$", regex.IGNORECASE)
LONGEST = 15
SHORTEST = 7
SHORTEST_BARE = 10
Judge = Callable[[phonenumbers.PhoneNumber], bool]


def holds_for_any(text: str, regions: Sequence[str], judge: Judge) -> bool:
    """Whether the number is well formed in some region, or by itself where it begins with ``+``."""
    for region in regions[:1] if text.startswith("+") else regions:
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if judge(number):
            return True
    return False


def is_named_otherwise(match: Any) -> bool:
    """A date, a price, a postal code, one of a row of numbers, or what its label says."""
    text = match[0]
    if DATE.match(text) or OTHER_FORMS.fullmatch(text):
        return True
    return OTHER_NUMBERS.name(match) or OTHER_SIGNS.search(left_of(match)) is not None


def is_phone(regions: Sequence[str], written_as_phone: Callable[[str], bool], match: Any) -> bool:
    """The number is valid; or possible, where its writing or a label speaks for it."""
    if is_labelled_phone(regions, match):
        return True
    if is_named_otherwise(match):
        return False
    text = international(match[0])
    lenient = written_as_phone(text) or NOUNS.precede(match)
    judge = phonenumbers.is_possible_number if lenient else phonenumbers.is_valid_number
    return holds_for_any(text, regions, judge)


def is_labelled_phone(regions: Sequence[str], match: Any) -> bool:
    """A number right behind a label; behind a verb it must be possible in some region."""
    text, digits = match[0], count_digits(match[0])
    if DATE.match(text) or NOT_THE_NUMBER.search(left_of(match)):
        return False
    if NOUNS.name(match):
        return SHORTEST <= digits <= LONGEST
    if not VERBS.name(match) or (text.isdigit() and digits < SHORTEST_BARE):
        return False
    return holds_for_any(international(text), regions, phonenumbers.is_possible_number)


def count_digits(text: str) -> int:
    """Digits without an extension."""
    return sum(map(str.isdigit, text.lower().partition("x")[0]))


def international(text: str) -> str:
    """The number with ``+`` where it was written with ``00``."""
    return "+" + text[2:] if text.startswith("00") else text


def has_groups(text: str) -> bool:
    """An international number of ten digits or more that is cut into groups."""
    return count_digits(text) >= 10 and not text[1:].isdigit()


def is_american(text: str) -> bool:
    """Three, three and four digits, with brackets, dashes or dots."""
    return AMERICAN.match(text) is not None


def has_area_in_brackets(text: str) -> bool:
    """``(030) 123456``."""
    return text.startswith("(")


def is_trunk_phone(regions: Sequence[str], match: Any) -> bool:
    """A national number that begins with 0; bare digits need a label."""
    if match[0].isdigit():
        return is_labelled_phone(regions, match)
    return is_phone(regions, has_area_in_brackets, match)


def is_other_phone(regions: Sequence[str], match: Any) -> bool:
    """A number behind a label; or one in groups with blanks, in a country without trunk prefix."""
    if is_labelled_phone(regions, match):
        return True
    plain = [region for region in regions if has_no_trunk_prefix(region)]
    return PLAIN.fullmatch(match[0]) is not None and is_phone(plain, has_area_in_brackets, match)


def has_no_trunk_prefix(region: str) -> bool:
    """Spain, Poland and others, where national numbers have one form."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(region)
    return metadata is not None and metadata.national_prefix is None


def decide(regions: Sequence[str], match: Any) -> bool:
    """Ask what the beginning calls for."""
    text = match[0]
    if text.startswith(("+", "00")):
        return is_phone(regions, has_groups, match)
    if TRUNK.match(text):
        return is_trunk_phone(regions, match)
    if not THREE_THREE_FOUR.match(text):
        return is_other_phone(regions, match)
    american = [region for region in regions if phonenumbers.country_code_for_region(region) == AMERICAN_CODE]
    return is_phone(american, is_american, match)


def rules(regions: Sequence[str]) -> tuple[Rule, ...]:
    """International, American, with a trunk prefix, and what only a label makes a telephone number.

    One pattern, because each costs its time on every event of a stream. The exact forms stand first, so that they end
    where they should when other digits follow.

    Args:
        regions: ISO 3166-1 codes of the countries whose national forms count.
    """
    gap = rf"[ .{DASHES}]"
    gaps = rf"(?: ?[./{DASHES}] ?| )?"
    bracketed = rf"(?: ?[./{DASHES}] ?| |[ ]?\([0-9]{{1,5}}\)[ .\-]?|\)[ .\-]?)?"
    forms = (
        rf"\+1{gap}?\(?[0-9]{{3}}\)?{gap}?[0-9]{{3}}{gap}?[0-9]{{4}}",
        rf"(?:\+|00(?=[1-9]))[1-9](?:{bracketed}[0-9]){{6,14}}",
        rf"(?:1{gap})?(?:\([0-9]{{3}}\) ?|[1-9][0-9]{{2}}{gap})[0-9]{{3}}{gap}[0-9]{{4}}",
        rf"\(?0[1-9](?:{gaps}[0-9]|\)[ .\-]?[0-9]){{5,11}}",
        rf"\(?[0-9](?:(?:{gaps}|\)[ .\-]?)[0-9]){{6,13}}",
    )
    extension = r"(?:[ ,]{0,2}(?:x|ext\.?)[ .]?[0-9]{1,6})?"
    pattern = rf"(?=[0-9(+]){BEFORE}(?:{'|'.join(forms)}){extension}{END}"
    return (Rule(kind="phone", pattern=pattern, accept=partial(decide, tuple(regions)), source=SOURCE),)
