"""Views: what checks see of a text, and the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.matching import Matcher, TextStage, View, normalise
from hypothesis import given, settings
from hypothesis import strategies as st

KEY = Rule(kind="key", pattern=r"(?<![A-Za-z0-9])sk-[a-z0-9]{6,12}(?![A-Za-z0-9])", keywords=("sk-",))
CARD = Rule(kind="card", pattern=r"(?<!\d)\d{8,10}(?!\d)")
EMAIL = Rule(kind="email", pattern=r"(?<!\w)\w{1,9}@[a-z]{1,9}\.[a-z]{2,3}(?!\w)")
WORD = Rule(kind="word", pattern=r"(?<!\w)(?:coca|секрет)(?!\w)", keywords=("coca", "секрет"), ignore_case=True)
LATIN = Rule(kind="latin", pattern=r"(?<!\w)cop(?!\w)", keywords=("cop",))
MATCHER = Matcher([KEY, CARD, EMAIL, WORD, LATIN])
JSON_MATCHER = Matcher([KEY, CARD, EMAIL, Rule(kind="pair", pattern=r'"pass": "[a-z]{1,9}"', keywords=('"pass"',))])


def redacted(text: str, *, is_json: bool = False) -> str:
    stage = TextStage(JSON_MATCHER if is_json else MATCHER, lambda kind, _: f"<{kind}>", is_json=is_json)
    return "".join(map(stage.feed, text)) + stage.finish()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("sk-abc123", "<key>", id="ascii"),
        pytest.param("s\u200bk\u2060-ab\ufeffc123", "<key>", id="zero-width inside is taken along"),
        pytest.param("\u200bsk-abc123\u200b.", "\u200b<key>\u200b.", id="zero-width around stays"),
        pytest.param("s̶k̶-̶a̶b̶c̶1̶2̶3̶", "<key>\u0336", id="struck through"),
        pytest.param("ｓｋ－ａｂｃ１２３", "<key>", id="full-width"),
        pytest.param("𝐬𝐤-𝐚𝐛𝐜𝟏𝟐𝟑", "<key>", id="mathematical"),
        pytest.param("ѕк-аbс123", "<key>", id="Cyrillic look-alikes"),
        pytest.param("sk‐abc123", "<key>", id="another hyphen"),
        pytest.param("٤١١١٢٢٢٢", "<card>", id="Arabic digits"),
        pytest.param("४१११२२२२", "<card>", id="Devanagari digits"),
        pytest.param("ⓢⓚ-abc123", "<key>", id="circled letters"),
        pytest.param("the Соса drink", "the Соса drink", id="a word of another script is not Latin"),
        pytest.param("сор is сop", "сор is <latin>", id="a Latin word in disguise is"),
        pytest.param("СЕКРЕТ!", "<word>!", id="a rule in another script sees its letters"),
        pytest.param("foo@ｂar.com, ﬁ", "<email>, ﬁ", id="other characters come out as they were"),
    ],
)
def test_evasion_is_seen_through_and_replaced_whole(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ﬁ①Ⅷ㎏", "fi1VIIIkg", id="NFKC"),
        pytest.param("p\u00ada\u200cs\u200ds\u202e", "pass", id="soft hyphen, joiners, direction marks"),
        pytest.param("ра\u0301ss", "pass", id="look-alikes with marks"),
        pytest.param("naïve café", "naïve café", id="composed letters stay"),
        pytest.param("हिन्दी", "हिन्दी", id="vowels of a script stay"),
        pytest.param("😀", "😀", id="emoji"),
        pytest.param("plain", "plain", id="ascii"),
    ],
)
def test_text_is_normalised_character_by_character(text: str, expected: str) -> None:
    assert normalise(text) == expected


@settings(max_examples=100, deadline=None)
@given(pieces=st.lists(st.text(st.sampled_from("ab \u200bﬁ㎏аｅ\u0301é٤𝐬😀"), max_size=6), max_size=8))
def test_a_view_does_not_depend_on_the_cutting_and_leads_back(pieces: list[str]) -> None:
    view, whole = View(), View()
    for piece in pieces:
        view.append(piece)
    whole.append("".join(pieces))
    assert (view.folded, view.plain, view.done) == (whole.folded, whole.plain, whole.done)
    assert len(view.folded) == len(view.plain)
    for position in range(len(view.plain)):
        start, end = view.start_of(position), view.end_of(position + 1)
        assert view.plain[position] in normalise(view.text[start:end]) or view.folded is not view.plain
        assert normalise(view.text[start:end])[position - view.boundary(position)] == view.folded[position]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(r'{"to": "foo\u0040bar.com"}', '{"to": "<email>"}', id="escaped sign"),
        pytest.param(r'{"to": "a\nfoo@bar.com\t"}', r'{"to": "a\n<email>\t"}', id="escapes around stay"),
        pytest.param(r'["\ud835\udc2c\ud835\udc24-abc123"]', '["<key>"]', id="surrogate pairs"),
        pytest.param('{"n": 4111222233}', '{"n": "<card>"}', id="a number becomes a string"),
        pytest.param('{"n": -41112222.5}', '{"n": "<card>"}', id="a part of a number takes all of it"),
        pytest.param("[41112222,41113333]", '["<card>","<card>"]', id="numbers in a list"),
        pytest.param('{"pass": "abc"}', '{"<pair>": "<pair>"}', id="a match over several values replaces each"),
        pytest.param('{"pa', '{"pa', id="cut off"),
        pytest.param('{"a": "x\\', '{"a": "x\\', id="cut off in an escape"),
        pytest.param("foo@bar.com", "<email>", id="no JSON after all"),
        pytest.param(' \n{"a": "sk-abc123"}', ' \n{"a": "<key>"}', id="blanks in front"),
        pytest.param(r'{"path": "C:\\sk-abc123"}', r'{"path": "C:\\<key>"}', id="an escaped backslash is one"),
    ],
)
def test_json_is_seen_without_its_escapes_and_stays_json(text: str, expected: str) -> None:
    assert redacted(text, is_json=True) == expected


values = st.recursive(
    st.one_of(st.integers(-(10**12), 10**12), st.booleans(), st.text(max_size=8), st.sampled_from(("foo@bar.com",))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150, deadline=None)
@given(value=st.dictionaries(st.sampled_from(("a", "sk-abc123")), values), is_ascii=st.booleans(), quote=st.booleans())
def test_rewritten_json_parses_and_holds_no_finding(value: dict[str, Any], is_ascii: bool, quote: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    new = '"\\\n' if quote else "x"
    stage = TextStage(JSON_MATCHER, lambda _, __: new, is_json=True)
    made = stage.feed(text) + stage.finish()
    json.loads(made)
    again = TextStage(JSON_MATCHER, None, is_json=True)
    again.feed(made)
    again.finish()
    assert again.found == {}


def test_a_rewrite_gets_a_json_value_without_its_escapes() -> None:
    got: dict[str, str] = {}
    stage = TextStage(JSON_MATCHER, got.setdefault, is_json=True)
    text = '{"a": "foo\\u0040bar.com"}'
    assert stage.feed(text) + stage.finish() == text
    assert got == {"email": "foo@bar.com"}
