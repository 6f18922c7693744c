"""The law: for every way of cutting a text, what a stage makes, counts and stops at is what the whole text gives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from typing import Any

import pytest
import regex
from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching import Matcher, Stopped, TextStage, normalise
from hypothesis import example, given, settings
from hypothesis import strategies as st

Outcome = tuple[str, dict[str, int], str]

CUTTINGS_OF_AN_EXAMPLE = 40


def digit_sum_is_even(match: Any) -> bool:
    digits: str = match[0]
    return sum(int(char) for char in digits if char.isdigit()) % 2 == 0


def follows_no_sign(match: Any) -> bool:
    before: str = match.string[max(0, match.start() - 64) : match.start()]
    return before.count("#") % 2 == 0


RULES = (
    Rule(kind="email", pattern=r"(?<![\w.])\w(?:[\w+]|\.(?=\w)){0,11}@(?:[a-z]{1,5}\.){1,2}[a-z]{2,4}(?![\w(])"),
    Rule(kind="key", pattern=r"(?<![A-Za-z])(?:sk-|sk-ant-)[a-z0-9]{4,8}(?![a-z0-9])", keywords=("sk-", "sk-ant-")),
    Rule(
        kind="named",
        pattern=r"(?<!\w)(?:pass|password)[\"']?\s{0,3}(?:=|:| is )\s{0,3}[\"']?(?P<value>[^\s\"']{3,9})",
        keywords=("pass", "password"),
        group="value",
        ignore_case=True,
    ),
    Rule(kind="card", pattern=r"(?<!\d)\d{4}([ \-.]?)\d{4}\1\d{2,4}(?!\d)", accept=digit_sum_is_even),
    Rule(kind="number", pattern=r"\d{2,3}(?P<more>[.,]\d)?", accept=follows_no_sign),
    Rule(kind="block", pattern=r"-----BEGIN-----[a-z\s]{0,40}-----END-----", keywords=("-----BEGIN",)),
    Rule(kind="shadow", pattern=r"ab@[a-z]{3}z|@"),
    Rule(kind="inner", pattern=r"word[-:]?[a-z0-9]{0,9}(?![a-z0-9-])", keywords=("word",), ignore_case=True),
    Rule(kind="outer", pattern=r"PASS-WORD-[0-9]{1,4}[a-z]{0,4}(?![a-z0-9])", keywords=("PASS-WORD-",)),
    Rule(kind="edge", pattern=r"\bend\b|\bends?\Z", keywords=("end",)),
    Rule(kind="lazy", pattern=r"<a>.{0,6}?</a>", keywords=("<a>",)),
    Rule(kind="line", pattern=r"(?m)^(?:foo|foobar)$"),
    Rule(kind="atomic", pattern=r"(?>xy|xyz)w{1,2}+q?"),
    Rule(kind="ligature", pattern=r"fi[a-c]{1,2}|kg|(?<=k)g|[aw]f(?=i)"),
    Rule(kind="account", pattern=r"[A-Za-z](?<!\w[A-Za-z])[A-Za-z][0-9]{2}(?: ?[0-9a-z]{4}){2}(?![0-9a-z])"),
    Rule(kind="long", pattern=r"(?<![A-Za-z0-9-])[0-9a-f]{16}-us[0-9]{1,2}(?![A-Za-z0-9-])"),
    Rule(kind="longer", pattern=r"\b[0-9a-f-]{20,22}(?:us)?[.:]?\b"),
    Rule(kind="lines", pattern=r"(?<!\w)[0-9a-f]{12}\n[0-9a-f]{8}(?!\w)"),
    Rule(kind="dotted", pattern=r"MT[0-9a-f]{6}\.[0-9a-f]{8}(?![0-9a-f])", keywords=("MT",)),
    Rule(kind="cyrillic", pattern=r"секрет\w{0,3}", keywords=("секрет",), ignore_case=True),
)
FRAGMENTS = (
    *("foo@bar.com", "a.b@cc.de", "a@b", ".org", "sk-", "sk-ant-", "abc1", "0f9e", "sk-abcd1234", "pass", "password"),
    *(
        'password = "',
        "Pass: ",
        " is ",
        "hunter2",
        "'",
        '"',
        "1234",
        "12345678",
        "4111 1111 22",
        "DE12 ",
        "xy34",
        "12",
        "3,4",
        "#",
        "-",
    ),
    *("-----BEGIN-----", "-----BEGIN", "-----END-----", "-----", "end", "ends", "bend", "<a>", "</a>", "x", "xy", "zw"),
    *(
        "0123456789abcdef",
        "0123456789abcdef-us1",
        "-us",
        "MT012345",
        "MT",
        ".6789abcd",
        "0123456789ab\ncdef0123",
        "…",
        "½",
        "“",
        "\u00a0",
    ),
    *("PASS-WORD-12", "PASS-", "WORD-", "ab@", "abcz"),
    *("foo", "foobar", "\n", " ", ". ", "q", "w", "\u200b", "\ufeff", "e\u0301", "ﬁ", "㎏", "ａ", "１２", "٣٤", "а"),
    *("ѕк", "ѕ", "секрет", "секреты", "é", "😀", "\\", "\\u", "\\n", "fi", "ab", "@", "_", "ß", "İ", "ſk-"),
)
JSON_FRAGMENTS = (
    *FRAGMENTS,
    *("{", "}", "[", "]", ":", ",", '"', '":"', '","', '{"', '"}', "\\u0040", "\\u00", "\\/", "\\\\", '\\"', "\\ud83d"),
    *("\\ude00", "4111111122", "-12.5e3", "true", "\\u0061", "\\u0073k-"),
)
texts = st.lists(st.sampled_from(FRAGMENTS), max_size=14).map("".join)
json_texts = st.lists(st.sampled_from(JSON_FRAGMENTS), max_size=16).map(lambda parts: '{"a":' + "".join(parts))
chosen_rules = st.lists(st.sampled_from(RULES), min_size=1, max_size=6, unique=True)
seeds = st.integers(0, 2**32)
MATCHERS: dict[tuple[str, ...], Matcher] = {}


def matcher(rules: Sequence[Rule]) -> Matcher:
    key = tuple(rule.kind for rule in rules)
    if key not in MATCHERS:
        MATCHERS[key] = Matcher(rules)
    return MATCHERS[key]


def mark(kind: str, value: str) -> str:
    return f'<{kind}"{len(value)}>'


def outcome(stage: TextStage, pieces: Iterable[str]) -> Outcome:
    """What went out, the counts, and the kind that stopped the text."""
    made: list[str] = []
    try:
        made += (stage.feed(piece) for piece in pieces)
        made.append(stage.finish())
    except Stopped as stop:
        return "".join(made) + stop.released, stage.found, stop.kind
    return "".join(made), stage.found, ""


def cut(text: str, seed: int, number: int) -> list[str]:
    """Pieces of up to nine characters (or 30), some empty; each number cuts in its own way."""
    sizes = ((1,), (1, 2, 3), (0, 1, 4, 9), (4,), (2, 30))[number % 5]
    draws = cycle(hashlib.blake2b(f"{seed} {number}".encode()).digest())
    pieces, at = [], 0
    while at < len(text):
        size = sizes[next(draws) % len(sizes)]
        pieces.append(text[at : at + size])
        at += size
    return pieces


def assert_law(make: Callable[[], TextStage], text: str, seed: int) -> Outcome:
    whole = outcome(make(), [text])
    for number in range(CUTTINGS_OF_AN_EXAMPLE):
        pieces = cut(text, seed, number)
        assert outcome(make(), pieces) == whole, pieces
    return whole


@settings(max_examples=110, deadline=None)
@given(rules=chosen_rules, text=texts, seed=seeds)
@example(rules=list(RULES), text="".join(FRAGMENTS), seed=1)
@example(rules=list(RULES), text=" ".join(FRAGMENTS), seed=2)
def test_any_cutting_rewrites_like_the_whole(rules: list[Rule], text: str, seed: int) -> None:
    assert_law(lambda: TextStage(matcher(rules), mark), text, seed)


@settings(max_examples=80, deadline=None)
@given(rules=chosen_rules, text=json_texts, seed=seeds)
@example(rules=list(RULES), text='{"a":"' + "".join(JSON_FRAGMENTS), seed=1)
def test_any_cutting_of_json_rewrites_like_the_whole(rules: list[Rule], text: str, seed: int) -> None:
    assert_law(lambda: TextStage(matcher(rules), mark, is_json=True), text, seed)


@settings(max_examples=8, deadline=None)
@given(parts=st.lists(st.sampled_from(JSON_FRAGMENTS), min_size=3, max_size=12), seed=seeds, is_json=st.booleans())
@example(parts=list(FRAGMENTS), seed=3, is_json=False)
def test_any_cutting_of_a_long_text_rewrites_like_the_whole(parts: list[str], seed: int, is_json: bool) -> None:
    """Long enough that a stage forgets what it released long ago."""
    text = ('{"a":"' if is_json else "") + "".join(parts) * (2_600 // len("".join(parts)) + 1)
    whole = outcome(TextStage(matcher(RULES), mark, is_json=is_json), [text])
    for number in (1, 2):
        assert outcome(TextStage(matcher(RULES), mark, is_json=is_json), cut(text, seed, number)) == whole


@settings(max_examples=50, deadline=None)
@given(rules=chosen_rules, text=texts, seed=seeds)
def test_any_cutting_stops_like_the_whole(rules: list[Rule], text: str, seed: int) -> None:
    released, found, kind = assert_law(lambda: TextStage(matcher(rules), None, stops=True), text, seed)
    assert text.startswith(released)
    assert bool(kind) == (released != text) == bool(found)


@settings(max_examples=30, deadline=None)
@given(rules=chosen_rules, text=texts, seed=seeds, stops=st.booleans())
def test_any_cutting_held_to_its_end_ends_like_the_whole(rules: list[Rule], text: str, seed: int, stops: bool) -> None:
    rewrite = None if stops else mark
    released, _, kind = assert_law(lambda: TextStage(matcher(rules), rewrite, stops=stops, hold_all=True), text, seed)
    assert not kind or released == ""


@settings(max_examples=30, deadline=None)
@given(rules=chosen_rules, text=texts, seed=seeds)
def test_looking_lets_every_piece_pass_at_once_and_counts_alike(rules: list[Rule], text: str, seed: int) -> None:
    _, found, _ = assert_law(lambda: TextStage(matcher(rules), None), text, seed)
    stage = TextStage(matcher(rules), None)
    pieces = cut(text, seed, 1)
    assert [stage.feed(piece) for piece in pieces] == pieces
    assert stage.held == 0
    assert outcome(TextStage(matcher(rules), mark), pieces)[1] == found


@settings(max_examples=150, deadline=None)
@given(rule=st.sampled_from(RULES), text=texts)
@example(rule=RULES[0], text="foo@bar.com")
def test_one_rule_finds_what_the_regex_package_finds_in_the_whole_text(rule: Rule, text: str) -> None:
    seen = normalise(text)
    flags = regex.IGNORECASE if rule.ignore_case else 0
    if rule.keywords or rule.kind == "cyrillic":
        return
    expected = [match.span() for match in regex.finditer(rule.pattern, seen, flags)]
    assert [(start, end) for start, end, _ in matcher([rule]).scan(seen)] == expected


@settings(max_examples=150, deadline=None)
@given(rule=st.sampled_from(RULES), text=texts)
def test_no_position_before_the_open_one_is_a_beginning(rule: Rule, text: str) -> None:
    """The criterion itself, position by position: the text's rest is no prefix of what the rule matches."""
    seen = normalise(text) if rule.kind != "cyrillic" else text
    pattern = regex.compile(rule.pattern, regex.IGNORECASE if rule.ignore_case else 0)
    first = matcher([rule]).open_from(seen)
    taken = {place for start, end, _ in matcher([rule]).scan(seen) for place in range(start + 1, end)}
    for position in range(first):
        if position not in taken and not rule.keywords:
            assert pattern.fullmatch(seen, position, partial=True) is None, position


@pytest.mark.parametrize(
    "rule",
    [
        pytest.param(Rule(kind="k", pattern="ab[ab]{4}", keywords=("ab",)), id="with keywords"),
        pytest.param(Rule(kind="k", pattern="[a-z]{2}[a-z0-9]{4}"), id="without"),
        pytest.param(Rule(kind="k", pattern="[a-z]{2}[0-9]{2}[a-z0-9]{4}"), id="known by its third character"),
    ],
)
def test_matches_of_one_rule_do_not_overlap(rule: Rule) -> None:
    text = "ababababab12cd34ef56gh78"
    expected = [match.span() for match in regex.finditer(rule.pattern, text)]
    assert [(start, end) for start, end, _ in Matcher([rule]).scan(text)] == expected
    stage = TextStage(Matcher([rule]), lambda _, value: f"<{len(value)}>")
    made = "".join(map(stage.feed, text)) + stage.finish()
    assert made == regex.sub(rule.pattern, lambda match: f"<{len(match[0])}>", text)


@pytest.mark.parametrize("before", ["", "see ", "a,b\n17,ops,", "“x” ", "… "])
@pytest.mark.parametrize("value", ["0123456789abcdef-us10", "MT012345.6789abcd", "секреты", "0123456789ab\ncdef0123"])
def test_a_value_inside_a_long_word_is_found_at_every_cutting(before: str, value: str) -> None:
    text = f"{before}{value},true\n18,more of it"
    whole = outcome(TextStage(matcher(RULES), mark), [text])
    assert value not in whole[0]
    for first in range(len(text)):
        for second in range(first, len(text), 5):
            pieces = [text[:first], text[first:second], text[second:]]
            assert outcome(TextStage(matcher(RULES), mark), pieces) == whole, pieces


def test_what_was_released_long_ago_is_still_looked_back_at() -> None:
    rule = Rule(kind="k", pattern=r"(?<!#.{63})[xy]z", accept=follows_no_sign)
    text = "b" * 3_000 + "#" + "b" * 63 + "xz" + "b" * 64 + "yz#xz"
    stage = TextStage(Matcher([rule]), lambda *_: "!")
    assert "".join(map(stage.feed, text)) + stage.finish() == text.replace("yz", "!")


def test_a_json_string_that_began_long_ago_is_still_one() -> None:
    text = '{"a": "' + "b " * 2_000 + 'foo\\u0040bar.com", "n": 4111111123}'
    stage = TextStage(matcher(RULES), lambda kind, _: f"<{kind}>", is_json=True)
    made = "".join(map(stage.feed, text)) + stage.finish()
    assert made.endswith('b <email>", "n": "<card>"}')
