"""Check ``keywords``: words and phrases, as the matcher finds them."""

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from chatproxy_guardrails.checks.base import Rule
from chatproxy_guardrails.checks.keywords import CHECK, Keywords, Options
from chatproxy_guardrails.matching import Matcher, TextStage
from hypothesis import given, settings
from hypothesis import strategies as st


def found(rules: Sequence[Rule], text: str) -> list[str]:
    scanned = Matcher(rules).scan(text)
    return [text[finding.start : finding.end] for _, _, finding in scanned if finding is not None]


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        (Options(words=("falcon",)), "Project Falcon and falcons", ["Falcon"]),
        (Options(words=("falcon",), whole_words=False), "falcons", ["falcon"]),
        (Options(words=("Falcon",), case_sensitive=True), "falcon Falcon", ["Falcon"]),
        (Options(words=("blue harvest",)), "Blue\n harvest", ["Blue\n harvest"]),
        (Options(words=("harvest", "harvest moon")), "a harvest moon", ["harvest moon"]),
        (Options(words=("C++",)), "I write C++.", ["C++"]),
        (Options(words=("机密",)), "这是机密文件", ["机密"]),
        (Options(words=("секрет",)), "это Секрет", ["Секрет"]),
        (Options(words=("a.c",)), "abc a.c", ["a.c"]),
        (Options(words=("under_score",)), "under_scores", []),
    ],
    ids=["any-case", "inside", "case", "phrase", "longest", "symbols", "chinese", "russian", "escaped", "edge"],
)
def test_words_are_found_as_the_options_say(options: Options, text: str, expected: list[str]) -> None:
    assert found(Keywords(options).rules, text) == expected


def test_words_come_from_a_file_too(tmp_path: Path) -> None:
    listed = tmp_path / "words.txt"
    listed.write_text("\ufeff# secret projects\nfalcon\n\n  blue harvest \n", encoding="utf-8")
    rules = Keywords(Options(words=("eagle",), file=listed)).rules
    assert found(rules, "eagle, falcon, blue harvest, # secret projects") == ["eagle", "falcon", "blue harvest"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (Options(), "at least one word"),
        (Options(words=(" ",)), "at least one word"),
        (Options(words=("x" * 201,)), "201 characters"),
        (Options(file=Path("missing-words.txt")), "missing-words.txt"),
    ],
    ids=["none", "blank", "long", "file"],
)
def test_wrong_options_are_refused_with_a_reason(options: Options, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CHECK.make(options)


@pytest.mark.parametrize(
    "text",
    [
        "project F\u0430lc\u043en",
        "project F\u200balcon",
        "project \uff26\uff41\uff4c\uff43\uff4f\uff4e",
        "\u0441\u0435\u043a\u0440\u0435\u0442",
    ],
    ids=["look-alikes", "invisible", "full-width", "cyrillic"],
)
def test_words_are_found_in_disguise_and_in_their_own_script(text: str) -> None:
    stage = TextStage(Matcher(Keywords(Options(words=("falcon", "секрет"))).rules), None)
    stage.feed(text)
    stage.finish()
    assert stage.found == {"keyword": 1}


def test_thousands_of_words_are_one_rule() -> None:
    rules = Keywords(Options(words=tuple(f"word{number}x" for number in range(2_000)))).rules
    assert len(rules) == 1
    assert found(rules, "word77x word2000x word1999x") == ["word77x", "word1999x"]


def whole(word: str) -> str:
    return rf"(?<!\w){' {1,4}'.join(word.split())}(?!\w)"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text(st.sampled_from("abc "), min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=6),
    st.text(st.sampled_from("abc "), max_size=30),
)
def test_a_text_is_found_exactly_if_it_holds_a_word(words: list[str], text: str) -> None:
    expected = any(re.search(whole(word), text) for word in words)
    assert bool(found(Keywords(Options(words=tuple(words))).rules, text)) == expected
