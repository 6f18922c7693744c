"""Workers, and what else may stand for one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import pytest
from chatproxy_graphs import Context, Graph, NodeFailed, Worker, async_worker

from .workers import Append, Says, one


class VectorDBWorker(Worker):
    async def arun(self, ctx: Context) -> Context:
        ctx.ran = True
        return ctx


class Unnamed(Worker):
    def __init__(self) -> None:  # as people write them, without the base's
        self.own = 1

    async def arun(self, ctx: Context) -> Context:
        ctx.ran = True
        return ctx


def test_names_come_from_classes_functions_or_as_given() -> None:
    @async_worker
    async def fetch(ctx: Context) -> None: ...

    @async_worker(name="other")
    async def named(ctx: Context) -> None: ...

    assert [VectorDBWorker().name, VectorDBWorker("db").name] == ["vector_db_worker", "db"]
    assert [fetch.name, named.name] == ["fetch", "other"]
    assert repr(fetch) == "FunctionWorker(name='fetch')"


async def test_what_returns_nothing_goes_on_with_the_same_context() -> None:
    async def change(ctx: Context) -> None:
        ctx.changed = True

    ctx = Context()
    assert await one(change).arun(ctx) is ctx
    assert ctx.changed


async def test_another_context_goes_on_where_one_is_returned() -> None:
    async def replace(ctx: Context) -> Context:
        return Context(new=1)

    assert (await one(replace).arun(Context(old=1))).data == {"new": 1}


async def test_plain_functions_and_callable_workers_run_in_threads() -> None:
    class Callable(Worker):
        def __call__(self, ctx: Context) -> Context:
            ctx.threads = [*(ctx.threads or []), threading.current_thread()]
            return ctx

    ctx = await (Callable("a") >> Callable("b") >> (lambda ctx: None)).arun(Context())
    assert len(ctx.threads) == 2
    assert threading.main_thread() not in ctx.threads


async def test_workers_without_the_bases_init_have_a_name() -> None:
    graph = Unnamed() >> Unnamed()
    assert graph.nodes == ("unnamed", "unnamed_2")
    assert (await graph.arun(Context())).ran


async def test_decorated_functions_can_be_called_and_may_stream() -> None:
    @async_worker
    async def double(ctx: Context) -> Context:
        ctx.n = ctx.n * 2
        return ctx

    @async_worker
    async def count(ctx: Context) -> AsyncIterator[str]:
        yield "1"
        yield "2"

    assert (await double(Context(n=2))).n == 4  # type: ignore[operator]
    assert (await (double >> count).arun(Context(n=1))).response == "12"


@pytest.mark.parametrize("thing", [5, "name", Worker, None, object()], ids=["int", "str", "class", "none", "object"])
def test_things_that_cannot_run_are_refused(thing: object) -> None:
    with pytest.raises(TypeError, match="worker"):
        Graph().add_node("x", thing)


def test_async_worker_refuses_plain_functions() -> None:
    with pytest.raises(TypeError, match="async def"):
        async_worker(lambda ctx: ctx)


def test_generators_must_be_decorated() -> None:
    async def texts(ctx: Context) -> AsyncIterator[str]:
        yield "x"

    with pytest.raises(TypeError, match="@async_worker"):
        Graph().add_node("x", texts)


async def test_worker_without_any_method_is_told() -> None:
    with pytest.raises(TypeError, match="arun"):
        Graph().add_node("x", Worker("empty"))
    with pytest.raises(NotImplementedError, match="Worker"):
        await Worker().arun(Context())


async def test_chains_name_their_nodes_after_their_workers() -> None:
    graph = Append("a") >> Append("b") >> Append("a") >> Says("x")
    assert graph.nodes == ("a", "b", "a_2", "says")
    ctx = await graph.arun(Context())
    assert (ctx.values, ctx.response, ctx.execution_path) == (["a", "b", "a"], "x", ["a", "b", "a_2", "says"])


async def test_chains_take_graphs_as_steps() -> None:
    inner = one(Append("inner"), "named")
    graph = Append("a") >> inner >> Append("b")
    assert graph.nodes == ("a", "named", "b")
    ctx = await graph.arun(Context())
    assert (ctx.values, ctx.execution_path) == (["a", "inner", "b"], ["a", "named/work", "named", "b"])


async def test_changed_chain_becomes_a_step_of_its_own() -> None:
    chain = Append("a") >> Append("b")
    chain.add_node("c", Append("c"))
    with pytest.raises(ValueError, match="'c' leads nowhere"):
        (chain >> Append("d")).compile()


async def test_error_of_a_step_in_a_chain_names_it() -> None:
    async def fails(ctx: Context) -> None:
        raise RuntimeError("boom")

    with pytest.raises(NodeFailed, match=r"graph 'a >> fails', node 'fails', step 2: the worker raised RuntimeError"):
        await (Append("a") >> fails).arun(Context())
