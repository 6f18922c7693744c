"""The chunks of any-llm's streams, and its answers as plain data."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from chatproxy.errors import UpstreamError
from chatproxy.types import Attempt
from chatproxy_providers.waiting import Waiting

_CLOSE_S = 1.0
_MOST_BUFFERED = 1_000


class Chunks(AsyncIterator[Mapping[str, Any]]):
    """A stream's chunks, each wait under its deadline; closing it closes the vendor's connection.

    Args:
        failed: what an exception means to a client.
    """

    def __init__(
        self, answer: Any, waiting: Waiting, attempt: Attempt, failed: Callable[[Exception, Attempt], Exception]
    ) -> None:
        self._answer = answer
        self._iterator = answer.__aiter__()
        self._waiting = waiting
        self._attempt = attempt
        self._failed = failed
        self._is_finished = False
        self._is_over = False

    async def __anext__(self) -> Mapping[str, Any]:
        try:
            chunk = plain(await self._waiting.wait(self._iterator.__anext__()))
        except StopAsyncIteration:
            self._is_over = True
            if not self._is_finished:
                message = "The upstream ended the stream before it was finished."
                raise UpstreamError(message, code="upstream_incomplete") from None
            raise
        except Exception as exc:
            raise self._failed(exc, self._attempt) from exc
        self._attempt.status = 200
        self._waiting.alive()
        self._is_finished = self._is_finished or any(each.get("finish_reason") for each in chunk["choices"])
        return chunk

    async def aclose(self) -> None:
        """Close the vendor's stream."""
        if not self._is_over:
            self._is_over = True
            await self._interrupt()
        close = getattr(self._answer, "aclose", None) or getattr(self._answer, "close", None)
        if close is not None:
            await close()

    async def _interrupt(self) -> None:
        """Cancel a wait for the next chunk: it ends every generator from the innermost on.

        Closing only the outermost leaves those in it to the garbage collector (google-genai 3.4.0 keeps them in a
        circle of references), and the connection open.
        """
        for _ in range(_MOST_BUFFERED):
            step = asyncio.ensure_future(self._iterator.__anext__())
            await asyncio.sleep(0)
            if not step.done():
                step.cancel()
                await asyncio.wait((step,), timeout=_CLOSE_S)
                return
            if step.cancelled() or step.exception() is not None:
                return


def plain(answer: Any) -> dict[str, Any]:
    """An answer or a chunk of any-llm as the gateway's chat has it: reasoning under the name that most servers use."""
    made: dict[str, Any] = answer.model_dump(mode="json", exclude_none=True)
    for choice in made.setdefault("choices", []):
        choice.setdefault("finish_reason", None)
        said = choice.get("message") or choice.get("delta") or {}
        reasoning = said.pop("reasoning", None)
        if reasoning is not None:
            said["reasoning_content"] = reasoning
        if "message" in choice:
            said.setdefault("content", None)
    return made
