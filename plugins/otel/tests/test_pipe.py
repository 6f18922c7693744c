"""The pipe alone: threads, reentrance, what happens without threads, and that nothing is held for ever."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Sequence

import pytest
from chatproxy_otel.export.outcome import Outcome, Verdict
from chatproxy_otel.export.pipe import Limits, Pipe

WAIT_S = 20.0
LIMITS = Limits(capacity=100, batch_size=10, delay_s=60.0, timeout_s=1.0)


class Collected:
    """A sender that keeps what it gets, and lets a test decide when it goes on."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.may_go = threading.Event()
        self.may_go.set()
        self.is_sending = threading.Event()

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        assert timeout_s > 0
        self.is_sending.set()
        self.may_go.wait(WAIT_S)
        self.payloads.append(payload)
        return Outcome(Verdict.SENT)

    def interrupt(self) -> None:
        self.may_go.set()

    def close(self) -> None:
        """Nothing to close."""


def made(collected: Collected, limits: Limits = LIMITS) -> Pipe[int]:
    def encode(items: Sequence[int]) -> bytes:
        return bytes(items)

    return Pipe("traces", limits, encode, lambda: collected)


def test_a_full_batch_goes_without_waiting_for_the_delay() -> None:
    collected = Collected()
    pipe = made(collected)
    for number in range(10):
        pipe.put(number)
    assert collected.is_sending.wait(WAIT_S)
    pipe.close(WAIT_S)
    assert collected.payloads == [bytes(range(10))]


def test_a_flush_sends_what_is_there_and_waits_for_it() -> None:
    collected = Collected()
    pipe = made(collected)
    assert pipe.flush(0.0)
    pipe.put(1)
    pipe.put(2)
    assert pipe.flush(WAIT_S)
    assert collected.payloads == [bytes([1, 2])]
    assert pipe.stats == ("traces", 0, 100, 2, 0)
    pipe.close(WAIT_S)


def test_a_flush_that_takes_too_long_says_so() -> None:
    collected = Collected()
    collected.may_go.clear()
    pipe = made(collected)
    pipe.put(1)
    assert not pipe.flush(0.01)
    assert pipe.stats == ("traces", 1, 100, 0, 0)
    collected.may_go.set()
    assert pipe.flush(WAIT_S)
    pipe.close(WAIT_S)


def test_a_late_success_is_not_counted_twice() -> None:
    collected = Collected()
    collected.may_go.clear()
    pipe = made(collected)
    pipe.put(1)
    threads = [thread for thread in threading.enumerate() if thread.name == "otel-traces"]
    pipe.close(0.01)
    for thread in threads:
        thread.join(WAIT_S)
    assert pipe.stats == ("traces", 0, 100, 0, 1)


def test_what_is_put_while_putting_does_not_wait_for_itself() -> None:
    collected = Collected()
    pipe = made(collected)

    class Logging:
        """As a task that is destroyed while pending, and says so."""

        def __del__(self) -> None:
            pipe.put(9)

    def put() -> None:
        with pipe._lock:  # where a collection may begin in any put
            Logging()
        pipe.put(1)

    thread = threading.Thread(target=put, daemon=True)
    thread.start()
    thread.join(WAIT_S)
    assert not thread.is_alive()
    pipe.close(WAIT_S)
    assert sum(map(len, collected.payloads)) == 2


def test_a_process_without_threads_keeps_the_items(monkeypatch: pytest.MonkeyPatch) -> None:
    collected = Collected()
    pipe = made(collected)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError(f"can't start new thread {thread.name}")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        pipe.put(1)
    assert pipe.stats == ("traces", 1, 100, 0, 0)
    pipe.put(2)
    pipe.close(WAIT_S)
    assert collected.payloads == [bytes([1, 2])]


def test_a_pipe_that_nobody_holds_is_let_go() -> None:
    pipe = made(Collected())
    pipe.put(1)
    pipe.close(WAIT_S)
    gone = weakref.ref(pipe)
    del pipe
    gc.collect()
    assert gone() is None
