"""More telemetry than can be exported: memory is bounded by the queue, and every item is counted once."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest

from .exporting import exporting, logs, numbers, spans, stats
from .sink import running_sink

THREADS = 4
EACH = 5_000


@pytest.mark.parametrize("is_silent", [False, True], ids=["taking", "silent"])
async def test_exported_and_dropped_are_what_was_produced(is_silent: bool) -> None:
    with running_sink() as sink:
        sink.answer(is_silent=is_silent)
        async with exporting(sink, queue_size=300, batch_size=50, logs="none") as providers:
            seen: list[int] = []

            def produce() -> None:
                for _ in range(EACH // 100):
                    spans(providers, 100)
                    one = stats(providers)
                    seen.append(one.waiting)

            threads = [threading.Thread(target=produce) for _ in range(THREADS)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if is_silent:
                await providers.aclose(0.1)
        end = stats(providers)
    assert max(seen) <= 300
    assert end.waiting == 0
    assert end.exported + end.dropped == THREADS * EACH
    assert end.dropped > 0
    assert end.exported == (0 if is_silent else len(sink.spans))


async def test_a_queue_holds_exactly_what_it_says() -> None:
    with running_sink() as sink:
        sink.answer(is_silent=True)
        async with exporting(sink, queue_size=7, batch_size=3) as providers:
            spans(providers, 3)
            sink.wait_requests(1)  # three are being sent, and still count
            spans(providers, 5)
            logs(providers, 8)
            assert stats(providers)[1:] == (7, 7, 0, 1)
            assert stats(providers, "logs")[1:] == (7, 7, 0, 1)
    assert numbers(sink.spans) == [0, 1, 2, 0, 1, 2, 3]
    assert stats(providers)[1:] == (0, 7, 7, 1)


async def test_what_is_exported_is_in_order_and_comes_once() -> None:
    with running_sink() as sink:
        async with exporting(sink, queue_size=5_000, batch_size=64) as providers:
            spans(providers, 3_000)
    assert all(later - earlier == 1 for earlier, later in pairwise(numbers(sink.spans)))
    assert len({span["span_id"] for span in sink.spans}) == 3_000
