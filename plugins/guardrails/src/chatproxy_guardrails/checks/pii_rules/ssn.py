"""Social security numbers of the United States.

Rule: three, two and four digits speak for themselves; nine digits without groups need a label such as ``SSN`` in front.
"""

from __future__ import annotations

from typing import Any

from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.pii_rules.edges import DASHES, begins
from chatproxy_guardrails.checks.pii_rules.labels import OTHER_NUMBERS, OTHER_SIGNS, Labels, left_of

SOURCE = "Social Security Administration, POMS RM 10201.035 (invalid numbers)"
SSN_WORDS = Labels("ssn|social[ _-]?sec(?:urity)?|soc[ .]?sec|ss[ #]?(?:no|num)?")


def is_assignable(area: str, group: str, serial: str) -> bool:
    """Area 000, 666 and 900 to 999, group 00 and serial 0000 are never given."""
    return area not in {"000", "666"} and area < "900" and group != "00" and serial != "0000"


def is_ssn(match: Any) -> bool:
    """A number that may have been given, and is not called something else."""
    area, separator, group, serial = match.group(1, 2, 3, 4)
    if not is_assignable(area, group, serial):
        return False
    if SSN_WORDS.name(match):
        return True
    if separator == "":
        return SSN_WORDS.precede(match)
    return not OTHER_NUMBERS.name(match) and OTHER_SIGNS.search(left_of(match)) is None


def rules() -> tuple[Rule, ...]:
    """Three, two and four digits with one separator, or none."""
    area = rf"({begins('[0-9]{3}')}(?<!\-[0-9]{{3}}))"
    pattern = rf"{area}([ .{DASHES}]?)([0-9]{{2}})\2([0-9]{{4}})(?![0-9A-Za-z_\-])"
    return (Rule(kind="us_ssn", pattern=pattern, accept=is_ssn, source=SOURCE),)
