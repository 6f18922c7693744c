"""Meter: reads a handler's stream frame by frame, checks it, and counts what goes by.

It is the one place that decides whether a stream ended properly. It yields whole frames only, so that an error event
after it is always well formed.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from chatproxy.errors import ApiError, UpstreamError
from chatproxy.sse import FrameSplitter, frame_data
from chatproxy.types.exchange import Exchange
from chatproxy.types.layout import Layout
from chatproxy.types.stream import decode_event
from chatproxy.types.usage import Usage, usage_of_chat

logger = logging.getLogger("chatproxy.engine")


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Choice] | None = None
    usage: dict[str, Any] | None = None
    error: Any = None


_decode_chunk = msgspec.json.Decoder(_Chunk).decode


class Meter:
    """A stream's whole frames, without ``[DONE]``: `read` waits for them, `take` and `end` do not.

    Args:
        chunks: the handler's bytes, cut anywhere.
        drop_usage: leave out the usage-only frame, for a client that did not ask for it.

    Attributes:
        failure: how the stream failed; also set when a plugin swallowed the error.
        fault: to be raised before anything more is waited for; the frames in front of it have passed.
        usage: the last token counts the stream carried.
        characters: of content seen, for an estimate.
    """

    __slots__ = (
        "_done", "_drop_usage", "_exchange", "_layout", "_splitter", "characters", "chunks", "failure", "fault",
        "usage",
    )  # fmt: skip

    def __init__(
        self, chunks: Any, layout: Layout, exchange: Exchange, *, drop_usage: bool, max_line_bytes: int
    ) -> None:
        self.chunks = chunks
        self._layout = layout
        self._exchange = exchange
        self._drop_usage = drop_usage
        self._splitter = FrameSplitter(max_line_bytes)
        self._done = False
        self.fault: ApiError | None = None
        self.failure: ApiError | None = None
        self.usage: Usage | None = None
        self.characters = 0

    @property
    def done(self) -> bool:
        """Whether the stream has ended properly."""
        return self._done

    async def read(self) -> list[bytes]:
        """The next whole frames; none once the stream has ended.

        Raises:
            ApiError: the stream failed; also kept as ``failure``.
        """
        try:
            while not self._done:
                if self.fault is not None:
                    fault, self.fault = self.fault, None
                    raise fault
                try:
                    frames = self.take(await self.chunks.__anext__())
                except StopAsyncIteration:
                    frames = self.end()
                if frames:
                    return frames
        except ApiError as error:
            self.failure = error
            raise
        except Exception as exc:
            self.failure = stream_failed(exc)
            raise self.failure from exc
        return []

    def take(self, chunk: bytes) -> list[bytes]:
        """Look at the next bytes; the whole frames that a client may get, maybe none yet.

        A fault counts from its own frame on: those before it in the same bytes pass first.
        """
        return self._passing(self._splitter.feed(chunk))

    async def aclose(self) -> None:
        """Close the handler's stream."""
        self.failure = None  # its traceback leads back to here
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()

    def end(self) -> list[bytes]:
        """The frames left at the end of the bytes; an end without ``[DONE]`` is one only after a finish reason."""
        last = self._splitter.flush()
        frames = self._passing([last]) if last is not None else []
        if not self._done and not self._exchange.finish_reasons:
            raise UpstreamError("The upstream ended the stream before it was finished.", code="upstream_incomplete")
        self._done = True
        return frames

    def _passing(self, frames: list[bytes]) -> list[bytes]:
        """Look at every frame; those that pass on."""
        passing: list[bytes] = []
        try:
            for frame in frames:
                if self._look(frame):
                    passing.append(frame)
                elif self._done:
                    break
        except ApiError as fault:
            if not passing:
                raise
            self.fault = fault
        return passing

    def _look(self, frame: bytes) -> bool:
        """Count one frame; whether the client gets it."""
        data = frame_data(frame)
        if data is None:
            return True
        if data[:6] == b"[DONE]":
            self._done = True
            return False
        self._exchange.events += 1
        try:
            chunk = _decode_chunk(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            return self._look_slowly(data)
        if chunk.error is not None:
            raise _in_stream_error(chunk.error)
        if chunk.choices:
            for choice in chunk.choices:
                if choice.finish_reason is not None:
                    self._exchange.finish_reasons.append(choice.finish_reason)
                if choice.delta is not None and choice.delta.content is not None:
                    self.characters += len(choice.delta.content)
        if chunk.usage is not None:
            self.usage = usage_of_chat(chunk.usage)
            return bool(chunk.choices) or not self._drop_usage
        return True

    def _look_slowly(self, data: bytes) -> bool:
        """A frame of unusual shape: any JSON object passes."""
        event = decode_event(data)
        if event.get("error") is not None:
            raise _in_stream_error(event["error"])
        self._exchange.finish_reasons.extend(self._layout.finish_reasons(event))
        usage = self._layout.usage(event)
        self.usage = usage or self.usage
        return usage is None or bool(event.get("choices")) or not self._drop_usage


def stream_failed(exc: BaseException) -> UpstreamError:
    """What a client is told where a handler's stream raised something of its own (500, code ``handler_failed``)."""
    logger.error("a handler's stream failed", exc_info=exc)
    return UpstreamError("The handler failed in mid-stream.", status=500, code="handler_failed")


def _in_stream_error(error: Any) -> UpstreamError:
    """The error an upstream sent as an event of its stream."""
    message, code = "The upstream failed in mid-stream.", "upstream_error"
    if isinstance(error, dict):
        message = error["message"] if isinstance(error.get("message"), str) else message
        code = error["code"] if isinstance(error.get("code"), str) else code
    elif isinstance(error, str):
        message = error
    return UpstreamError(message[:1000], code=code)
