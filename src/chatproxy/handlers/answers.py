"""What a handler may have for an answer, brought into the form that the client asked for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any

from chatproxy.errors import PLUGIN_FAILURES, ApiError, UpstreamError
from chatproxy.handlers.assemble import as_chunks, assembled, cut
from chatproxy.types.reply import Completed, Reply, Stream

logger = logging.getLogger("chatproxy.handlers")

_TURN = 64  # after so many pieces others get their turn, also where the handler never waits

Piece = Mapping[str, Any] | str
Close = Callable[[], Awaitable[None]]


async def as_reply(
    answer: Any,
    *,
    model: str,
    stream: bool,
    name: str = "custom",
    headers: Mapping[str, str] | None = None,
    close: Close | None = None,
) -> Reply:
    """The reply to a request, from what a handler has for an answer.

    Each kind of answer serves buffered and streamed requests alike. An iterator is closed when the reply is over or its
    client has left.

    Args:
        answer: a completion as a mapping, a text, or an async iterator of chunk mappings or texts; objects with
            ``model_dump``, as openai-python returns them, count as mappings.
        model: stands in where the answer names none.
        stream: what the client asked for.
        name: of the handler, for messages.
        headers: of the reply.
        close: called when the reply is over, after the iterator was closed.

    Raises:
        UpstreamError: the answer is nothing of that kind (500, code ``handler_failed``).

    Example:
        ``return await as_reply(texts(), model=request.model, stream=request.stream, name=self.name)``
    """
    pieces = _Pieces(name, answer, model, close)
    if stream:
        return Stream.of(pieces, headers=dict(headers or {}))
    try:
        return Completed(await _whole(answer, model), headers=dict(headers or {}))
    finally:
        await pieces.aclose()


class _Pieces(AsyncIterator[Mapping[str, Any]]):
    """An answer as chunks."""

    def __init__(self, name: str, answer: Any, model: str, close: Close | None) -> None:
        self._name = name
        self._answer = answer
        self._chunks = _cut(answer, model)
        self._close = close

    async def __anext__(self) -> Mapping[str, Any]:
        try:
            return await self._chunks.__anext__()
        except (ApiError, StopAsyncIteration):
            raise
        except PLUGIN_FAILURES as exc:
            logger.exception("handler %r failed in its stream", self._name)
            message = f"The handler '{self._name}' failed."
            raise UpstreamError(message, status=500, code="handler_failed") from exc

    async def aclose(self) -> None:
        """Close the conversion, the handler's own iterator and what it had opened."""
        try:
            await self._chunks.aclose()
            close = getattr(self._answer, "aclose", None) or getattr(self._answer, "close", None)
            if close is not None and hasattr(self._answer, "__aiter__"):
                await close()
        finally:
            if self._close is not None:
                await self._close()


async def _whole(answer: Any, model: str) -> Mapping[str, Any]:
    """The buffered form."""
    answer = _plain(answer)
    if isinstance(answer, Mapping):
        return answer
    pieces = _items(answer)
    async with aclosing(pieces):
        return await assembled(pieces, model)


async def _cut(answer: Any, model: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """The streamed form, chunk by chunk."""
    answer = _plain(answer)
    if isinstance(answer, Mapping):
        for event in cut(answer):
            yield event
        return
    items = _items(answer)
    async with aclosing(items), aclosing(as_chunks(items, model)) as chunks:
        async for event in chunks:
            yield event


def _wrong(found: object, what: str) -> ApiError:
    """The error for something that a handler must not give."""
    return UpstreamError(f"The handler gave {type(found).__name__}, wanted {what}.", status=500, code="handler_failed")


async def _items(answer: Any) -> AsyncGenerator[Piece, None]:
    if isinstance(answer, str):
        yield answer
        return
    if not hasattr(answer, "__aiter__"):
        raise _wrong(answer, "a mapping, a text or an async iterator")
    given = 0
    async for item in answer:
        piece = _plain(item)
        if not isinstance(piece, Mapping | str):
            raise _wrong(item, "chunk mappings or texts")
        yield piece
        given += 1
        if given % _TURN == 0:
            await asyncio.sleep(0)


def _plain(value: Any) -> Any:
    """A Pydantic object, as openai-python and other SDKs return them, as the mapping it came from."""
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(mode="json", exclude_unset=True)
