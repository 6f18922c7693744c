"""Judges over streams: windows lie by the text alone, so that every cutting ends alike."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from chatproxy_guardrails.bound import Bound, bind
from chatproxy_guardrails.checks.base import Piece
from chatproxy_guardrails.config import Policy
from chatproxy_guardrails.judge_stages import BlockedError, JudgeStage, Place
from chatproxy_guardrails.judging import Windows, judged_whole, rewritten
from chatproxy_guardrails.verdicts import Verdicts
from hypothesis import given, settings
from hypothesis import strategies as st

TEXTS = st.lists(st.sampled_from(["SECRET", "SEC", "RET", " ", "a", "word", "\u00e9"]), max_size=30).map("".join)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=60)


def bound(action: str, **options: Any) -> Bound:
    (found,) = bind([Policy(name=f"{action}-{options}", check="probe_judge", action=action, options=options)])  # type: ignore[arg-type]
    return found


def place() -> Place:
    return Place(None, "output", "assistant", Verdicts(None, Counter()))


def pieces_of(text: str, sizes: list[int]) -> list[str]:
    found, rest = [], text
    for size in sizes:
        found.append(rest[:size])
        rest = rest[size:]
    return [*found, rest]


async def said(bounds: list[Bound], pieces: list[str]) -> tuple[str, str, Any]:
    """What goes out, the policy that blocked, and what is on record."""
    where = place()
    stage = JudgeStage(bounds, where)
    out = ""
    try:
        for piece in pieces:
            out += await stage.feed(piece)
        out += await stage.finish()
    except BlockedError as blocked:
        return out + blocked.released, blocked.bound.name, list(where.verdicts.entries.values())
    assert stage.held == 0
    return out, "", list(where.verdicts.entries.values())


@pytest.mark.parametrize("window", [None, 8, 13], ids=["whole", "8", "13"])
@given(text=TEXTS, sizes=CUTS)
@settings(max_examples=60, deadline=None)
def test_rewritten_stream_equals_the_rewritten_whole(window: int | None, text: str, sizes: list[int]) -> None:
    one = bound("redact", window=window, overlap=6 if window else 0)
    streamed = asyncio.run(said([one], pieces_of(text, sizes)))
    (findings,) = asyncio.run(judged_whole(one, None, [Piece(text, "output", "assistant")], place().verdicts))
    assert streamed == asyncio.run(said([one], [text]))
    assert streamed[0] == rewritten(text, findings, one)


@given(text=TEXTS, seeds=st.lists(st.integers(0, 2**32), min_size=3, max_size=3))
@settings(max_examples=80, deadline=None)
def test_several_readers_block_at_the_same_place_however_the_text_is_cut(text: str, seeds: list[int]) -> None:
    readers = [
        bound("block", window=8, overlap=5),
        bound("block", window=15, overlap=2, word="word"),
        bound("block", word="SECRETSECRETSECRET"),
        bound("flag", window=10, overlap=6),
    ]
    results = [asyncio.run(said(readers, [text]))[:2]]
    for seed in seeds:
        sizes = [random.Random(seed).randint(1, 12) for _ in range(60)]  # noqa: S311 - no secret
        results.append(asyncio.run(said(readers, pieces_of(text, sizes)))[:2])
    assert results == [results[0]] * 4
    assert text.startswith(results[0][0])


@given(text=TEXTS, size=st.integers(7, 20))
@settings(max_examples=50, deadline=None)
def test_windows_cover_the_text_and_overlap(text: str, size: int) -> None:
    windows = Windows(size, 6).last(len(text))
    covered = {i for window in windows for i in range(window.start, window.end)}
    assert covered == set(range(len(text)))
    assert all(later.start <= earlier.end - 6 for earlier, later in pairwise(windows))


async def test_judges_that_read_the_view_find_what_is_hidden_and_replace_what_was_written() -> None:
    options = {"deny": {"gambling": ["casino"]}}
    (topics,) = bind(
        [Policy(name="t", check="topics", action="redact", options=options, replacement="*", on=("output",))]
    )
    text = "é a c\u200basi\u00adno, ｃａｓｉｎｏ."
    (findings,) = await judged_whole(topics, None, [Piece(text, "output", "assistant")], place().verdicts)
    assert rewritten(text, findings, topics) == "é a *, *."
    assert await said([topics], list(text)) == await said([topics], [text])


async def test_nothing_of_a_window_goes_out_before_it_is_judged() -> None:
    stage = JudgeStage([bound("block", window=8, overlap=2)], place())
    assert await stage.feed("abcdefg") == ""
    assert stage.held == 7
    assert await stage.feed("h") == "abcdef"


async def test_a_check_that_only_flags_holds_nothing() -> None:
    where = place()
    stage = JudgeStage([bound("flag")], where)
    assert await stage.feed("a SEC") == "a SEC"
    assert await stage.feed("RET") == "RET"
    assert await stage.finish() == ""
    (entry,) = where.verdicts.entries.values()
    assert entry["findings"] == {"judged": 1}
