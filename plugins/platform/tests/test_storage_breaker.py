"""The breaker, by a clock of the test's own."""

from __future__ import annotations

from chatproxy_platform.storage.breaker import Breaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(2, 10.0, clock=clock)
    assert [breaker.failed(), breaker.failed()] == [False, True]
    return breaker


def test_success_between_failures_keeps_it_closed() -> None:
    breaker = Breaker(2, 10.0, clock=Clock())
    for _ in range(5):
        assert breaker.enter()
        assert not breaker.failed()
        assert not breaker.succeeded()
    assert (breaker.state, breaker.failures) == ("closed", 0)


def test_failures_in_a_row_open_it_for_the_cooling_time() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 9.9
    assert (breaker.state, breaker.enter()) == ("open", False)
    clock.now = 10.0
    assert breaker.state == "half_open"


def test_one_attempt_decides_after_cooling() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10.0
    assert [breaker.enter(), breaker.enter()] == [True, False]
    assert breaker.succeeded()
    assert (breaker.state, breaker.enter()) == ("closed", True)


def test_failed_attempt_opens_it_again() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10.0
    assert breaker.enter()
    assert not breaker.failed()
    clock.now = 19.9
    assert (breaker.state, breaker.enter()) == ("open", False)
    clock.now = 20.0
    assert breaker.enter()


def test_attempt_that_says_nothing_leaves_the_next_one_to_decide() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now = 10.0
    assert breaker.enter()
    breaker.left()
    assert (breaker.state, breaker.enter()) == ("half_open", True)
