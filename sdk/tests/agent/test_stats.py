"""Counts of an agent."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from chatproxy_sdk.agent.stats import Statistics
from hypothesis import given
from hypothesis import strategies as st

USAGE = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
KEYS = [
    "total_requests", "total_tokens", "prompt_tokens", "completion_tokens", "average_latency", "total_latency",
    "errors", "success_rate", "retries", "aborted",
]  # fmt: skip


def test_nothing_is_counted_at_first() -> None:
    assert Statistics().to_dict() == dict.fromkeys(KEYS, 0)
    assert list(Statistics().to_dict()) == KEYS


def test_requests_are_summed() -> None:
    stats = Statistics()
    stats.record(USAGE, 1.0, ok=True)
    stats.record(USAGE, 3.0, ok=True)
    stats.record(None, 2.0, ok=False)
    stats.record(None, 0.0, ok=True)
    stats.record_retry()
    stats.record_abort()
    assert stats.to_dict() == {
        "total_requests": 4,
        "total_tokens": 14,
        "prompt_tokens": 6,
        "completion_tokens": 8,
        "average_latency": 1.5,
        "total_latency": 6.0,
        "errors": 1,
        "success_rate": 0.75,
        "retries": 1,
        "aborted": 1,
    }


def test_reset_begins_again() -> None:
    stats = Statistics()
    stats.record(USAGE, 1.0, ok=False)
    stats.record_retry()
    stats.record_abort()
    stats.reset()
    assert stats.to_dict() == Statistics().to_dict()


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        (None, (0, 0, 0)),
        ("lots", (0, 0, 0)),
        ([], (0, 0, 0)),
        ({}, (0, 0, 0)),
        ({"prompt_tokens": 2, "completion_tokens": 3}, (2, 3, 5)),
        ({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": None}, (2, 3, 5)),
        ({"prompt_tokens": 2, "completion_tokens": 3, "total_tokens": 9}, (2, 3, 9)),
        ({"total_tokens": 9}, (0, 0, 9)),
        ({"prompt_tokens": "2", "completion_tokens": -3, "total_tokens": True}, (0, 0, 0)),
        ({"prompt_tokens": None, "completion_tokens": 2.5}, (0, 0, 0)),
    ],
    ids=repr,
)
def test_odd_usage_counts_as_what_is_clear_in_it(usage: object, tokens: tuple[int, int, int]) -> None:
    stats = Statistics()
    stats.record(usage, 0.1, ok=True)
    assert (stats.prompt_tokens, stats.completion_tokens, stats.total_tokens) == tokens


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(JSON | st.dictionaries(st.sampled_from(list(USAGE)), JSON))
def test_no_usage_raises_or_counts_below_zero(usage: object) -> None:
    stats = Statistics()
    stats.record(usage, -1.0, ok=True)
    assert min(value for value in stats.to_dict().values()) >= 0


def test_save_writes_what_to_dict_says(tmp_path: Path) -> None:
    stats = Statistics()
    stats.record(USAGE, 1.0, ok=True)
    stats.save(tmp_path / "stats.json")
    assert json.loads((tmp_path / "stats.json").read_bytes()) == stats.to_dict()


def test_save_replaces_and_leaves_nothing_else_behind(tmp_path: Path) -> None:
    target = tmp_path / "stats.json"
    target.write_text("old")
    Statistics().save(str(target))
    assert json.loads(target.read_bytes())["total_requests"] == 0
    assert list(tmp_path.iterdir()) == [target]


def test_a_saved_file_is_readable_as_any_new_file_is(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    Statistics().save(tmp_path / "stats.json")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "stats.json")}
    assert len(modes) == 1


def test_a_save_that_fails_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "stats.json").mkdir()
    with pytest.raises(IsADirectoryError):
        Statistics().save(tmp_path / "stats.json")
    assert [one.name for one in tmp_path.iterdir()] == ["stats.json"]


def test_save_into_a_folder_that_is_not_there_raises(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Statistics().save(tmp_path / "no" / "stats.json")
