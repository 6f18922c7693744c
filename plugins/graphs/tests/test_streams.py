"""What a graph tells while it runs, and what streaming workers make of the answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from chatproxy_graphs import END, Context, Graph, NodeFailed, NodeTimeout, Worker
from chatproxy_graphs.run import MAX_WAITING

from chatproxy.testing import text_of

from .workers import Answers, Hangs, Says, chunks_in, line, one, serving, until


async def events(graph: Graph, ctx: Context | None = None) -> list[tuple[str, str | None, str]]:
    return [(event.type, event.node, event.text) async for event in graph.stream(ctx or Context())]


async def test_events_come_in_order() -> None:
    ctx = Context()
    assert await events(line("a", "b"), ctx) == [
        ("start", "a", ""),
        ("node", "a", ""),
        ("node", "b", ""),
        ("end", None, ""),
    ]
    assert ctx.values == ["a", "b"]


async def test_texts_come_as_events_before_their_nodes_end() -> None:
    graph = one(Says("x", "y"))
    told = [event async for event in graph.stream(Context())]
    assert [(event.streaming, event.text) for event in told] == [
        (False, ""), (True, "x"), (True, "y"), (False, ""), (False, "")
    ]  # fmt: skip
    assert {event.step for event in told if event.type == "node"} == {1}
    assert told[-1].ctx.response == "xy"


async def test_text_is_told_before_the_next_one_is_made() -> None:
    goes_on = asyncio.Event()

    class Waits(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            yield "first"
            await goes_on.wait()
            yield "second"

    texts = []
    async with aclosing(one(Waits()).stream(Context())) as stream:
        async for event in stream:
            if event.streaming:
                texts.append(event.text)
                goes_on.set()
    assert texts == ["first", "second"]


async def test_yielded_context_streams_what_the_response_grew_by() -> None:
    class Grows(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[Context | None]:
            ctx.response = ""
            for word in ("one ", "two ", "three"):
                ctx.response += word
                yield ctx
            yield None

    ctx = Context(response="earlier draft")
    assert [text for _, _, text in await events(one(Grows()), ctx) if text] == ["one ", "two ", "three"]
    assert ctx.response == "one two three"


async def test_failure_comes_after_what_was_told() -> None:
    class Breaks(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            yield "x"
            raise ValueError("boom")

    stream = one(Breaks()).stream(Context())
    assert [(await anext(stream)).text, (await anext(stream)).text] == ["", "x"]
    with pytest.raises(NodeFailed, match="node 'work', step 1: the worker raised ValueError"):
        await anext(stream)


async def test_leaving_early_stops_the_worker() -> None:
    hangs = Hangs()
    async with aclosing(one(hangs).stream(Context())) as stream:
        await anext(stream)
        await hangs.started.wait()
    assert hangs.stopped.is_set()


async def test_generator_is_closed_when_its_reader_leaves() -> None:
    closed = asyncio.Event()

    class Endless(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            try:
                while True:
                    yield "x"
            finally:
                closed.set()

    async with aclosing(one(Endless()).stream(Context())) as stream:
        async for event in stream:
            if event.streaming:
                break
    assert closed.is_set()


async def test_slow_reader_slows_the_worker_down_and_its_deadline_waits() -> None:
    made = 0

    class Counts(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            nonlocal made
            for _ in range(MAX_WAITING * 3):
                made += 1
                yield "x"

    loop, read = asyncio.get_running_loop(), 0
    async with aclosing(one(Counts(), timeout_s=0.05).stream(Context())) as stream:
        await anext(stream)
        await until(lambda: made > MAX_WAITING)
        over = loop.create_future()
        loop.call_later(0.2, over.set_result, None)
        await over
        assert made == MAX_WAITING + 1
        async for event in stream:
            read += event.streaming
    assert read == MAX_WAITING * 3


async def test_deadline_of_a_streaming_worker_counts_all_of_it() -> None:
    class Trickles(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            while True:
                await asyncio.sleep(0.01)
                yield "x"

    with pytest.raises(NodeTimeout):
        await events(one(Trickles(), timeout_s=0.08))


@pytest.mark.parametrize("piece", [5, b"bytes", {"a": 1}, ["x"]], ids=repr)
async def test_worker_that_yields_something_else_is_told(piece: Any) -> None:
    class Yields(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[Any]:
            yield piece

    with pytest.raises(NodeFailed, match=f"the worker yielded {type(piece).__name__}"):
        await one(Yields()).arun(Context())


async def test_astream_that_is_no_generator_is_told() -> None:
    class Wrong(Worker):
        async def astream(self, ctx: Context) -> Any:
            return "x"

    with pytest.raises(NodeFailed, match="astream is no async generator"):
        await one(Wrong()).arun(Context())


async def test_generator_that_yields_after_close_is_told() -> None:
    class Clings(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            try:
                yield "x"
                raise ValueError("boom")
            finally:
                yield "still here"

    with pytest.raises(NodeFailed):
        async for _ in one(Clings()).stream(Context()):
            pass


# -- the law: a buffered answer says what a streamed one says --


class Both(Worker):
    """Answers at once where nobody streams."""

    def __init__(self, text: str, name: str = "both") -> None:
        super().__init__(name)
        self.text = text

    async def arun(self, ctx: Context) -> None:
        ctx.response = self.text

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        for letter in self.text:
            yield letter


class Sets(Worker):
    """Streams, and sets the whole too."""

    def __init__(self, *texts: str, whole: str, name: str = "sets") -> None:
        super().__init__(name)
        self.texts, self.whole = texts, whole

    async def astream(self, ctx: Context) -> AsyncIterator[str]:
        for text in self.texts:
            yield text
        ctx.response = self.whole


LAW: dict[str, tuple[tuple[Any, ...], str]] = {
    "texts": ((Says("a", "b"),), "ab"),
    "two streams": ((Says("a"), Says("b", name="two")), "ab"),
    "draft is replaced": ((Answers(response="draft"), Says("final")), "final"),
    "both ways": ((Both("hello"), Both(" you", "two")), "hello you"),
    "whole set too": ((Sets("a", "b", whole="ab"),), "ab"),
    "more set": ((Sets("a", whole="abc"),), "abc"),
    "nothing streamed": ((Sets(whole="x"),), "x"),
    "joined whole": ((Says("a"), Sets("b", whole="ab")), "ab"),
    "empty texts": ((Says("", "a", ""),), "a"),
    "silent": ((Answers(response="kept"), Says()), "kept"),
}


@pytest.mark.parametrize(("workers", "said"), LAW.values(), ids=LAW)
async def test_streamed_and_buffered_runs_say_the_same(workers: tuple[Any, ...], said: str) -> None:
    graph = workers[0] >> (lambda ctx: None)
    for worker in workers[1:]:
        graph >>= worker
    assert (await graph.arun(Context())).response == said
    ctx = Context()
    texts = "".join([text for _, _, text in await events(graph, ctx)])
    assert ctx.response == said
    assert said.endswith(texts)


@pytest.mark.parametrize("whole", ["other", {"a": 1}], ids=["text", "object"])
async def test_what_was_streamed_cannot_be_replaced_by_its_worker(whole: Any) -> None:
    for run in (one(Sets("a", whole=whole)).arun, lambda ctx: events(one(Sets("a", whole=whole)), ctx)):
        with pytest.raises(NodeFailed, match="something else than the texts that the worker streamed"):
            await run(Context())


async def test_node_that_does_not_stream_may_be_replaced() -> None:
    graph = Graph().add_node("draft", Says("dra", "ft"), stream=False).add_node("final", Says("final"))
    graph.add_edge("draft", "final").add_edge("final", END)
    ctx = Context()
    told = [event async for event in graph.stream(ctx)]
    assert ctx.response == "final"
    assert [event.node for event in told if event.streaming] == ["draft", "draft", "final"]


async def test_cycle_of_a_node_that_does_not_stream_keeps_its_last_text() -> None:
    class Tries(Worker):
        async def astream(self, ctx: Context) -> AsyncIterator[str]:
            ctx.n = (ctx.n or 0) + 1
            yield f"try {ctx.n}"

    graph = Graph().add_node("try", Tries(), stream=False)
    graph.add_conditional_edge("try", lambda ctx: ctx.n < 3, {True: "try", False: END})
    assert (await graph.arun(Context())).response == "try 3"


async def test_texts_of_branches_are_not_heard_but_left_for_the_join() -> None:
    graph = Graph().add_node("begin", lambda ctx: None)
    graph.add_node("a", Says("A1", "A2")).add_node("b", Says("B"))
    graph.add_parallel("begin", ["a", "b"], END, merge=lambda before, left: before.data.update(
        response=" and ".join(ctx.response for ctx in left.values())
    ))  # fmt: skip
    assert (await graph.arun(Context())).response == "A1A2 and B"


def chance(seed: int) -> tuple[Graph, str]:
    """A chain of workers of every kind that speaks, and what they are."""
    dice = random.Random(seed)  # noqa: S311 - a choice of cases
    graph, kinds, last = Graph("chance"), [], None
    for number in range(dice.randint(1, 5)):
        text = "".join(dice.choices("ab ", k=dice.randint(0, 3)))
        kind = dice.choice(["says", "quiet", "both", "answers", "sets", "grows"])
        workers: dict[str, Any] = {
            "says": Says(*text),
            "quiet": Says(*text),
            "both": Both(text or "."),
            "answers": Answers(response=text),
            "sets": Sets(*text[:1], whole=text),
            "grows": Sets(whole=text),
        }
        name = f"{kind}{number}"
        graph.add_node(name, workers[kind], stream=kind != "quiet")
        if last is not None:
            graph.add_edge(last, name)
        kinds.append(f"{kind}({text!r})")
        last = name
    return graph.add_edge(str(last), END), " ".join(kinds)


@pytest.mark.parametrize("seed", range(100))
async def test_any_chain_says_the_same_streamed_and_buffered(seed: int) -> None:
    graph, kinds = chance(seed)
    async with serving(graph=graph) as gateway:
        buffered = await gateway.chat("Hi", model="graph")
        streamed = await gateway.chat("Hi", model="graph", stream=True)
    if buffered.status_code == 200:
        assert text_of(streamed.content) == buffered.json()["choices"][0]["message"]["content"], kinds
    else:
        assert chunks_in(streamed)[-1:] == [buffered.json()] or streamed.json() == buffered.json(), kinds


async def test_branches_tell_what_they_do_and_lose_nothing() -> None:
    graph = Graph().add_node("begin", lambda ctx: None)
    graph.add_node("a", Says(*"x" * 200)).add_node("b", Says(*"y" * 200))
    graph.add_parallel("begin", ["a", "b"], END, merge=lambda before, left: None)
    told = [event async for event in graph.stream(Context())]
    assert [sum(event.text == letter for event in told) for letter in "xy"] == [200, 200]
    assert {event.node for event in told if event.type == "node" and not event.streaming} == {"begin", "a", "b"}
