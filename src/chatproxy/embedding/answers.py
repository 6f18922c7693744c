"""What a `ProxyHandler` may return, brought into the form that the client asked for.

Rule: conversion only; closing what was returned is the adapter's.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from chatproxy.errors import ApiError, UpstreamError
from chatproxy.handlers.assemble import as_chunks, assembled, cut

Piece = Mapping[str, Any] | str


async def whole_answer(answer: Any, model: str) -> Mapping[str, Any]:
    """The buffered form.

    Args:
        model: stands in where the answer names none.

    Raises:
        UpstreamError: it is nothing that a handler may return (500, code ``handler_failed``).
    """
    answer = _plain(answer)
    if isinstance(answer, Mapping):
        return answer
    pieces = _items(answer)
    async with aclosing(pieces):
        return await assembled(pieces, model)


async def pieces(answer: Any, model: str) -> AsyncGenerator[Mapping[str, Any], None]:
    """The streamed form, chunk by chunk; raises as `whole_answer` does."""
    answer = _plain(answer)
    if isinstance(answer, Mapping):
        for event in cut(answer):
            yield event
        return
    items = _items(answer)
    async with aclosing(items), aclosing(as_chunks(items, model)) as chunks:
        async for event in chunks:
            yield event


def wrong_answer(found: object, what: str) -> ApiError:
    """The error for something that a handler must not give."""
    return UpstreamError(f"The handler gave {type(found).__name__}, wanted {what}.", status=500, code="handler_failed")


async def _items(answer: Any) -> AsyncGenerator[Piece, None]:
    if isinstance(answer, str):
        yield answer
        return
    if not hasattr(answer, "__aiter__"):
        raise wrong_answer(answer, "a mapping, a text or an async iterator")
    async for item in answer:
        piece = _plain(item)
        if not isinstance(piece, Mapping | str):
            raise wrong_answer(item, "chunk mappings or texts")
        yield piece


def _plain(value: Any) -> Any:
    """A Pydantic object, as openai-python and other SDKs return them, as the mapping it came from."""
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(mode="json", exclude_unset=True)
