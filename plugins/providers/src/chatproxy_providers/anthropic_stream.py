"""The bytes of Anthropic's answers as they come, each wait under its deadline."""

from __future__ import annotations

import asyncio

import anthropic
import httpx2

from chatproxy.errors import UpstreamError
from chatproxy.types import Attempt
from chatproxy_providers.anthropic_errors import error_of
from chatproxy_providers.hiding import Hider
from chatproxy_providers.waiting import Waiting

_READ_OUT_S = 0.25


class Chunks:
    """The body of an answer, piece by piece; closing it closes the connection, unless the answer was whole.

    Args:
        attempt: gets the time of the first piece.
    """

    __slots__ = ("_attempt", "_has_ended", "_hider", "_iterator", "_response", "_waiting")

    def __init__(self, response: httpx2.Response, waiting: Waiting, hider: Hider, attempt: Attempt) -> None:
        self._response = response
        self._iterator = response.aiter_bytes()
        self._waiting = waiting
        self._hider = hider
        self._attempt = attempt
        self._has_ended = False

    def __aiter__(self) -> Chunks:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._waiting.wait(self._iterator.__anext__())
        except (httpx2.HTTPError, httpx2.StreamError, anthropic.AnthropicError) as exc:
            raise error_of(exc, self._hider) from exc
        if self._attempt.first_chunk_s is None:
            self._attempt.began()
        self._waiting.alive()
        return chunk

    async def whole(self, max_bytes: int) -> bytes:
        """All of a buffered answer.

        Raises:
            UpstreamError: it is too large (502), or see `__anext__`.
        """
        parts, size = [], 0
        try:
            async for chunk in self:
                size += len(chunk)
                if size > max_bytes:
                    message = f"The upstream's answer is over {max_bytes} bytes."
                    raise UpstreamError(message, code="upstream_response_too_large")
                parts.append(chunk)
        finally:
            await self.aclose()
        return b"".join(parts)

    def ended(self) -> None:
        """The stream has said its last: nothing is missing if it is closed now."""
        self._has_ended = True

    async def aclose(self) -> None:
        """Close the answer; one that has said its last is read to its end, to keep the connection."""
        try:
            if self._has_ended:
                await self._read_out()
        finally:
            try:
                await self._iterator.aclose()
            finally:
                await self._response.aclose()

    async def _read_out(self) -> None:
        try:
            async with asyncio.timeout(_READ_OUT_S):
                async for _ in self._iterator:
                    continue
        except (TimeoutError, httpx2.HTTPError, httpx2.StreamError):
            return  # the connection is closed instead of kept
