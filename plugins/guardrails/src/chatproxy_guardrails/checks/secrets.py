"""Check ``secrets``: tokens of some 380 kinds, private keys, connection strings, and values of telling names.

Rule: what a secret looks like stands in the tables of `secret_rules`; here they are chosen and made ready.

The table is written here: of the shapes in this check's tests detect-secrets 1.5 finds 9 % (in files), CredSweeper
1.19 finds 58 %; both match unbounded patterns on lines of files, which cannot be done on a stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any

import msgspec

from chatproxy_guardrails.checks.base import CheckType, Rule
from chatproxy_guardrails.checks.secret_rules import PROVIDER_RULES
from chatproxy_guardrails.checks.secret_rules.checksums import CHECKSUMS
from chatproxy_guardrails.checks.secret_rules.generic import generic_rules
from chatproxy_guardrails.matching.decoding import encoded_rules
from chatproxy_guardrails.matching.vetting import skip_probes

Accept = Callable[[Any], bool]


class SecretsOptions(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Options of the check ``secrets``.

    Attributes:
        kinds: globs of the kinds to find, for example ``github_*``.
        exclude_kinds: globs of the kinds to leave alone.
        allow: values that are no secrets, as they are written.
        allow_patterns: regular expressions; a value that one matches from end to end is no secret.
        generic: also find values by their names (``password = …``).
        min_length: of a value under a name like ``token``, in characters; shorter ones must be all the more mixed.
        min_entropy: of such a value, in bits per character.
        verify_checksums: leave out tokens whose checksum is wrong (GitHub, npm, Grafana). Off, because a mistyped token
            is still near enough to a secret, and providers change their checksums.
        encoded: also find runs of base64, hexadecimal digits and percent codes that hold any of these, as kind
            ``encoded_value``.
    """

    kinds: tuple[str, ...] = ("*",)
    exclude_kinds: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    allow_patterns: tuple[str, ...] = ()
    generic: bool = True
    min_length: Annotated[int, msgspec.Meta(ge=8, le=128)] = 12
    min_entropy: Annotated[float, msgspec.Meta(ge=0, le=6)] = 2.8
    verify_checksums: bool = False
    encoded: bool = True


class Secrets:
    """Finds secrets by rules.

    Raises:
        ValueError: no kind is left to find, or a pattern of ``allow_patterns`` is none.
    """

    rules: Sequence[Rule]

    def __init__(self, options: SecretsOptions) -> None:
        allowed = _allowed(options)
        plain = [
            msgspec.structs.replace(rule, accept=_accept(rule, options, allowed))
            for rule in table(options)
            if _is_wanted(rule.kind, options)
        ]
        if not plain:
            raise ValueError("kinds: no kind of secret is left to find")
        skip_probes(plain)
        self.rules = (*plain, *encoded_rules(plain)) if options.encoded else tuple(plain)


def table(options: SecretsOptions) -> tuple[Rule, ...]:
    """All rules, before kinds are chosen, the more telling ones first."""
    if not options.generic:
        return PROVIDER_RULES
    return (*PROVIDER_RULES, *generic_rules(min_length=options.min_length, min_entropy=options.min_entropy))


def _is_wanted(kind: str, options: SecretsOptions) -> bool:
    chosen = any(fnmatchcase(kind, glob) for glob in options.kinds)
    return chosen and not any(fnmatchcase(kind, glob) for glob in options.exclude_kinds)


def _allowed(options: SecretsOptions) -> Callable[[str], bool]:
    """Whether the operator said that a value is no secret."""
    literals = frozenset(options.allow)
    patterns = tuple(_compiled(pattern) for pattern in options.allow_patterns)
    return lambda value: value in literals or any(pattern.fullmatch(value) for pattern in patterns)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as exc:
        raise ValueError(f"allow_patterns: {pattern!r} is no regular expression: {exc}") from exc


def _accept(rule: Rule, options: SecretsOptions, allowed: Callable[[str], bool]) -> Accept | None:
    """The rule's own judgement, the checksum where it counts, and the operator's exceptions, cheapest first."""
    tests: list[Accept] = [rule.accept] if rule.accept else []
    if options.verify_checksums and rule.kind in CHECKSUMS:
        holds = CHECKSUMS[rule.kind]
        tests.append(lambda match: holds(match[rule.group]))
    if options.allow or options.allow_patterns:
        tests.append(lambda match: not allowed(match[rule.group]))
    if len(tests) <= 1:
        return tests[0] if tests else None
    return lambda match: all(test(match) for test in tests)


CHECK = CheckType(
    options=SecretsOptions,
    make=Secrets,
    summary="Finds tokens, keys, passwords and connection strings.",
)
