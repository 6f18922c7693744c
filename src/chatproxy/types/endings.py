"""Ending: how a plugin ends a stream before its model does, in a way that clients of its surface understand."""

from __future__ import annotations

from chatproxy.types.layout import Layout
from chatproxy.types.stream import StreamEvent
from chatproxy.types.usage import Usage


class Ending:
    """Follows one stream as it goes out, and can end it at any moment.

    Example::

        ending = Ending(ctx.layout, model=ctx.exchange.model)
        async for event in events:
            if is_bad(event):
                for last in ending.filtered("Not this."):
                    yield last
                return
            ending.take(event)
            yield event

    Args:
        model: its name where the stream is ended before any event has gone out.
    """

    __slots__ = ("_layout", "_model", "_progress")

    def __init__(self, layout: Layout, *, model: str = "") -> None:
        self._layout = layout
        self._model = model
        self._progress = layout.progress()

    def take(self, event: StreamEvent) -> None:
        """An event that goes out now; nobody may change it any more."""
        event.tell(self._progress)

    def filtered(self, message: str = "", usage: Usage | None = None) -> list[StreamEvent]:
        """The events that end the stream as one whose rest was filtered.

        What is open is closed with the text that went out. Chat and completions: every open choice says the message and
        has the finish reason ``content_filter``. Messages: the message is a block of its own, the stop reason is
        ``refusal``. Responses: the message is an item of its own, the response is ``incomplete`` with the reason
        ``content_filter``. None where the stream has ended already.

        Args:
            message: said by the assistant; empty: nothing.
            usage: what the client is told it cost; None: what the stream has said so far, if anything.
        """
        made = self._progress.filtered(message, usage, self._model)
        return [StreamEvent.of(data, layout=self._layout) for data in made]
