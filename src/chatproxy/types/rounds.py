"""Rounds: several answers of a model, which a client gets as one.

Rule: for plugins that call ``call_next`` more than once; what is special to a surface is in its `Turns`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from chatproxy.errors import ApiError, UpstreamError
from chatproxy.sse import FrameSplitter, frame_data
from chatproxy.types.attempt import Attempt
from chatproxy.types.layout import Layout
from chatproxy.types.reply import ChatResponse, Completed, Stream
from chatproxy.types.stream import StreamEvent
from chatproxy.types.tally import Tally


class _Heard:
    """Puts on record what a stream said that a plugin reads."""

    __slots__ = ("_attempt", "_events", "_first")

    def __init__(self, attempt: Attempt | None) -> None:
        self._attempt = attempt
        self._events = 0
        self._first = b""

    def count(self, frame: bytes) -> None:
        self._events += 1
        if self._events == 1:
            self._first = frame_data(frame) or b""
            if self._attempt is not None:
                self._attempt.began()

    def end(self, tally: Tally, failure: Exception | None) -> None:
        if self._attempt is not None:
            self._attempt.heard(tally, events=self._events, first=self._first)
            name = None if failure is None else type(failure).__name__
            self._attempt.end(failure.code if isinstance(failure, ApiError) else name)


class Rounds:
    """The rounds of one exchange: all of them streamed, or all of them whole, as the first was.

    Example::

        rounds = Rounds(ctx.layout, hides=my_tools.__contains__)
        while True:
            async for event in rounds.streamed(await call_next(request)):
                yield event
            turn = rounds.turn()
            results = {call.id: await run(call) for call in turn.tool_calls}
            if not results:
                break
            request.answer_calls(turn, results)
            rounds.go_on()
        for event in rounds.end():
            yield event

    The client gets the texts of every round in order (on chat parted by a blank line), the calls that are not hidden,
    the id, model and time of the first round, one end, and token counts summed over all rounds.

    Args:
        hides: whether the client does not get calls of the tool of this name.

    Raises:
        LookupError: the surface has no tools.
    """

    __slots__ = ("_joining", "_layout")

    def __init__(self, layout: Layout, *, hides: Callable[[str], bool]) -> None:
        if layout.turns is None:
            raise LookupError(f"the {layout.surface} API has no tools")
        self._layout = layout
        self._joining = layout.turns.joining(hides)

    def take(self, event: StreamEvent) -> list[StreamEvent]:
        """The next event of the current round; what of it goes out now. For those that read the round themselves."""
        made = event.joined(self._joining)
        return [event] if made is None else self._events(made)

    async def streamed(self, reply: Completed | Stream) -> AsyncGenerator[StreamEvent, None]:
        """The next round: what of it goes out as it comes; the stream is closed at its end.

        Raises:
            UpstreamError: see `checked_events`.
        """
        async with aclosing(checked_events(reply)) as events:
            async for event in events:
                for made in self.take(event):
                    yield made

    def add(self, response: ChatResponse) -> None:
        """The next round, whole."""
        self._joining.add(response.plain())

    def turn(self) -> ChatResponse:
        """The current round as the model said it, with the calls that are hidden; for `ChatRequest.answer_calls`."""
        return ChatResponse(self._joining.turn(), layout=self._layout)

    def go_on(self) -> None:
        """The current round is over and another one follows."""
        self._joining.go_on()

    def show(self, item: dict[str, Any], *, is_done: bool = True) -> list[StreamEvent]:
        """An output item that the gateway itself adds to the answer; see `Joining.show`. Only responses have such."""
        return self._events(self._joining.show(item, is_done=is_done))

    def end(self, finish_reason: str | None = None) -> list[StreamEvent]:
        """The events that end the stream; ``finish_reason`` in chat's words, None: the last round's own."""
        return self._events(self._joining.end(finish_reason))

    def result(self, finish_reason: str | None = None) -> ChatResponse:
        """The whole answer, where the rounds were whole."""
        return ChatResponse(self._joining.result(finish_reason), layout=self._layout)

    def _events(self, made: list[dict[str, Any]]) -> list[StreamEvent]:
        return [StreamEvent.of(data, layout=self._layout) for data in made]


async def checked_events(reply: Completed | Stream) -> AsyncGenerator[StreamEvent, None]:
    """The events of a stream that a plugin reads to its end, as strictly as the gateway reads those that it passes on.

    Comments and ``[DONE]`` are left out; the stream is closed at the end, or when the generator is.

    Raises:
        UpstreamError: the stream failed, or broke off before it was finished, or the reply is none.
    """
    if isinstance(reply, Completed):
        raise UpstreamError("The upstream answered a streamed request with a whole reply.", code="upstream_form")
    tally, splitter, heard = reply.layout.tally(), FrameSplitter(), _Heard(reply.attempt)
    failure: Exception | None = None
    async with aclosing(reply):
        try:
            async for chunk in reply.chunks:
                for frame in splitter.feed(chunk):
                    if _is_event(frame, tally):
                        heard.count(frame)
                        yield StreamEvent(frame, reply.layout)
                if tally.is_over:
                    break
            last = splitter.flush()
            if last is not None and _is_event(last, tally):
                heard.count(last)
                yield StreamEvent(last, reply.layout)
            if not (tally.is_over or tally.may_end):
                message = "The upstream ended the stream before it was finished."
                raise UpstreamError(message, code="upstream_incomplete")
        except Exception as error:
            failure = error
            raise
        finally:
            heard.end(tally, failure)


def _is_event(frame: bytes, tally: Tally) -> bool:
    """Whether a frame is an event of the answer; looks at it for the tally."""
    data = frame_data(frame)
    if data is None:
        return False
    if data == b"[DONE]":
        tally.is_over = tally.is_over or tally.done_is_end
        return False
    if tally.is_over:
        return False
    tally.add(data)
    return True
