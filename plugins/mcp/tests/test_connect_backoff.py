"""The time that a server is left alone."""

from __future__ import annotations

import pytest
from chatproxy_mcp.connect.backoff import FIRST_S, LONGEST_S, Backoff


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.mark.parametrize("failures", range(1, 15))
def test_the_wait_doubles_within_its_bounds(failures: int) -> None:
    clock = Clock()
    backoff = Backoff(clock)
    for _ in range(failures):
        wait_s = backoff.failed()
        assert FIRST_S <= wait_s <= LONGEST_S
        assert backoff.remaining_s == pytest.approx(wait_s)
        clock.now_s += wait_s + 0.001
        assert backoff.remaining_s == 0
    longest = min(LONGEST_S, FIRST_S * 2**failures)
    assert longest / 2 <= wait_s <= longest


def test_failures_at_the_same_time_count_as_one() -> None:
    backoff = Backoff(Clock())
    first = backoff.failed()
    assert backoff.failed() == pytest.approx(first)


def test_a_success_forgets_them() -> None:
    backoff = Backoff(Clock())
    backoff.failed()
    backoff.succeeded()
    assert backoff.remaining_s == 0
    assert backoff.failed() <= 2 * FIRST_S
