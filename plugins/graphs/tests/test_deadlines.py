"""Deadlines and retries of nodes, and workers that do not stop."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextvars import ContextVar
from typing import Any

import pytest
from chatproxy_graphs import END, Context, Graph, NodeFailed, NodeTimeout, Worker

from chatproxy import ApiError, Reject

from .workers import Append, Hangs, Says, Stubborn, one


class Fails(Worker):
    """Fails a few times, and leaves traces of each attempt."""

    def __init__(self, times: int, error: Exception | None = None) -> None:
        super().__init__("fails")
        self.left = times
        self.error = error or ValueError("boom")
        self.attempts = 0

    async def arun(self, ctx: Context) -> Context:
        self.attempts += 1
        ctx.values = [*(ctx.values or []), self.attempts]
        if self.left:
            self.left -= 1
            raise self.error
        return ctx


async def test_worker_that_hangs_is_stopped_at_its_deadline() -> None:
    hangs = Hangs()
    with pytest.raises(NodeTimeout, match=r"graph 'test', node 'work', step 1: the worker was not done in 0.02 s") as c:
        await one(hangs, timeout_s=0.02).arun(Context())
    assert hangs.stopped.is_set()
    assert (c.value.status, c.value.code) == (504, "graph_node_timeout")


async def test_worker_that_is_done_in_time_is_left_alone() -> None:
    graph = one(Append("a"), timeout_s=0.02)
    assert (await graph.arun(Context())).values == ["a"]
    assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]


async def test_worker_that_catches_its_deadline_and_returns_is_late_all_the_same() -> None:
    async def work(ctx: Context) -> Context:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            ctx.response = "anyway"
        return ctx

    with pytest.raises(NodeTimeout):
        await one(work, timeout_s=0.02).arun(Context())


async def test_worker_that_makes_an_error_of_its_deadline_is_late() -> None:
    async def work(ctx: Context) -> Context:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            raise ValueError("cancelled") from None
        return ctx

    with pytest.raises(NodeTimeout):
        await one(work, timeout_s=0.02).arun(Context())


async def test_worker_that_swallows_its_cancellation_is_left_behind(
    short_grace: None, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn = Stubborn()
    with pytest.raises(NodeTimeout):
        await one(stubborn, timeout_s=0.02).arun(Context())
    assert "left behind" in caplog.text
    assert not stubborn.over.is_set()
    stubborn.let_go.set()
    await stubborn.over.wait()


async def test_cancelled_run_does_not_wait_for_a_worker_that_goes_on(short_grace: None) -> None:
    stubborn = Stubborn()
    task = asyncio.ensure_future(one(stubborn).arun(Context()))
    await stubborn.started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stubborn.cancelled == 1
    stubborn.let_go.set()
    await stubborn.over.wait()


async def test_own_timeout_of_a_worker_is_not_its_nodes() -> None:
    async def work(ctx: Context) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.get_running_loop().create_future()

    with pytest.raises(NodeFailed, match="raised TimeoutError") as caught:
        await one(work, timeout_s=30).arun(Context())
    assert not isinstance(caught.value, NodeTimeout)


async def test_deadline_of_a_graph_within_the_graph_holds_for_all_of_it() -> None:
    hangs = Hangs()
    inner = Graph("inner").add_node("hangs", hangs).add_edge("hangs", END)
    with pytest.raises(NodeTimeout, match="graph 'outer', node 'in'"):
        await one(inner, "outer", "in", timeout_s=0.02).arun(Context())
    assert hangs.stopped.is_set()


async def test_timeouts_scopes_may_reach_over_what_a_worker_yields() -> None:
    class Scoped(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            async with asyncio.timeout(5), asyncio.TaskGroup():
                yield "a"
                yield "b"

    assert [event.text async for event in one(Scoped()).stream(Context()) if event.streaming] == ["a", "b"]


async def test_retries_begin_with_the_context_as_it_was() -> None:
    fails = Fails(2)
    ctx = Context(values=[0])
    assert await one(fails, retries=2).arun(ctx) is ctx
    assert ctx.values == [0, 3]


async def test_last_error_is_told_when_all_attempts_failed() -> None:
    fails = Fails(9)
    ctx = Context()
    with pytest.raises(NodeFailed, match="raised ValueError"):
        await one(fails, retries=2).arun(ctx)
    assert fails.attempts == 3
    assert ctx.values is None


async def test_deadline_is_for_each_attempt() -> None:
    class HangsOnce(Worker):
        attempts = 0

        async def arun(self, ctx: Context) -> Context:
            self.attempts += 1
            if self.attempts == 1:
                await asyncio.get_running_loop().create_future()
            return ctx

    worker = HangsOnce()
    await one(worker, timeout_s=0.05, retries=1).arun(Context())
    assert worker.attempts == 2


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (Reject("no", status=400), 1),
        (Reject("no", status=403), 1),
        (ApiError("loop", status=508, code="loop_detected"), 1),
        (Reject("slow down", status=429), 3),
        (ApiError("down", status=502), 3),
        (ValueError("x"), 3),
    ],
    ids=["400", "403", "508", "429", "502", "other"],
)
async def test_errors_of_the_request_are_not_retried(error: Exception, attempts: int) -> None:
    fails = Fails(9, error)
    with pytest.raises(ApiError):
        await one(fails, retries=2).arun(Context())
    assert fails.attempts == attempts


async def test_retries_wait_longer_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []

    async def sleep(delay_s: float) -> None:
        slept.append(delay_s)

    monkeypatch.setattr("chatproxy_graphs.visit.asyncio.sleep", sleep)
    await one(Fails(3), retries=3, retry_delay_s=0.5).arun(Context())
    assert slept == [0.5, 1.0, 2.0]


async def test_what_was_streamed_is_not_tried_again() -> None:
    class Breaks(Says):
        attempts = 0

        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            self.attempts += 1
            yield "begun"
            raise ValueError("boom")

    heard, kept = Breaks(), Breaks()
    with pytest.raises(NodeFailed):
        await one(heard, retries=3).arun(Context())
    with pytest.raises(NodeFailed):
        await one(kept, retries=3, stream=False).arun(Context())
    assert (heard.attempts, kept.attempts) == (1, 4)


async def test_cancelled_retries_stop() -> None:
    fails, waits = Fails(9), asyncio.Event()

    class Signals(Fails):
        async def arun(self, ctx: Context) -> Any:
            waits.set()
            return await super().arun(ctx)

    fails = Signals(9)
    task = asyncio.ensure_future(one(fails, retries=5, retry_delay_s=60).arun(Context()))
    await waits.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert fails.attempts <= 1


async def test_plain_function_that_hangs_holds_nobody_up() -> None:
    let_go = threading.Event()

    def hangs(ctx: Context) -> None:
        let_go.wait()

    graph = one(hangs, timeout_s=0.05)
    late = await asyncio.gather(*[graph.arun(Context()) for _ in range(40)], return_exceptions=True)
    assert {type(error) for error in late} == {NodeTimeout}
    assert (await one(lambda ctx: None).arun(Context(x=1))).x == 1
    assert await asyncio.wait_for(asyncio.to_thread(int, "5"), 5) == 5
    let_go.set()


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), SystemExit(1)], ids=lambda e: type(e).__name__)
async def test_plain_function_that_raises_is_told(error: BaseException) -> None:
    def fails(ctx: Context) -> None:
        raise error

    with pytest.raises(NodeFailed, match="node 'work', step 1: the worker raised"):
        await one(fails).arun(Context())


async def test_plain_function_sees_context_variables() -> None:
    variable: ContextVar[int] = ContextVar("variable", default=0)
    variable.set(5)
    assert (await one(lambda ctx: setattr(ctx, "seen", variable.get())).arun(Context())).seen == 5


def test_process_ends_although_a_plain_function_hangs() -> None:
    program = """
import asyncio, threading
from chatproxy_graphs import Context, END, Graph, NodeTimeout
graph = Graph().add_node("x", lambda ctx: threading.Event().wait(), timeout_s=0.05).add_edge("x", END)
try:
    asyncio.run(graph.arun(Context()))
except NodeTimeout:
    print("late")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=40, check=True)
    assert done.stdout == "late\n"
