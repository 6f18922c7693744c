"""Worker: one step of a graph, and what else may stand for one."""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, overload

from chatproxy_graphs.context import Context
from chatproxy_graphs.threads import in_thread

if TYPE_CHECKING:
    from chatproxy_graphs.graph import Graph

Step = Callable[[Context], Awaitable[Context | None]]
Streaming = Callable[[Context], AsyncIterator[str | Context | None]]
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Worker:
    """A step of a graph; override `arun`, or add ``async astream(ctx)``, or both.

    ``astream`` is an async generator of texts, which reach the client as they come. It may also yield the context: the
    text by which ``ctx.response`` grew is streamed then. A worker with both is run by ``arun`` where nobody streams and
    no other worker has streamed before it.

    Args:
        name: shown in errors and traces; None makes one of the class's name, ``MyWorker`` is ``my_worker``.
    """

    name: str = ""

    def __init__(self, name: str | None = None) -> None:
        self.name = name or _name_of_class(self)

    async def arun(self, ctx: Context) -> Context | None:
        """Do the work.

        Returns:
            The context that goes on; None is the same one.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither arun nor astream")

    def __rshift__(self, other: object) -> Graph:
        """A graph of two steps: ``a >> b``; ``a >> b >> c`` has three."""
        return chained(self, other)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={name_of(self)!r})"


class FunctionWorker(Worker):
    """A worker that calls an async function."""

    def __init__(self, function: Step, name: str) -> None:
        super().__init__(name)
        self._function = function

    async def arun(self, ctx: Context) -> Context | None:
        """Call it."""
        return await self._function(ctx)

    async def __call__(self, ctx: Context) -> Context | None:
        """The decorated function can still be called."""
        return await self._function(ctx)


class StreamingFunctionWorker(Worker):
    """A worker that iterates over an async generator function."""

    def __init__(self, function: Streaming, name: str) -> None:
        super().__init__(name)
        self._function = function

    def astream(self, ctx: Context) -> AsyncIterator[str | Context | None]:
        """Call it."""
        return self._function(ctx)


@overload
def async_worker(function: Callable[[Context], Any], *, name: str | None = None) -> Worker: ...


@overload
def async_worker(function: None = None, *, name: str | None = None) -> Callable[[Callable[[Context], Any]], Worker]: ...


def async_worker(
    function: Callable[[Context], Any] | None = None, *, name: str | None = None
) -> Worker | Callable[[Callable[[Context], Any]], Worker]:
    """Make a worker of an ``async def`` function of one context; of one that yields texts, a streaming worker.

    Args:
        name: None takes the function's.

    Raises:
        TypeError: the function is a plain one.
    """

    def decorate(found: Callable[[Context], Any]) -> Worker:
        shown = name or name_of(found)
        if inspect.isasyncgenfunction(found):
            return StreamingFunctionWorker(found, shown)
        if inspect.iscoroutinefunction(found):
            return FunctionWorker(found, shown)
        raise TypeError(f"async_worker takes an 'async def' function, found {found!r}")

    return decorate if function is None else decorate(function)


def name_of(worker: object) -> str:
    """What a worker is called: by its own name, its function's or its class's."""
    name = getattr(worker, "name", None) or getattr(worker, "__name__", None)
    return name if isinstance(name, str) and name else _name_of_class(worker)


def streamer_of(worker: object) -> Streaming | None:
    """Its ``astream``, where it has one."""
    found = getattr(worker, "astream", None)
    return found if callable(found) else None


def runner_of(worker: object) -> Step | None:
    """How it is run where nobody streams; None where only ``astream`` does anything.

    A plain function (or a worker with a plain ``__call__``) runs in a thread.

    Raises:
        TypeError: it is nothing that could be run.
    """
    if isinstance(worker, type):
        raise TypeError(f"a worker is an object, found the class {worker.__name__}")
    runs = getattr(worker, "arun", None)
    if callable(runs) and not (isinstance(worker, Worker) and type(worker).arun is Worker.arun):
        found: Step = runs
        return found
    if inspect.isasyncgenfunction(worker):
        raise TypeError(f"{name_of(worker)!r} yields texts: decorate it with @async_worker")
    if streamer_of(worker) is not None:
        return None
    if not callable(worker):
        raise TypeError(f"a worker has arun, astream or can be called, found {worker!r}")
    return _called(worker)


def chained(first: object, second: object) -> Graph:
    """What ``first >> second`` is."""
    from chatproxy_graphs.graph import pipeline  # noqa: PLC0415 - a graph is made of workers, and >> makes a graph

    return pipeline(first, second)


def _called(function: Callable[[Context], Any]) -> Step:
    async def call(ctx: Context) -> Any:
        return await in_thread(function, ctx)

    own_call = getattr(type(function), "__call__", None)  # noqa: B004 - which kind of function it is, is asked
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(own_call):
        return function
    return call


def _name_of_class(worker: object) -> str:
    return _WORD.sub("_", type(worker).__name__).lower()
