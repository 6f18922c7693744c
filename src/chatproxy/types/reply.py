"""What a handler answers: a `Completed` body or a `Stream` of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Self

from chatproxy.types.body import JsonBody
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout
from chatproxy.types.stream import EventSource, StreamEvent, encoded_chunks, split_events
from chatproxy.types.text import Text
from chatproxy.types.usage import Usage


class ChatResponse(JsonBody):
    """A buffered reply's body as a mutable mapping, under the same law as `ChatRequest`."""

    __slots__ = ("layout",)

    def __init__(self, value: Mapping[str, Any] | None = None, *, layout: Layout = CHAT) -> None:
        super().__init__(value)
        self.layout = layout

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a chat completion; raises `InvalidRequest` as `JsonBody.decode` does."""
        return cls.of(data, CHAT)

    @classmethod
    def of(cls, data: bytes, layout: Layout) -> Self:
        """Decode a body that belongs to a surface; raises `InvalidRequest` as `JsonBody.decode` does."""
        response = super().decode(data)
        response.layout = layout
        return response

    def copy(self) -> Self:
        """Another reply with the same content; changing one does not change the other."""
        return type(self)(self, layout=self.layout)

    @property
    def choices(self) -> list[dict[str, Any]]:
        """The choices; an empty list where there are none."""
        value = self.get("choices")
        return value if isinstance(value, list) else []

    @property
    def usage(self) -> Usage | None:
        """Token counts, where the reply has them."""
        return self.layout.usage(self)

    @property
    def finish_reasons(self) -> list[str]:
        """Why generation stopped, by choice."""
        return self.layout.finish_reasons(self)

    def texts(self) -> Iterator[Text]:
        """Every text of the reply, with its place and ``replace``."""
        return self.layout.response_texts(self)


class Completed:
    """A buffered reply.

    Attributes:
        body: the lens over the reply's JSON object.
        status: HTTP status, 2xx; a failure is raised, never returned.
        headers: response headers worth passing on, lower-case names.
    """

    __slots__ = ("body", "headers", "status")

    def __init__(
        self, body: ChatResponse | Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.body = body if isinstance(body, ChatResponse) else ChatResponse(body)
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})


class Stream:
    """A streamed reply. It can be consumed once: as bytes, or as events.

    Attributes:
        chunks: bytes of an event stream, cut anywhere.
        status: HTTP status, 2xx.
        headers: response headers worth passing on, lower-case names.
        layout: where the surface keeps texts in an event.
    """

    __slots__ = ("chunks", "headers", "layout", "status")

    def __init__(
        self,
        chunks: AsyncIterator[bytes],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        layout: Layout = CHAT,
    ) -> None:
        self.chunks = chunks
        self.status = status
        self.headers: dict[str, str] = dict(headers or {})
        self.layout = layout

    @classmethod
    def of(cls, events: EventSource, *, headers: Mapping[str, str] | None = None, layout: Layout = CHAT) -> Self:
        """A stream from an async iterator of events: mappings, `StreamEvent` or ready bytes; ``[DONE]`` is added."""
        return cls(encoded_chunks(events), headers=headers, layout=layout)

    def events(self) -> AsyncIterator[StreamEvent]:
        """The stream as events, without ``[DONE]``; close it when you stop early."""
        return split_events(self.chunks, self.layout)

    async def aclose(self) -> None:
        """Stop the stream and what feeds it. Closing twice does nothing."""
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()


Reply = Completed | Stream
