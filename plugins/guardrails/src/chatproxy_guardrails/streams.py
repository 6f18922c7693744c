"""Streams: each running text of a reply through its own chain, event by event.

Rule: an event leaves when it came, with as much of its text as may go out; what is held goes out with later events of
the same running text, at the latest in front of the event that ends it. Events without held text leave as their own
bytes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from chatproxy.types import ChatRequest, Ending, RequestContext, StreamEvent, Text, Usage, estimate_tokens
from chatproxy.types.text import forget_logprobs
from chatproxy_guardrails.arguments import AnyText, with_whole_calls
from chatproxy_guardrails.chain import Chain
from chatproxy_guardrails.judge_stages import BlockedError
from chatproxy_guardrails.waiting import NO_NEWS, Waiting
from chatproxy_guardrails.watch import Watch

Channel = tuple[str | int, ...]
_LOGPROBS = b'"token'


class _Running:
    """One running text: its chain, what came and went, and an event to make another of."""

    __slots__ = ("came", "chain", "template", "went")

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.came: list[str] = []
        self.went: list[str] = []
        self.template: tuple[StreamEvent, Text] | None = None

    async def feed(self, piece: str) -> str:
        """See `Chain.feed`."""
        self.came.append(piece)
        self.went.append(await self.chain.feed(piece))
        return self.went[-1]

    async def finish(self) -> str:
        """See `Chain.finish`; finishing twice brings nothing more."""
        self.went.append(await self.chain.finish())
        return self.went[-1]

    def again(self, value: str) -> list[StreamEvent]:
        """An event with more of this text."""
        if self.template is None or not value:
            return []
        event, text = self.template
        return [event.again(text, value)]


def _forget_spelling(event: StreamEvent, texts: Sequence[AnyText]) -> None:
    """Log probabilities in a choice that says nothing spell out what other events say, as it was."""
    said = {text.path[1] for text in texts if len(text.path) > 1 and text.value}
    choices = event.data.get("choices")
    for position, choice in enumerate(choices if isinstance(choices, list) else ()):
        if position not in said and isinstance(choice, dict) and choice.get("logprobs") is not None:
            forget_logprobs(choice)
            event.mark_changed()


class GuardedStream:
    """The events of one reply, as the policies leave them."""

    def __init__(self, ctx: RequestContext, request: ChatRequest, watch: Watch) -> None:
        self._request = request
        self._watch = watch
        self._running: dict[Channel, _Running] = {}
        self._holding: dict[Channel, _Running] = {}
        self._ending = Ending(ctx.layout, model=ctx.exchange.model) if watch.may_block else None
        self._is_over = False

    async def events(self, events: AsyncIterator[StreamEvent]) -> AsyncIterator[StreamEvent]:
        """The transform: see the hook ``transform_stream``."""
        waiting = Waiting(events)
        try:
            while not self._is_over and (event := await waiting.next(self._patience())) is not None:
                for made in await self._step(event):
                    yield made
            if not self._is_over:
                for made in await self._step(None):
                    yield made
        finally:
            await waiting.aclose()

    async def _step(self, event: StreamEvent | None) -> list[StreamEvent]:
        """What goes out with an event; at the end and where patience ends: what is held, judged as it stands."""
        made: list[StreamEvent] = []
        try:
            if event is None:
                await self._flush(made, dict(self._holding))
            elif event is NO_NEWS:
                await self._flush(made, self._impatient())
            else:
                await self._guard(event, made)
        except BlockedError as blocked:
            self._note(made)
            return made + self._end(blocked)
        self._note(made)
        return made

    def _note(self, made: list[StreamEvent]) -> None:
        """What goes out now: an end that comes early says some of it again."""
        if self._ending is not None:
            for event in made:
                self._ending.take(event)

    async def _guard(self, event: StreamEvent, made: list[StreamEvent]) -> None:
        begins = event.name == "content_block_start"
        texts = with_whole_calls(event.texts(), lambda: event.data, event.mark_changed, has_bare=begins)
        if self._holding:
            ended = {channel: held for channel, held in self._holding.items() if event.ends(channel)}
            pieces = {text.channel for text in texts if isinstance(text, Text) and not text.is_whole}
            await self._flush(made, {channel: held for channel, held in ended.items() if channel not in pieces})
        for text in texts:
            if isinstance(text, Text) and not text.is_whole:
                await self._say(event, text, made)
            else:
                await self._say_whole(text)
        if self._watch.alters and _LOGPROBS in event.raw:
            _forget_spelling(event, texts)
        made.append(event)

    async def _say(self, event: StreamEvent, text: Text, made: list[StreamEvent]) -> None:
        """A piece of a running text."""
        channel = text.channel
        running = self._running.get(channel)
        if running is None:
            running = self._running[channel] = _Running(self._watch.running(text))
        if not running.chain:
            return
        going = ""
        try:
            running.template = (event, text)
            going = await running.feed(text.value)
            if running.chain.held:
                self._holding[channel] = running
                if event.ends(channel):
                    going += await self._finish(channel, running)
            else:
                self._holding.pop(channel, None)
        except BlockedError as blocked:
            made += running.again(going + blocked.released)
            raise
        text.replace(going)

    async def _say_whole(self, text: AnyText) -> None:
        """A text that comes at once, or that says again what its pieces said."""
        running = self._running.get(text.channel) if isinstance(text, Text) else None
        if running is not None and not running.chain:
            return
        if running is not None and "".join(running.came) == text.value:
            text.replace("".join(running.went))
        else:
            text.replace(await self._watch.running(text).whole(text.value))

    async def _flush(self, made: list[StreamEvent], ended: dict[Channel, _Running]) -> None:
        """What running texts still hold, as events of their own."""
        for channel, running in ended.items():
            try:
                made += running.again(await self._finish(channel, running))
            except BlockedError as blocked:
                made += running.again(blocked.released)
                raise

    async def _finish(self, channel: Channel, running: _Running) -> str:
        """The rest of a running text; should it go on after all, it does so as a text of its own."""
        self._holding.pop(channel, None)
        rest = await running.finish()
        if running.template is not None:
            running.chain = self._watch.running(running.template[1])
        return rest

    def _end(self, blocked: BlockedError) -> list[StreamEvent]:
        """The events that end a blocked stream in the way of its surface."""
        self._is_over = True
        if self._ending is None:
            return []
        prompt = estimate_tokens(sum(len(text.value) for text in self._request.texts()))
        said = estimate_tokens(sum(len(piece) for running in self._running.values() for piece in running.came))
        usage = Usage(prompt_tokens=prompt, completion_tokens=said, total_tokens=prompt + said, source="estimated")
        return self._ending.filtered(blocked.bound.policy.refusal, usage)

    def _patience(self) -> float | None:
        """Seconds that held text may wait for news; None: as long as it takes."""
        waits = [running.chain.max_hold_s for running in self._holding.values()]
        return min((wait for wait in waits if wait is not None), default=None)

    def _impatient(self) -> dict[Channel, _Running]:
        """Those running texts that have waited for news as long as they may."""
        wait = self._patience()
        return {channel: held for channel, held in self._holding.items() if held.chain.max_hold_s == wait}
