"""The bytes of an upstream's event stream as they come, each wait under the deadline between events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

from chatproxy.errors import ApiError
from chatproxy.handlers.decoding import Decoder, Identity
from chatproxy.handlers.patience import Patience
from chatproxy.sse import is_activity
from chatproxy.types.attempt import Attempt

Failure = Callable[[Exception], ApiError]

_FIELDS = (b"data", b"event")
_READ_OUT_S = 0.25


class StreamChunks:
    """The bytes of an upstream's event stream, under its deadlines.

    Args:
        failure: what a transport's exception means to a client.
        attempt: gets the time of the first event.
    """

    __slots__ = (
        "_attempt",
        "_decoder",
        "_failure",
        "_has_ended",
        "_in_comment",
        "_iterator",
        "_left_at",
        "_patience",
        "_quiet",
        "_response",
    )

    def __init__(self, response: Any, decoder: Decoder, patience: Patience, failure: Failure, attempt: Attempt) -> None:
        self._failure = failure
        self._attempt = attempt
        self._response = response
        self._iterator: AsyncIterator[bytes] = response.stream.__aiter__()
        self._decoder = None if isinstance(decoder, Identity) else decoder
        self._patience = patience
        self._in_comment = False
        self._quiet = False
        self._left_at = 0.0
        self._has_ended = False

    def __aiter__(self) -> StreamChunks:
        return self

    async def __anext__(self) -> bytes:
        patience = self._patience
        if self._quiet:
            patience.resume(self._left_at)
        patience.begin()
        try:
            chunk = await self._iterator.__anext__()
        except asyncio.CancelledError:
            patience.raise_if_expired()
            raise
        except StopAsyncIteration:
            patience.stop()
            if self._decoder is not None:
                self._decoder.finish()
            raise
        except httpx.TransportError as exc:
            patience.stop()
            raise self._failure(exc) from exc
        finally:
            patience.end()
        if self._decoder is not None:
            chunk = self._decoder.decode(chunk)
        if chunk.startswith(_FIELDS) and not self._in_comment:
            self._quiet = False
        else:
            active, self._in_comment = is_activity(chunk, in_comment=self._in_comment)
            self._quiet = not active
        if self._quiet:
            self._left_at = patience.now()
        else:
            patience.alive()
        return chunk

    def ended(self) -> None:
        """The stream has said its last: nothing is missing if it is closed now."""
        self._has_ended = True

    async def aclose(self) -> None:
        """Close the upstream's stream; one that has said its last is read to its end, to keep the connection."""
        self._patience.stop()
        if (began_s := self._patience.began_s) is not None:
            self._attempt.first_chunk_s = began_s - self._attempt.clock_s
        try:
            if self._has_ended:
                await self._read_out()
        finally:
            await self._response.stream.aclose()

    async def _read_out(self) -> None:
        try:
            async with asyncio.timeout(_READ_OUT_S):
                async for _ in self._iterator:
                    continue
        except (TimeoutError, httpx.TransportError):
            return  # the connection is closed instead of kept
