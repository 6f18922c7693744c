"""The check ``length``."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from chatproxy_guardrails.checks.base import Finding, JudgeCheck, Piece
from chatproxy_guardrails.checks.length import CHECK
from hypothesis import given, settings
from hypothesis import strategies as st


def check(**options: Any) -> Any:
    return CHECK.make(msgspec.convert(options, CHECK.options))


async def found(text: str, **options: Any) -> list[Finding]:
    (findings,) = await check(**options).judge(None, [Piece(text, "input", "user")])
    return list(findings)


CASES: dict[str, tuple[str, dict[str, int], list[Finding]]] = {
    "as many characters": ("abcde", {"max_characters": 5}, []),
    "more characters": ("abcde", {"max_characters": 3}, [Finding(3, 5, "max_characters")]),
    "no characters": ("abc", {"max_characters": 0}, [Finding(0, 3, "max_characters")]),
    "enough characters": ("abc", {"min_characters": 3}, []),
    "fewer characters": ("ab", {"min_characters": 3}, [Finding(0, 2, "min_characters")]),
    "as many words": ("one  two\n", {"max_words": 2}, []),
    "more words": ("one  two\nthree four", {"max_words": 2}, [Finding(9, 19, "max_words")]),
    "enough words": ("one two", {"min_words": 2}, []),
    "fewer words": ("one ", {"min_words": 2}, [Finding(0, 4, "min_words")]),
    "as many tokens": ("12345678", {"max_tokens": 2}, []),
    "more tokens": ("123456789", {"max_tokens": 2}, [Finding(8, 9, "max_tokens")]),
    "tokens of long letters": ("ééééé", {"max_tokens": 2}, [Finding(4, 5, "max_tokens")]),
    "token within a letter": ("aaaaaaa€", {"max_tokens": 2}, [Finding(7, 8, "max_tokens")]),
    "enough tokens": ("12345", {"min_tokens": 2}, []),
    "fewer tokens": ("1234", {"min_tokens": 2}, [Finding(0, 4, "min_tokens")]),
    "two limits": (
        "a b c",
        {"max_characters": 4, "max_words": 1, "min_words": 1},
        [Finding(4, 5, "max_characters"), Finding(2, 5, "max_words")],
    ),
}


@pytest.mark.parametrize(("text", "options", "expected"), CASES.values(), ids=CASES.keys())
async def test_limits_are_kept(text: str, options: dict[str, int], expected: list[Finding]) -> None:
    assert await found(text, **options) == expected


def measured(text: str) -> dict[str, int]:
    return {"characters": len(text), "words": len(text.split()), "tokens": math.ceil(len(text.encode()) / 4)}


UNITS = ["characters", "words", "tokens"]
TEXTS = st.text(alphabet="aé€🙂 \n", max_size=40)


@given(text=TEXTS, unit=st.sampled_from(UNITS), limit=st.integers(0, 12))
@settings(max_examples=100, deadline=None)
async def test_what_is_left_of_a_long_text_is_within_the_limit(text: str, unit: str, limit: int) -> None:
    findings = await found(text, **{f"max_{unit}": limit})
    assert bool(findings) == (measured(text)[unit] > limit)
    for finding in findings:
        assert finding.end == len(text)
        assert measured(text[: finding.start])[unit] <= limit < measured(text[: finding.start + 1])[unit]


@given(text=TEXTS, unit=st.sampled_from(UNITS), limit=st.integers(1, 12))
@settings(max_examples=100, deadline=None)
async def test_short_texts_are_found_as_a_whole(text: str, unit: str, limit: int) -> None:
    expected = [Finding(0, len(text), f"min_{unit}")] if measured(text)[unit] < limit else []
    assert await found(text, **{f"min_{unit}": limit}) == expected


async def test_lone_surrogates_are_measured() -> None:
    assert await found("\ud800" * 9, max_tokens=2) == [Finding(8, 9, "max_tokens")]


async def test_every_text_has_its_own_limit() -> None:
    pieces = [Piece("a" * size, "output", "assistant") for size in (1, 3, 2)]
    assert await check(max_characters=2).judge(None, pieces) == [[], [Finding(2, 3, "max_characters")], []]


def test_texts_are_measured_as_a_whole() -> None:
    own = check(max_words=1)
    assert isinstance(own, JudgeCheck)
    assert own.window is None


@pytest.mark.parametrize(
    ("options", "message"),
    [({}, "no limit"), ({"min_words": 3, "max_words": 2}, "min_words"), ({"max_lines": 3}, "max_lines")],
    ids=["none", "contradiction", "unknown"],
)
def test_wrong_options_are_refused(options: dict[str, int], message: str) -> None:
    with pytest.raises((ValueError, msgspec.ValidationError), match=message):
        check(**options)
