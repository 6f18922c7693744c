"""The check ``pii``: personal data that a pattern and a checksum can tell.

Rule: this module chooses and filters; the rules themselves live in ``pii_rules``. Names and places of people are no
patterns: the check ``names`` finds those.

Presidio's engine was measured on the same 1,800 generated texts (19 locales of Faker; presidio-analyzer 2.2.366, blank
spaCy pipeline, threshold 0.4): F1 of cards 0.78 and of telephone numbers 0.73, 400 of 1,480 look-alikes reported, 3.8
ms for 2 KB; these rules: 1.00 and 0.91, 15 look-alikes, 0.2 ms. So its recognisers serve here (extra ``presidio``),
and its engine does not.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase, translate
from functools import partial
from typing import Annotated, Any

import msgspec
import phonenumbers
import regex

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.checks.pii_rules import card, crypto, email, iban, network, phone, ssn
from chatproxy_guardrails.matching.decoding import encoded_rules

DEFAULT_ENTITIES = ("email", "iban", "card", "us_ssn", "ip", "phone", "crypto_wallet")
PRESIDIO = regex.compile("[^a-z]*[A-Z][^a-z]*")
ALLOW_TIMEOUT_S = 0.1
Score = Annotated[float, msgspec.Meta(ge=0, le=1)]


class PiiOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Settings of the check ``pii``.

    Attributes:
        entities: what to look for, by name or glob. Small letters: this package's own (`OWN`). Capitals: those of
            presidio-analyzer (extra ``presidio``), for example ``IN_AADHAAR`` or ``UK_*``.
        exclude: globs of entities to leave out.
        allow: globs of values that are never reported, for example ``*@example.com``; case does not matter.
        allow_patterns: the same as regular expressions of the whole value.
        regions: ISO 3166-1 codes of the countries whose national telephone numbers count.
        min_score: how sure presidio's recognisers must be; a checksum that holds is 1.
        encoded: also find runs of base64, hexadecimal digits and percent codes that hold any of these, as kind
            ``encoded_value``.
    """

    entities: tuple[str, ...] = DEFAULT_ENTITIES
    exclude: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    allow_patterns: tuple[str, ...] = ()
    regions: tuple[str, ...] = ("US", "GB", "DE", "FR", "IN", "AU")
    min_score: Score = 0.4
    encoded: bool = True


RulesOf = Callable[[PiiOptions], Sequence[Rule]]


def phone_rules(options: PiiOptions) -> Sequence[Rule]:
    """Telephone numbers of the configured regions.

    Raises:
        ValueError: a region is unknown.
    """
    unknown = sorted(set(options.regions) - phonenumbers.SUPPORTED_REGIONS)
    if unknown or not options.regions:
        raise ValueError(f"regions must be ISO 3166-1 codes such as 'US', found {unknown}")
    return phone.rules(options.regions)


# In the order in which they win where two findings overlap.
OWN: dict[str, RulesOf] = {
    "email": lambda _: email.rules(),
    "iban": lambda _: iban.rules(),
    "crypto_wallet": lambda _: crypto.rules(),
    "card": lambda _: card.rules(),
    "us_ssn": lambda _: ssn.rules(),
    "ip": lambda _: network.ip_rules(),
    "mac_address": lambda _: network.mac_rules(),
    "phone": phone_rules,
}


def chosen(globs: Sequence[str], exclude: Sequence[str], names: Sequence[str]) -> list[str]:
    """The names that some glob fits and none of ``exclude``, in their own order.

    Raises:
        ValueError: a glob fits no name.
    """
    for glob in globs:
        if not any(fnmatchcase(name, glob) for name in names):
            raise ValueError(f"entities: {glob!r} is none of {', '.join(names)}")
    wanted = (name for name in names if any(fnmatchcase(name, glob) for glob in globs))
    return [name for name in wanted if not any(fnmatchcase(name, glob) for glob in exclude)]


def accept_unless(allowed: Sequence[Any], accept: Callable[[Any], bool] | None, group: int | str, match: Any) -> bool:
    """The rule's own decision about a match whose value nothing allows."""
    if accept is not None and not accept(match):
        return False
    value = match[group]
    return not any(pattern.fullmatch(value, timeout=ALLOW_TIMEOUT_S) for pattern in allowed)


def with_allowed(rule: Rule, allowed: Sequence[Any]) -> Rule:
    """The rule, without findings of the allowed values."""
    return msgspec.structs.replace(rule, accept=partial(accept_unless, allowed, rule.accept, rule.group))


def allowed_values(options: PiiOptions) -> list[Any]:
    """Compiled patterns of what is never reported.

    Raises:
        ValueError: a pattern is wrong.
    """
    patterns = [translate(glob) for glob in options.allow] + list(options.allow_patterns)
    try:
        return [regex.compile(pattern, regex.IGNORECASE) for pattern in patterns]
    except regex.error as exc:
        raise ValueError(f"allow_patterns: {exc}") from exc


def foreign_rules(globs: Sequence[str], options: PiiOptions) -> Sequence[Rule]:
    """Rules of presidio's recognisers; it is imported here, so that only those pay who ask for it.

    Raises:
        ValueError: it is not installed, or an entity cannot be had.
    """
    try:
        presidio = importlib.import_module("chatproxy_guardrails.checks.pii_presidio")
    except ModuleNotFoundError as exc:
        raise ValueError(f"entities: {globs[0]!r} needs pip install 'chatproxy-guardrails[presidio]'") from exc
    names = chosen(globs, options.exclude, presidio.presidio_entities())
    rules: Sequence[Rule] = presidio.presidio_rules(names, options.min_score)
    return rules


def rules_of(options: PiiOptions) -> list[Rule]:
    """Rules of the chosen entities, this package's own first."""
    foreign = [glob for glob in options.entities if PRESIDIO.fullmatch(glob)]
    own = [glob for glob in options.entities if glob not in foreign]
    rules = [rule for name in chosen(own, options.exclude, list(OWN)) for rule in OWN[name](options)]
    return [*rules, *foreign_rules(foreign, options)] if foreign else rules


class PiiCheck:
    """Finds personal data; a `PatternCheck`."""

    def __init__(self, options: PiiOptions) -> None:
        rules, allowed = rules_of(options), allowed_values(options)
        if not rules:
            raise ValueError("entities: nothing is left to look for")
        plain = [with_allowed(rule, allowed) for rule in rules] if allowed else rules
        self.rules: Sequence[Rule] = [*plain, *encoded_rules(plain)] if options.encoded else plain


CHECK = CheckType(
    options=PiiOptions,
    make=PiiCheck,
    summary="Personal data with a shape: e-mail, cards, IBAN, IP addresses, social security and telephone numbers.",
)
