"""Check ``regex``: patterns of the operator's own."""

import pytest
from chatproxy_guardrails.checks.patterns import CHECK, Options, Pattern, Patterns
from chatproxy_guardrails.matching import Matcher


def found(options: Options, text: str) -> list[tuple[str, str]]:
    scanned = Matcher(Patterns(options).rules).scan(text)
    return [(finding.kind, text[finding.start : finding.end]) for _, _, finding in scanned if finding is not None]


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (Pattern(name="ticket", pattern=r"\bTIC-\d{4,6}\b"), "see TIC-12345", [("ticket", "TIC-12345")]),
        (Pattern(name="low", pattern="abc", ignore_case=True), "ABC", [("low", "ABC")]),
        (Pattern(name="part", pattern=r"id=(\d{1,9})", group=1), "id=77;", [("part", "77")]),
        (Pattern(name="named", pattern=r"id=(?P<n>\d{1,9})", group="n"), "id=77;", [("named", "77")]),
        (Pattern(name="keyed", pattern=r"EMP\d{3}", keywords=("EMP",)), "EMP123 emp123", [("keyed", "EMP123")]),
        (Pattern(name="none", pattern=r"x{3}"), "xx", []),
    ],
    ids=["plain", "case", "group", "name", "keywords", "nothing"],
)
def test_a_pattern_is_found_as_its_options_say(pattern: Pattern, text: str, expected: list[tuple[str, str]]) -> None:
    assert found(Options(patterns=(pattern,)), text) == expected


@pytest.mark.parametrize(
    "pattern",
    [r"a.*b", r"\d+", r"(a|b){2,}x", "(", r"(?=.{0,20}x)a", ""],
    ids=["star", "plus", "open-count", "syntax", "lookahead", "empty"],
)
def test_a_pattern_that_would_hold_a_stream_for_ever_is_refused_by_name(pattern: str) -> None:
    with pytest.raises(ValueError, match="staff_number"):
        CHECK.make(Options(patterns=(Pattern(name="staff_number", pattern=pattern),)))
