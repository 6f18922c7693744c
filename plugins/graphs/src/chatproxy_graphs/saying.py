"""Saying: what a streaming worker says, and what that makes of ``ctx.response``.

Rule: what the client has heard cannot be taken back. The text of a second streaming worker follows that of the first,
also where nobody listens, so that a buffered answer says the same as a streamed one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatproxy_graphs.context import Context
from chatproxy_graphs.errors import NodeFailed
from chatproxy_graphs.events import GraphEvent, NodeRun
from chatproxy_graphs.watch import Deadline

if TYPE_CHECKING:
    from chatproxy_graphs.run import Run


class Saying:
    """One attempt of one streaming worker.

    Args:
        before: ``ctx.response`` as the worker found it.
        deadline: stands still while the reader is slow.
        is_heard: see `Visit`.
    """

    def __init__(self, run: Run, record: NodeRun, before: Any, deadline: Deadline, *, is_heard: bool) -> None:
        self._run = run
        self._record = record
        self._before = before
        self._deadline = deadline
        self._is_heard = is_heard
        self._heard = "".join(run.said) if is_heard else ""
        self._own: list[str] = []

    @property
    def has_said(self) -> bool:
        """Whether the client has heard of it."""
        return self._is_heard and bool(self._own)

    async def say(self, text: str, ctx: Context) -> None:
        """A piece of text."""
        if not text:
            return
        run = self._run
        self._own.append(text)
        if self._is_heard:
            run.said.append(text)
        feed = run.feed
        if feed is None or not (self._is_heard or run.tells_events):
            return
        if feed.is_full:
            self._deadline.hold()
            try:
                await feed.room()
            finally:
                self._deadline.go_on()
        feed.put(self._event(text, ctx) if run.tells_events else text)

    async def show(self, ctx: Context) -> None:
        """The context as it is now: what it says more than before is a piece of text."""
        shown = ctx.response
        if isinstance(shown, str) and (self._own or shown is not self._before):
            await self.say(self._rest(shown), ctx)

    async def end(self, ctx: Context, *, is_whole: bool = False) -> None:
        """The worker is done.

        Args:
            is_whole: it said all at once, so that what it left is its own, even where that is what it found.

        Raises:
            NodeFailed: its ``ctx.response`` is not what it streamed.
        """
        response = ctx.response
        if response is self._before and not is_whole:
            if self._own:
                ctx.response = self._heard + "".join(self._own)
            return
        if not self._is_heard:
            return
        if isinstance(response, str):
            await self.say(self._rest(response), ctx)
            ctx.response = self._heard + "".join(self._own)
        elif self._own:
            raise self._replaced()

    def _rest(self, response: str) -> str:
        own = "".join(self._own)
        for said in (self._heard + own, own):
            if response.startswith(said):
                return response[len(said) :]
        raise self._replaced()

    def _event(self, text: str, ctx: Context) -> GraphEvent:
        record = self._record
        return GraphEvent(type="node", node=record.node, step=record.step, streaming=True, text=text, ctx=ctx)

    def _replaced(self) -> NodeFailed:
        record = self._record
        reason = "ctx.response is something else than the texts that the worker streamed"
        return NodeFailed(reason, graph=record.graph, node=record.node, step=record.step)
