"""Calls of tools that hang or are cancelled: the deadline answers, and nothing waits for what cannot be stopped."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from chatproxy_sdk.agent import handlers
from chatproxy_sdk.agent.tools import ToolBox
from chatproxy_sdk.exceptions import ToolExecutionError
from chatproxy_sdk.messages import FunctionCall, ToolCall

INJECT: dict[str, Any] = {"policy": "inject_message", "timeout_s": 10, "max_parallel": 8}
RAISE: dict[str, Any] = {**INJECT, "policy": "raise"}
RETRY: dict[str, Any] = {**INJECT, "policy": "retry_once"}
ALL = pytest.mark.parametrize("how", [INJECT, RAISE, RETRY], ids=["inject", "raise", "retry"])


def call(name: str, call_id: str = "c1", /, **arguments: Any) -> ToolCall:
    return ToolCall(id=call_id, function=FunctionCall(name, json.dumps(arguments)))


def box_of(*functions: Callable[..., Any]) -> ToolBox:
    box = ToolBox()
    for fn in functions:
        box.register_function(fn)
    return box


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a hanging sync handler waits for; opened at the end, so that no thread is left."""
    opened = threading.Event()
    yield opened
    opened.set()


def plain(a: int) -> int:
    return a + 1


async def coroutine(a: int) -> int:
    return a + 1


async def test_an_async_handler_is_cancelled_at_its_deadline() -> None:
    ended: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("hang")

    [message] = await box_of(hang).run([call("hang")], **{**INJECT, "timeout_s": 0.01})
    assert json.loads(message.content) == {"error": "ToolTimeoutError: no result within 0.01 s"}
    assert ended == ["hang"]


@pytest.mark.parametrize("policy", ["inject_message", "raise", "retry_once"])
async def test_a_sync_handler_that_hangs_is_answered_for_at_its_deadline(policy: Any, gate: threading.Event) -> None:
    calls = 0

    def hang() -> None:
        nonlocal calls
        calls += 1
        gate.wait(30)

    box = box_of(hang, plain)
    how = {"policy": policy, "timeout_s": 0.05, "max_parallel": 1}
    if policy == "raise":
        with pytest.raises(ToolExecutionError, match="no result within"):
            await box.run([call("hang")], **how)
    else:
        [message] = await box.run([call("hang")], **how)
        assert "no result within 0.05 s" in json.loads(message.content)["error"]
    assert calls == (2 if policy == "retry_once" else 1)
    [message] = await box.run([call("plain", a=1)], **INJECT)
    assert message.content == "2"


async def test_hanging_threads_are_bounded_and_make_room_when_they_end(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []

    def hang() -> None:
        threads.append(threading.current_thread())
        gate.wait(30)

    monkeypatch.setattr(handlers, "MAX_LEFT_THREADS", 2)
    box = box_of(hang, plain, coroutine)
    await box.run([call("hang"), call("hang")], **{**INJECT, "timeout_s": 0.05})
    refused, taken = await box.run([call("plain", a=1), call("coroutine", a=1)], **INJECT)
    assert "2 earlier calls still hang" in json.loads(refused.content)["error"]
    assert taken.content == "2"
    gate.set()
    for thread in threads:
        await asyncio.to_thread(thread.join)
    [message] = await box.run([call("plain", a=1)], **INJECT)
    assert message.content == "2"


async def test_a_thread_that_is_left_is_logged(gate: threading.Event, caplog: pytest.LogCaptureFixture) -> None:
    def hang() -> None:
        gate.wait(30)

    with caplog.at_level(logging.WARNING, "chatproxy_sdk"):
        await box_of(hang).run([call("hang")], **{**INJECT, "timeout_s": 0.05})
    assert "tool handler hang was not waited for" in caplog.text


async def test_no_deadline_waits_until_the_handler_ends() -> None:
    [message] = await box_of(plain).run([call("plain", a=1)], **{**INJECT, "timeout_s": None})
    assert message.content == "2"


@ALL
async def test_cancelling_cancels_async_handlers_and_is_raised(how: dict[str, Any]) -> None:
    started, ended = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    task = asyncio.create_task(box_of(hang).run([call("hang")], **how))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@ALL
async def test_cancelling_does_not_wait_for_a_sync_handler(how: dict[str, Any], gate: threading.Event) -> None:
    loop, started = asyncio.get_running_loop(), asyncio.Event()
    calls = 0

    def hang() -> None:
        nonlocal calls
        calls += 1
        loop.call_soon_threadsafe(started.set)
        gate.wait(30)

    task = asyncio.create_task(box_of(hang).run([call("hang")], **how))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 10)
    assert calls == 1


SCRIPT = """
import asyncio, threading
from chatproxy_sdk.agent.tools import ToolBox
from chatproxy_sdk.messages import FunctionCall, ToolCall

box = ToolBox()
box.register_function(lambda: threading.Event().wait(), name="hang")
calls = [ToolCall(id="c1", function=FunctionCall("hang", "{}"))]
run = box.run(calls, policy="inject_message", timeout_s=0.05, max_parallel=1)
print(asyncio.run(run)[0].content)
"""


def test_a_program_ends_although_a_sync_handler_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.returncode, json.loads(done.stdout)) == (0, {"error": "ToolTimeoutError: no result within 0.05 s"})
    assert "Traceback" not in done.stderr


LATE = """
import asyncio, threading
from chatproxy_sdk.agent.tools import ToolBox
from chatproxy_sdk.messages import FunctionCall, ToolCall

gate, box, threads = threading.Event(), ToolBox(), []

def late():
    threads.append(threading.current_thread())
    gate.wait()
    raise ValueError("nobody asks")

box.register_function(late)
calls = [ToolCall(id="c1", function=FunctionCall("late", "{}"))]
asyncio.run(box.run(calls, policy="inject_message", timeout_s=0.05, max_parallel=1))
gate.set()
threads[0].join()
print("ended")
"""


def test_a_handler_that_ends_after_its_loop_makes_no_noise() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LATE], capture_output=True, text=True, check=False, timeout=40
    )
    assert (done.returncode, done.stdout) == (0, "ended\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("module", ["puremagic", "docstring_parser"])
def test_libraries_are_imported_only_where_they_are_used(module: str) -> None:
    names = ", ".join(f"chatproxy_sdk.agent.{one}" for one in ("config", "tools", "schema", "media", "stats"))
    script = f"import sys, {names}; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False, timeout=40).returncode == 0
