"""Labels: values from outside, few and fit."""

from __future__ import annotations

import sys

import pytest
from chatproxy_otel.labels import MAX_LENGTH, OTHER, Labels, printable
from hypothesis import given
from hypothesis import strategies as st


def test_first_come_first_served_and_further_ones_are_other() -> None:
    labels = Labels(2)
    assert [labels.of("model", name) for name in ("a", "b", "c", "a", "c")] == ["a", "b", OTHER, "a", OTHER]


def test_each_kind_has_places_of_its_own() -> None:
    labels = Labels(1)
    assert [labels.of("model", "a"), labels.of("error", "b"), labels.of("tool", "c")] == ["a", "b", "c"]
    assert [labels.of("model", "b"), labels.of("error", "c"), labels.of("tool", "a")] == [OTHER] * 3


def test_what_nobody_vouches_for_takes_no_place() -> None:
    labels = Labels(1)
    assert labels.of("model", "junk", admits=False) == OTHER
    assert labels.of("model", "good") == "good"
    assert labels.of("model", "good", admits=False) == "good"


def test_configured_models_have_places_beside_the_others() -> None:
    labels = Labels(1, models=["gpt", "claude"])
    assert labels.of("model", "gpt", admits=False) == "gpt"
    assert [labels.of("model", name) for name in ("junk", "more", "claude")] == ["junk", OTHER, "claude"]
    assert labels.of("response_model", "gpt", admits=False) == OTHER


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("a\x00b\r\n\tc\x7f", "abc"),
        ("\u202egpt\u200b", "gpt"),
        ("gpt\ud800-4", "gpt-4"),
        ("größe 模型", "größe 模型"),
        ("x" * 500, "x" * MAX_LENGTH),
        ("\x00\n", OTHER),
        ("", OTHER),
    ],
    ids=["controls", "bidi and zero width", "lone surrogate", "letters", "long", "nothing left", "empty"],
)
def test_labels_are_short_and_printable(value: str, label: str) -> None:
    assert Labels(5).of("model", value) == label


def test_two_values_that_look_alike_share_a_place() -> None:
    labels = Labels(2)
    assert [labels.of("model", name) for name in ("a", "a\x00", "\na", "b", "b\x00")] == ["a", "a", "a", "b", "b"]


def test_secrets_are_taken_out_of_new_values_but_not_of_configured_ones() -> None:
    labels = Labels(5, models=["sk-model"], redact=lambda text: text.replace("sk-", "***"))
    assert labels.of("model", "sk-123") == "***123"
    assert labels.of("model", "sk-123") == "***123"
    assert labels.of("model", "sk-model") == "sk-model"


def test_a_flood_of_values_takes_no_memory() -> None:
    labels = Labels(100)
    for number in range(100):
        labels.of("model", f"early {number}")
    places = labels._places
    size_bytes = sys.getsizeof(places)
    for number in range(20_000):
        assert labels.of("model", f"junk {number}") == OTHER
        labels.of("model", f"early 5{chr(number)}")  # looks like another
    assert (len(places), sys.getsizeof(places)) == (100, size_bytes)


@given(st.lists(st.text(max_size=200), max_size=30))
def test_there_are_never_more_labels_than_places(values: list[str]) -> None:
    labels = Labels(3)
    found = {labels.of("tool", value) for value in values}
    assert len(found - {OTHER}) <= 3
    for label in found:
        assert label.isprintable()
        assert len(label) <= MAX_LENGTH
        label.encode()


@given(st.text())
def test_what_is_printable_already_stays_as_it_is(value: str) -> None:
    once = printable(value)
    assert printable(once) == once
    assert value != value[:MAX_LENGTH] or not value.isprintable() or once == value
