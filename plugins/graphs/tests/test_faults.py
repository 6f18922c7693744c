"""Faults of workers, routes and graphs: a clear error, and a gateway that lives; and clients that leave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from chatproxy_graphs import END, Context, Graph, Worker

from chatproxy import Reject
from chatproxy.testing import Recorder, text_of

from .workers import Append, Hangs, Says, Stubborn, chunks_in, echo, line, one, serving, until

FORMS = pytest.mark.parametrize("stream", [False, True], ids=["buffered", "streamed"])


def endless() -> Graph:
    graph = Graph("endless", max_steps=10).add_node("again", Append("again"))
    return graph.add_conditional_edge("again", lambda ctx: "on", {"on": "again", "off": END})


def lost() -> Graph:
    graph = Graph("lost").add_node("fork", Append("x")).add_node("east", Append("y")).add_edge("east", END)
    return graph.add_conditional_edge("fork", lambda ctx: "west", ["east", END])


async def wrong(ctx: Context) -> Any:
    return 5


async def raises(ctx: Context) -> None:
    raise RuntimeError("s3cret")


async def exits(ctx: Context) -> None:
    raise SystemExit(3)


async def interrupts(ctx: Context) -> None:
    raise KeyboardInterrupt


def interrupts_in_a_thread(ctx: Context) -> None:
    raise KeyboardInterrupt


async def ends_itself(ctx: Context) -> None:
    raise GeneratorExit


def routed(kind: type[BaseException]) -> Graph:
    def route(ctx: Context) -> str:
        raise kind

    return Graph("routed").add_node("fork", Append("x")).add_conditional_edge("fork", route, {"on": END})


FAULTS: dict[str, tuple[Any, str, str]] = {
    "raises": (raises, "graph_node_failed", "graph 'fault', node 'work', step 1: the worker raised RuntimeError."),
    "exits": (exits, "graph_node_failed", "graph 'fault', node 'work', step 1: the worker raised SystemExit."),
    "interrupts": (interrupts, "graph_node_failed", "step 1: the worker raised KeyboardInterrupt."),
    "interrupts in a thread": (interrupts_in_a_thread, "graph_node_failed", "the worker raised KeyboardInterrupt."),
    "ends itself": (ends_itself, "graph_node_failed", "step 1: the worker raised GeneratorExit."),
    "route exits": (routed(SystemExit), "graph_route_failed", "the route raised SystemExit."),
    "route interrupts": (routed(KeyboardInterrupt), "graph_route_failed", "the route raised KeyboardInterrupt."),
    "returns 5": (
        wrong,
        "graph_node_failed",
        "node 'work', step 1: the worker returned int, wanted a Context or None.",
    ),
    "endless": (endless(), "graph_max_steps", "graph 'endless', node 'again', step 11: the run was stopped"),
    "lost": (lost(), "graph_route_failed", "graph 'lost', node 'fork', step 1: the route returned 'west'"),
}


@pytest.mark.parametrize(("graph", "code", "message"), FAULTS.values(), ids=FAULTS)
@FORMS
async def test_fault_is_told_and_the_gateway_lives(graph: Any, code: str, message: str, stream: bool) -> None:
    async with serving(fault=graph, echo=echo) as gateway:
        answer = await gateway.chat("Hi", model="fault", stream=stream)
        again = await gateway.chat("Hi", model="echo", stream=stream)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["type"]) == (500, code, "api_error")
    assert message in error["message"]
    assert "s3cret" not in answer.text
    assert again.status_code == 200


async def test_failure_after_some_texts_ends_the_stream_with_an_error() -> None:
    class Breaks(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            yield "begun"
            raise ValueError("s3cret")

    async with serving(breaks=Breaks(), echo=echo) as gateway:
        answer = await gateway.chat("Hi", model="breaks", stream=True)
        again = await gateway.chat("Hi", model="echo", stream=True)
    *chunks, last = chunks_in(answer)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "begun"
    assert last["error"]["code"] == "graph_node_failed"
    assert text_of(again.content) == "You said: Hi"


@FORMS
async def test_worker_that_hangs_is_stopped_by_the_gateways_deadline(stream: bool) -> None:
    hangs = Hangs()
    async with serving(hangs=hangs, echo=echo, settings={"node_timeout_s": 0.05}) as gateway:
        answer = await gateway.chat("Hi", model="hangs", stream=stream)
        again = await gateway.chat("Hi", model="echo", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "graph_node_timeout")
    assert hangs.stopped.is_set()
    assert again.status_code == 200


@FORMS
async def test_worker_that_swallows_cancellation_does_not_hold_its_client(stream: bool, short_grace: None) -> None:
    stubborn = Stubborn()
    async with serving(stubborn=stubborn, echo=echo, settings={"node_timeout_s": 0.05}) as gateway:
        answer = await gateway.chat("Hi", model="stubborn", stream=stream)
        again = await gateway.chat("Hi", model="echo", stream=stream)
        assert (answer.status_code, again.status_code) == (504, 200)
        stubborn.let_go.set()
        await stubborn.over.wait()


@FORMS
async def test_rejections_of_workers_pass(stream: bool) -> None:
    async def refuses(ctx: Context) -> None:
        raise Reject("Not on Sundays.", status=403, code="sunday")

    async with serving(refuses=refuses) as gateway:
        answer = await gateway.chat("Hi", model="refuses", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "sunday")


async def test_graph_that_was_broken_after_it_was_registered_is_told() -> None:
    graph = line("a")
    async with serving(broken=graph, echo=echo) as gateway:
        graph.add_node("b", Append("b"))
        answer = await gateway.chat("Hi", model="broken")
        again = await gateway.chat("Hi", model="echo")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "graph_invalid")
    assert "node 'b' leads nowhere" in answer.json()["error"]["message"]
    assert again.status_code == 200


# -- clients that leave -----------------------------------------------------------------------------------------------


@FORMS
async def test_client_that_leaves_cancels_the_worker(stream: bool) -> None:
    hangs, recorder = Hangs(), Recorder()
    async with serving(hangs=hangs, echo=echo, plugins=(recorder,)) as gateway:
        asking = asyncio.ensure_future(gateway.chat("Hi", model="hangs", stream=stream))
        await hangs.started.wait()
        asking.cancel()
        await hangs.stopped.wait()
        exchange = await recorder.wait()
        again = await gateway.chat("Hi", model="echo")
    assert exchange.outcome == "client_disconnected"
    assert again.status_code == 200


async def test_client_that_leaves_mid_stream_cancels_the_worker() -> None:
    hangs = Hangs()
    body = {"model": "chain", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    async with serving(chain=Says("begun") >> hangs) as gateway:
        async with gateway.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            async for line_ in answer.aiter_lines():
                if "begun" in line_:
                    break
            await hangs.started.wait()
        await hangs.stopped.wait()


async def test_client_that_leaves_a_worker_that_goes_on_is_let_go(short_grace: None) -> None:
    stubborn, recorder = Stubborn(), Recorder()
    async with serving(stubborn=stubborn, echo=echo, plugins=(recorder,)) as gateway:
        asking = asyncio.ensure_future(gateway.chat("Hi", model="stubborn"))
        await stubborn.started.wait()
        asking.cancel()
        exchange = await recorder.wait()
        assert exchange.outcome == "client_disconnected"
        assert (await gateway.chat("Hi", model="echo")).status_code == 200
        stubborn.let_go.set()
        await stubborn.over.wait()


async def test_runs_leave_no_tasks_behind() -> None:
    async with serving(echo=echo, says=Says("a", "b"), bad=raises) as gateway:
        before = len(asyncio.all_tasks())
        for model in ("echo", "says", "bad"):
            for stream in (False, True):
                await gateway.chat("Hi", model=model, stream=stream)
        await until(lambda: len(asyncio.all_tasks()) <= before)


async def test_many_at_once_keep_their_contexts_apart() -> None:
    async with serving(echo=echo) as gateway:
        answers = await asyncio.gather(*[gateway.chat(f"n{n}", model="echo", stream=n % 2 == 1) for n in range(40)])
    for n, answer in enumerate(answers):
        text = text_of(answer.content) if n % 2 else json.loads(answer.text)["choices"][0]["message"]["content"]
        assert text == f"You said: n{n}"


async def test_workers_may_use_cancel_scopes_of_anyio() -> None:
    async def work(ctx: Context) -> None:
        with anyio.move_on_after(0.01):
            await anyio.sleep_forever()
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.lowlevel.checkpoint)
            group.cancel_scope.cancel()
        ctx.response = "moved on"
        task = asyncio.current_task()
        assert task is not None
        ctx.pending = task.cancelling()

    async def then(ctx: Context) -> None:
        await asyncio.sleep(0)
        ctx.response += f", {ctx.pending}"

    async with serving(work=line("a") >> work >> then) as gateway:
        answer = await gateway.chat("Hi", model="work")
    assert answer.json()["choices"][0]["message"]["content"] == "moved on, 0"


async def test_deadline_reaches_through_groups_of_tasks() -> None:
    stopped = []

    async def hang(name: str) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.append(name)

    async def work(ctx: Context) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(hang("asyncio"))
            async with anyio.create_task_group() as other:
                other.start_soon(hang, "anyio")

    async with serving(work=one(work, timeout_s=0.05)) as gateway:
        answer = await gateway.chat("Hi", model="work")
    assert (answer.status_code, sorted(stopped)) == (504, ["anyio", "asyncio"])


@FORMS
async def test_worker_that_never_waits_lets_others_have_their_turn(stream: bool) -> None:
    begun = asyncio.Event()
    goes_on = True

    class Busy(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            begun.set()
            for _ in range(200_000):  # an end, so that a starved test fails and does not hang
                if not goes_on:
                    yield "done"
                    return
                yield ""
            raise AssertionError("nobody had a turn")

    async with serving(busy=one(Busy()), echo=echo) as gateway:
        asking = asyncio.ensure_future(gateway.chat("Hi", model="busy", stream=stream))
        await begun.wait()
        assert (await gateway.chat("Hi", model="echo")).status_code == 200
        goes_on = False
        answer = await asking
    assert answer.status_code == 200
    assert "error" not in answer.text
