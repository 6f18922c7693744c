"""How a request stands to its session's transcript."""

from __future__ import annotations

from typing import Any

import pytest
from chatproxy_platform.sessions.aligning import ROOT, Standing, standing
from chatproxy_platform.sessions.forms import groups_of
from chatproxy_platform.sessions.transcript import Line
from hypothesis import given
from hypothesis import strategies as st

Messages = list[dict[str, Any]]
CALL = {"id": "c", "type": "function", "function": {"name": "now", "arguments": '{"a": 1, "b": 2}'}}


def said(*texts: str) -> Messages:
    """User and assistant by turns."""
    return [{"role": "assistant" if number % 2 else "user", "content": text} for number, text in enumerate(texts)]


def lines(messages: Messages, *, altered: bool = False) -> list[Line]:
    marks = {"altered": True} if altered else {}
    return [
        Line(number, f"t{number // 2}", message["role"], message["content"], None, {**marks, "message": {
            key: value for key, value in message.items() if key not in {"role", "content"}}})
        for number, message in enumerate(messages)
    ]  # fmt: skip


KNOWN = said("one", "1", "two", "2")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (said("three"), Standing(in_front=True)),
        ([*KNOWN, *said("three")], Standing(in_front=False, known=4)),
        (KNOWN, Standing(in_front=False, known=4)),
        ([*KNOWN[2:], *said("three")], Standing(in_front=False, known=2)),
        ([*KNOWN[:2], *said("other")], Standing(in_front=False, known=2, after=1)),
        (said("one", "else", "more"), Standing(in_front=False, known=1, after=0)),
        (said("new", "else", "more"), Standing(in_front=False, after=ROOT)),
        ([*said("one ", "1\n", "two", "2"), *said("three")], Standing(in_front=False, known=4)),
    ],
    ids=["new", "extends", "nothing new", "window", "asked anew", "forks at the first answer", "its own", "blanks"],
)
def test_request_stands_so(asked: Messages, expected: Standing) -> None:
    assert standing(groups_of("chat", asked), lines(KNOWN)) == expected


def test_without_a_transcript_all_is_new() -> None:
    assert standing(groups_of("chat", KNOWN), []) == Standing(in_front=False)


def test_message_that_a_guard_changed_is_taken_for_any_of_its_role() -> None:
    kept = lines(said("***", "1"), altered=True)
    assert standing(groups_of("chat", said("secret", "1", "more")), kept) == Standing(in_front=False, known=2)


def test_calls_are_compared_by_what_they_say() -> None:
    spaced = {**CALL, "function": {"name": "now", "arguments": '{"b":2,"a":1}'}}
    stored = [*said("time?"), {"role": "assistant", "content": None, "tool_calls": [CALL]}]
    again = [*said("time?"), {"role": "assistant", "content": "", "tool_calls": [spaced]}]
    result = {"role": "tool", "tool_call_id": "c", "content": "noon"}
    asked = groups_of("chat", [*again, result])
    assert standing(asked, lines(stored)) == Standing(in_front=False, known=2)


def test_parts_of_text_are_the_text() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "one"}]}, *KNOWN[1:], *said("three")]
    assert standing(groups_of("chat", parts), lines(KNOWN)) == Standing(in_front=False, known=4)


@given(st.lists(st.sampled_from("ab"), max_size=6), st.lists(st.sampled_from("ab"), max_size=8))
def test_what_is_known_is_in_the_transcript(stored: list[str], asked: list[str]) -> None:
    groups, kept = groups_of("chat", said(*asked)), lines(said(*stored))
    found = standing(groups, kept)
    assert 0 <= found.known <= len(groups)
    if found.known and found.after is None:
        tail = [line.content for line in kept][-found.known :]
        assert tail == asked[: found.known]
    if found.after is not None and found.after != ROOT:
        assert [line.content for line in kept][: found.after + 1] == asked[: found.known]
