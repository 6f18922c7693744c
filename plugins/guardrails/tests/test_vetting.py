"""Vetting: which patterns may be used, and what is said about the others."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

import pytest
import regex
from chatproxy_guardrails.checks.base import CheckFailedError, Rule
from chatproxy_guardrails.checks.secrets import Secrets, SecretsOptions
from chatproxy_guardrails.matching import Matcher, Stopped, TextStage, vet
from chatproxy_guardrails.matching.vetting import probe


@pytest.mark.parametrize(
    ("pattern", "length", "lookbehind"),
    [
        pytest.param("abc", 4, 0, id="literal"),
        pytest.param(r"(?<![\w.])\w{1,64}@(?:[a-z]{1,10}\.){1,3}[a-z]{2,4}(?!\w)", 103, 1, id="e-mail"),
        pytest.param(r"(?:(?<=ab{2})|(?<=\\[nrt]))x", 2, 3, id="lookbehinds"),
        pytest.param(r"(?P<q>[ab]{1,3})x(?P=q)\1", 11, 0, id="references are as long as their group"),
        pytest.param(r"(?i:Ab)(?>c|dd)e?+", 6, 0, id="atomic, possessive, scoped flags"),
        pytest.param(r"(?x) a b # three\n c", 3, 0, id="verbose"),
        pytest.param(r"a(?|b|c)\p{L}\h\R\N{DIGIT ONE}\Z", 8, 0, id="syntax of the regex package only"),
        pytest.param(r"(a)?(?(1)b|ccc)", 5, 0, id="condition"),
        pytest.param(r"(?m)^a$", 2, 0, id="lines"),
    ],
)
def test_bounded_patterns_pass_with_their_measures(pattern: str, length: int, lookbehind: int) -> None:
    shape = vet(Rule(kind="k", pattern=pattern))
    assert (shape.length, shape.lookbehind) == (length, lookbehind)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        pytest.param("a*b", "write {0,200} instead of *", id="star"),
        pytest.param("ab+", "{1,200} instead of +", id="plus"),
        pytest.param("(?:a{1,200}){1,200}", "longer than 12,000 characters", id="product"),
        pytest.param(r"(a{1,9})(?:\1){2,}", "longer than", id="open count"),
        pytest.param("a?", "matches the empty text", id="empty"),
        pytest.param(r"\b(?=a)", "matches the empty text", id="zero width"),
        pytest.param("a(?=bc)", "looks ahead over more than one", id="lookahead"),
        pytest.param(r"a(?!b(?!c))", "looks ahead over more than one", id="lookahead in a lookahead"),
        pytest.param("(?<=a{65})b", "looks behind over more than 64", id="lookbehind"),
        pytest.param("(?<=a(?=b))b", "a lookbehind that looks ahead", id="lookahead in a lookbehind"),
        pytest.param("ab$", r"write \Z or a lookahead", id="end of text or line"),
        pytest.param(r"\Gab", r"\G is not possible", id="search anchor"),
        pytest.param(r"a(?R)?b", "recursion", id="recursion"),
        pytest.param(r"(?:ab){e<=1}", "fuzzy", id="fuzzy"),
        pytest.param(r"a\Kb", r"\K", id="keep"),
        pytest.param(r"\X", r"\X", id="grapheme"),
        pytest.param(r"(?r)ab", "flags", id="reverse"),
        pytest.param("(ab", "missing )", id="no pattern"),
        pytest.param("(?:a{1,20}){1,20}b", "avoid quantifiers inside quantifiers", id="catastrophic"),
        pytest.param("(?:a|a|aa){1,40}b", "avoid quantifiers inside quantifiers", id="ambiguous"),
        pytest.param(r"x(?:[\w.]{1,30}){1,30}@", "avoid quantifiers inside quantifiers", id="behind a beginning"),
    ],
)
def test_other_patterns_are_refused_with_what_to_change(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match="rule 'mine': ") as caught:
        vet(Rule(kind="mine", pattern=pattern))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        pytest.param(Rule(kind="k", pattern="(a)", group=2), "no group 2", id="number"),
        pytest.param(Rule(kind="k", pattern="(a)", group=-1), "no group -1", id="negative"),
        pytest.param(Rule(kind="k", pattern="(a)", group="x"), "no group 'x'", id="name"),
        pytest.param(Rule(kind="k", pattern="a", keywords=("a", "")), "a keyword is empty", id="keyword"),
    ],
)
def test_rules_that_do_not_fit_their_pattern_are_refused(rule: Rule, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vet(rule)


def test_a_rule_with_keywords_is_probed_behind_them() -> None:
    with pytest.raises(ValueError, match="avoid quantifiers inside quantifiers"):
        vet(Rule(kind="k", pattern="key(?:a{1,20}){1,20}b", keywords=("key",)))


def test_a_rule_for_keys_is_probed_with_lines_of_base64_behind_its_header() -> None:
    pattern = r"-----BEGIN OWN KEY-----\n(?:(?:[A-Za-z0-9+/=]{1,76}){1,4}\s{0,2}){1,30}-----END"
    with pytest.raises(ValueError, match="avoid quantifiers inside quantifiers"):
        vet(Rule(kind="k", pattern=pattern, keywords=("-----BEGIN",)))


def test_the_tables_of_secrets_which_are_not_probed_at_every_start_pass_the_probes() -> None:
    rules = Secrets(SecretsOptions(encoded=False)).rules
    for rule in rules:
        probe(rule)
    assert len(rules) > 300


def test_patterns_are_complete_where_the_parser_stops() -> None:
    with pytest.raises(ValueError, match="rule 'k': unbalanced parenthesis"):
        vet(Rule(kind="k", pattern="ab)c", keywords=("ab",)))
    with pytest.raises(ValueError, match=r"rule 'k': .*group"):
        vet(Rule(kind="k", pattern=r"ab(?P=other)", keywords=("ab",)))


def nodes(node: Any) -> Iterator[Any]:
    yield node
    for inner in (*getattr(node, "items", ()), *getattr(node, "branches", ()), getattr(node, "subpattern", None)):
        if hasattr(inner, "max_width"):
            yield from nodes(inner)


@pytest.mark.parametrize(
    ("pattern", "name", "attributes"),
    [
        pytest.param("abc", "Sequence", ("items",), id="sequence"),
        pytest.param("a|bc", "Branch", ("branches",), id="branch"),
        pytest.param("a{1,2}", "GreedyRepeat", ("subpattern", "min_count", "max_count"), id="greedy"),
        pytest.param("a{1,2}?", "LazyRepeat", ("subpattern", "min_count", "max_count"), id="lazy"),
        pytest.param("a{1,2}+", "PossessiveRepeat", ("subpattern", "min_count", "max_count"), id="possessive"),
        pytest.param("(a)", "Group", ("subpattern", "group"), id="group"),
        pytest.param("(?>a)", "Atomic", ("subpattern",), id="atomic"),
        pytest.param(r"(a)\1", "RefGroup", ("group",), id="reference"),
        pytest.param("(?<=a)b", "LookAround", ("subpattern", "behind", "positive"), id="lookaround"),
        pytest.param("(a)?(?(1)b|c)", "Conditional", ("yes_item", "no_item"), id="condition"),
        pytest.param(
            "(?(?=a)b|c)", "LookAroundConditional", ("subpattern", "yes_item", "behind"), id="lookaround asked"
        ),
        pytest.param("a", "Character", ("value", "matches", "positive", "case_flags"), id="character"),
        pytest.param("[a-c]", "Range", ("lower", "upper", "matches", "positive", "case_flags"), id="range"),
        pytest.param("[ab.]", "SetUnion", ("items", "matches", "positive", "case_flags"), id="set"),
        pytest.param(r"\w", "Property", ("matches", "positive"), id="property"),
        pytest.param("(?:ab){e<=1}", "Fuzzy", ("subpattern",), id="fuzzy"),
        pytest.param(r"(a)(?1)", "CallGroup", (), id="call"),
        pytest.param(r"ab$", "EndOfStringLine", (), id="end of line"),
        pytest.param(r"\Gab", "SearchAnchor", (), id="search anchor"),
        pytest.param(r"a\Kb", "Keep", (), id="keep"),
        pytest.param(r"\X", "Grapheme", (), id="grapheme"),
    ],
)
def test_the_parser_of_the_regex_package_is_the_one_that_syntax_reads(
    pattern: str, name: str, attributes: tuple[str, ...]
) -> None:
    core = importlib.import_module("regex._regex_core")
    version = importlib.import_module("importlib.metadata").version("regex")
    advice = f"regex {version} parses {pattern!r} otherwise; adapt matching/syntax.py, or require an older regex"
    source = core.Source(pattern)
    info = core.Info(regex.VERSION0, source.char_type, {})
    info.guess_encoding = core.UNICODE
    found = [node for node in nodes(core._parse_pattern(source, info)) if type(node).__name__ == name]
    assert found, f"{advice}: there is no {name}"
    missing = [attribute for attribute in attributes if not hasattr(found[0], attribute)]
    assert not missing, f"{advice}: {name} has no {missing}"


def test_a_matcher_names_the_rule_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="rule number 1: rule 'second': its matches"):
        Matcher([Rule(kind="first", pattern="a"), Rule(kind="second", pattern="ba*")])


def test_a_pattern_that_takes_too_long_fails_its_check_and_lets_the_text_go() -> None:
    slow = Rule(kind="slow", pattern=r"(?:[a-z]{1,3}[0-9]){1,3}@")
    stage = TextStage(Matcher([slow], timeout_s=1e-9), lambda _, __: "x")
    text = "secret" * 2_000
    with pytest.raises(CheckFailedError, match="rule 'slow' took over") as caught:
        stage.feed(text)
    assert "secret" not in str(caught.value)
    assert stage.give_up() == text
    assert stage.feed("more") + stage.finish() == "more"


def test_a_stopped_text_says_what_and_keeps_the_finding_to_itself() -> None:
    stage = TextStage(Matcher([Rule(kind="word", pattern="forbidden")]), None, stops=True)
    released = stage.feed("this is f")
    with pytest.raises(Stopped) as caught:
        stage.feed("orbidden, ")
    assert (released, caught.value.released, caught.value.kind) == ("this is ", "", "word")
    assert "forbidden" not in repr(caught.value)
