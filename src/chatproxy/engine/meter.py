"""Meter: reads a handler's stream frame by frame, checks it, and counts what goes by.

It is the one place that decides whether a stream ended properly. It yields whole frames only, so that an error event
after it is always well formed.
"""

from __future__ import annotations

import logging
from typing import Any

from chatproxy.errors import PLUGIN_FAILURES, ApiError, UpstreamError
from chatproxy.sse import FrameSplitter, frame_data
from chatproxy.types.tally import Tally

logger = logging.getLogger("chatproxy.engine")


class Meter:
    """A stream's whole frames, without ``[DONE]``: `read` waits for them, `take` and `end` do not.

    Args:
        chunks: the handler's bytes, cut anywhere.
        drop_usage: leave out the usage-only frame, for a client that did not ask for it.

    Attributes:
        failure: how the stream failed; also set when a plugin swallowed the error.
        fault: to be raised before anything more is waited for; the frames in front of it have passed.
        tally: what the stream has said so far.
        events: how many it has had.
        first: the data of the first of them.
    """

    __slots__ = ("_done", "_drop_usage", "_splitter", "chunks", "events", "failure", "fault", "first", "tally")

    def __init__(self, chunks: Any, tally: Tally, *, drop_usage: bool, max_line_bytes: int) -> None:
        self.chunks = chunks
        self.tally = tally
        self.events = 0
        self.first = b""
        self._drop_usage = drop_usage
        self._splitter = FrameSplitter(max_line_bytes)
        self._done = False
        self.fault: ApiError | None = None
        self.failure: ApiError | None = None

    @property
    def source(self) -> Meter:
        """The meter of the handler's own words."""
        return self

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
                self.check()
                try:
                    frames = self.take(await self.chunks.__anext__())
                except StopAsyncIteration:
                    frames = self.end()
                if frames:
                    return frames
        except ApiError as error:
            self.failure = error
            raise
        except PLUGIN_FAILURES as exc:
            self.failure = stream_failed(exc)
            raise self.failure from exc
        return []

    def check(self) -> None:
        """Raise what was found behind the frames that have passed."""
        if self.fault is not None:
            fault, self.fault = self.fault, None  # its traceback leads back to here
            raise fault

    def take(self, chunk: bytes) -> list[bytes]:
        """Look at the next bytes; the whole frames that a client may get, maybe none yet.

        A fault counts from its own frame on: those before it in the same bytes pass first.
        """
        return self._passing(self._splitter.feed(chunk))

    async def aclose(self) -> None:
        """Close the handler's stream."""
        self.failure = None  # its traceback leads back to here
        if self._done:
            ended = getattr(self.chunks, "ended", None)
            if ended is not None:
                ended()
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()

    def end(self) -> list[bytes]:
        """The frames left at the end of the bytes; raises where the answer is not whole."""
        last = self._splitter.flush()
        frames = self._passing([last]) if last is not None else []
        if not self._done and not self.tally.may_end:
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
                if self._done:
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
            self._done = self.tally.done_is_end
            return False
        self.events += 1
        if self.events == 1:
            self.first = data
        passes = self.tally.add(data) or not self._drop_usage
        if self.tally.is_over:
            self._done = True
        return passes


def stream_failed(exc: BaseException) -> UpstreamError:
    """What a client is told where a handler's stream raised something of its own (500, code ``handler_failed``)."""
    logger.error("a handler's stream failed", exc_info=exc)
    return UpstreamError("The handler failed in mid-stream.", status=500, code="handler_failed")
