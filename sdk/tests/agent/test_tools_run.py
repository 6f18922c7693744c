"""Calls of tools: order, policies, deadlines, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import json
import sys
import threading
from collections.abc import Callable
from typing import Any, Self

import pytest
from chatproxy_sdk.agent.tools import Tool, ToolBox
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


class Adder:
    def add(self, a: int, b: int = 1) -> int:
        return a + b

    async def add_async(self, a: int, b: int = 1) -> int:
        return a + b

    def __call__(self, a: int) -> int:
        return a + 1


class AsyncAdder:
    async def __call__(self, a: int) -> int:
        return a + 1


class Sum(int):
    def __new__(cls, a: int) -> Self:
        return super().__new__(cls, a + 1)


def plain(a: int) -> int:
    return a + 1


async def coroutine(a: int) -> int:
    return a + 1


def deferred(a: int) -> Any:
    return coroutine(a)


HANDLERS = {
    "function": plain,
    "async function": coroutine,
    "method": Adder().add,
    "async method": Adder().add_async,
    "object": Adder(),
    "async object": AsyncAdder(),
    "class": Sum,
    "partial": functools.partial(Adder().add, b=1),
    "async partial": functools.partial(Adder().add_async, b=1),
    "lambda": lambda a: a + 1,
    "sync function of a coroutine": deferred,
}


@ALL
@pytest.mark.parametrize("handler", list(HANDLERS.values()), ids=list(HANDLERS))
async def test_every_kind_of_handler_is_called(handler: Any, how: dict[str, Any]) -> None:
    box = ToolBox()
    box.register(Tool("add", parameters={"type": "object", "properties": {"a": {"type": "integer"}}}), handler)
    [message] = await box.run([call("add", a=2)], **how)
    assert (message.role, message.content, message.tool_call_id) == ("tool", "3", "c1")


async def test_no_calls_are_no_messages() -> None:
    assert await ToolBox().run([], **INJECT) == []


async def test_messages_stand_in_the_order_of_the_calls_not_of_the_ends() -> None:
    ended: list[int] = []
    turn = asyncio.Condition()

    async def count(n: int) -> int:
        async with turn:
            await turn.wait_for(lambda: len(ended) == 2 - n)
            ended.append(n)
            turn.notify_all()
        return n

    messages = await box_of(count).run([call("count", f"c{n}", n=n) for n in range(3)], **INJECT)
    assert ended == [2, 1, 0]
    assert [(one.tool_call_id, one.content) for one in messages] == [("c0", "0"), ("c1", "1"), ("c2", "2")]


async def test_sync_handlers_run_at_the_same_time_off_the_loop() -> None:
    both = threading.Barrier(2)

    def meet(n: int) -> bool:
        both.wait(10)
        return threading.current_thread() is threading.main_thread()

    messages = await box_of(meet).run([call("meet", n=1), call("meet", n=2)], **INJECT)
    assert [one.content for one in messages] == ["false", "false"]


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_calls_run_at_a_time_than_allowed(limit: int) -> None:
    running, most = 0, 0

    async def work(n: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    calls = [call("work", n=n) for n in range(9)]
    await box_of(work).run(calls, policy="raise", timeout_s=10, max_parallel=limit)
    assert most == limit


async def test_a_sync_handler_sees_the_callers_context_variables() -> None:
    user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")

    def who() -> str:
        found = user.get()
        user.set("changed")
        return found

    user.set("ada")
    [message] = await box_of(who).run([call("who")], **INJECT)
    assert (message.content, user.get()) == ("ada", "ada")


def raising(error: BaseException) -> tuple[Callable[..., Any], Callable[..., Any]]:
    def fail(a: int = 0) -> None:
        raise error

    async def fail_async(a: int = 0) -> None:
        raise error

    return fail, fail_async


ERRORS = [
    (ValueError("bad city"), "ValueError: bad city"),
    (ValueError(), "ValueError"),
    (KeyError("x"), "KeyError: 'x'"),
    (TimeoutError("of its own"), "TimeoutError: of its own"),
    (asyncio.CancelledError(), "CancelledError"),
    (StopIteration(1), "StopIteration"),
    (ValueError("\ud800"), "ValueError: ?"),
    (ToolExecutionError("mine", {"tool": "x"}), "ToolExecutionError: mine"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS, ids=repr)
@pytest.mark.parametrize("kind", [0, 1], ids=["sync", "async"])
async def test_what_a_handler_raises_is_told_to_the_model(error: BaseException, text: str, kind: int) -> None:
    fail = raising(error)[kind]
    [message] = await box_of(fail).run([call(fail.__name__)], **INJECT)
    assert text in json.loads(message.content)["error"]


async def test_sys_exit_in_a_sync_handler_ends_the_call_and_not_the_program() -> None:
    box = ToolBox()
    box.register_function(lambda: sys.exit(3), name="leave")
    [message] = await box.run([call("leave")], **INJECT)
    assert json.loads(message.content) == {"error": "RuntimeError: exited with 3"}


@pytest.mark.parametrize("kind", [0, 1], ids=["sync", "async"])
async def test_raise_says_which_call_failed_and_why(kind: int) -> None:
    error = ValueError("bad city")
    fail = raising(error)[kind]
    with pytest.raises(ToolExecutionError, match="bad city") as caught:
        await box_of(fail).run([call(fail.__name__, "c7", a=1)], **RAISE)
    assert caught.value.details == {
        "tool": fail.__name__,
        "error": "ValueError: bad city",
        "arguments": '{"a": 1}',
        "tool_call_id": "c7",
    }
    assert caught.value.__cause__ is error


async def test_raise_cancels_the_other_calls_and_waits_for_them() -> None:
    started = asyncio.Event()
    ended: list[str] = []

    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("wait")

    async def fail() -> None:
        await started.wait()
        raise ValueError("now")

    with pytest.raises(ToolExecutionError):
        await box_of(wait, fail).run([call("wait"), call("fail"), call("wait")], **{**RAISE, "timeout_s": None})
    assert ended == ["wait", "wait"]


async def test_inject_lets_the_other_calls_end() -> None:
    fail = raising(ValueError("no"))[1]
    first, second = await box_of(fail, coroutine).run([call("fail_async"), call("coroutine", a=1)], **INJECT)
    assert json.loads(first.content) == {"error": "ValueError: no"}
    assert second.content == "2"


@pytest.mark.parametrize(
    ("failures", "content"), [(1, '"fine"'), (2, '{"error":"ValueError: 2"}')], ids=["once", "ever"]
)
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_retry_once_calls_once_more_and_then_tells(failures: int, content: str, is_async: bool) -> None:
    got: list[list[int]] = []

    def flaky(items: list[int]) -> list[str] | str:
        got.append(items.copy())
        items.clear()
        if len(got) <= failures:
            raise ValueError(len(got))
        return '"fine"'

    async def flaky_async(items: list[int]) -> Any:
        return flaky(items)

    fn = flaky_async if is_async else flaky
    [message] = await box_of(fn).run([call(fn.__name__, items=[1, 2])], **RETRY)
    assert message.content == content
    assert got == [[1, 2], [1, 2]]


async def test_retry_once_does_not_call_again_for_what_cannot_change() -> None:
    count = 0

    def odd() -> object:
        nonlocal count
        count += 1
        return object()

    messages = await box_of(odd).run([call("odd"), call("none"), call("odd", a=1)], **RETRY)
    assert all("error" in json.loads(one.content) for one in messages)
    assert count == 1


@pytest.mark.parametrize(
    ("tool_call", "text"),
    [
        (call("nothing"), "there is no tool 'nothing'; known are 'plain'"),
        (ToolCall(id="c1", function=FunctionCall("plain", "{")), "arguments are not valid JSON"),
        (call("plain"), "missing argument 'a'"),
        (call("plain", a="x"), "argument 'a': Expected `int`, got `str`"),
    ],
    ids=["unknown tool", "broken json", "missing", "wrong type"],
)
async def test_a_call_that_cannot_be_made_follows_the_policy(tool_call: ToolCall, text: str) -> None:
    for how in (INJECT, RETRY):
        [message] = await box_of(plain).run([tool_call], **how)
        assert text in json.loads(message.content)["error"]
    with pytest.raises(ToolExecutionError) as caught:
        await box_of(plain).run([tool_call], **RAISE)
    assert text in caught.value.details["error"]
    assert caught.value.details["tool"] == tool_call.function.name


async def test_no_task_is_left_behind() -> None:
    before = asyncio.all_tasks()
    fail = raising(ValueError("x"))[1]
    for how in (INJECT, RAISE, RETRY):
        with contextlib.suppress(ToolExecutionError):
            await box_of(fail, plain).run([call("fail_async"), call("plain", a=1)], **how)
    assert asyncio.all_tasks() == before


async def test_clearing_a_box_lets_its_calls_end() -> None:
    started, go = asyncio.Event(), asyncio.Event()

    async def wait() -> str:
        started.set()
        await go.wait()
        return "done"

    box = box_of(wait)
    task = asyncio.create_task(box.run([call("wait")], **INJECT))
    await started.wait()
    box.clear()
    go.set()
    assert (await task)[0].content == "done"
