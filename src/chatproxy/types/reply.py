"""What a handler answers: a `Completed` body or a `Stream` of server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Self

import msgspec

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.types.attempt import Attempt
from chatproxy.types.body import JsonBody, check_json
from chatproxy.types.chat import CHAT
from chatproxy.types.layout import Layout, Summary
from chatproxy.types.model import ToolCall
from chatproxy.types.stream import EventSource, StreamEvent, encoded_chunks, split_events
from chatproxy.types.text import Text
from chatproxy.types.usage import Usage


class ChatResponse(JsonBody):
    """A buffered reply's body as a mutable mapping, under the same law as `ChatRequest`.

    One that came as bytes is taken apart only when somebody looks into it.
    """

    __slots__ = ("_summary", "layout")

    def __init__(self, value: Mapping[str, Any] | None = None, *, layout: Layout = CHAT) -> None:
        super().__init__(value)
        self.layout = layout
        self._summary: Summary | None = None

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Decode a chat completion; raises `InvalidRequest` as `JsonBody.decode` does."""
        return cls.of(data, CHAT)

    @classmethod
    def of(cls, data: bytes, layout: Layout) -> Self:
        """Take a body that belongs to a surface.

        Raises:
            InvalidRequest: not a JSON object (400; a handler makes it what it means there).
        """
        response = cls.__new__(cls)
        response.take(data, layout)
        return response

    def take(self, data: bytes, layout: Layout) -> None:
        """Become the reply that ``data`` holds; raises as `of` does."""
        self.layout = layout
        self._summary = layout.summary(data)
        self._source = data

    def __getattr__(self, name: str) -> Any:
        if name != "_fields" or self._source is None:
            raise AttributeError(name)
        try:
            self._fields = check_json(self._source)
        except InvalidRequest as exc:
            raise UpstreamError(f"The upstream's answer cannot be read: {exc}", code="upstream_invalid_json") from exc
        return self._fields

    def plain(self) -> dict[str, Any]:
        """See `JsonBody.plain`.

        Raises:
            UpstreamError: the upstream's bytes cannot be read (502).
        """
        try:
            return super().plain()
        except (msgspec.MsgspecError, ValueError, RecursionError) as exc:
            raise UpstreamError(f"The upstream's answer cannot be read: {exc}", code="upstream_invalid_json") from exc

    def mentions(self, key: str, name: bytes) -> bool:
        """See `JsonBody.mentions`; one that nobody has looked into stays whole where the name is nowhere in it."""
        source = self._source
        if source is not None and name not in source and b"\\u00" not in source:
            return False
        return super().mentions(key, name)

    @property
    def summary(self) -> Summary:
        """(token counts, finish reasons) of the reply as it is now."""
        if self._source is not None and self._summary is not None:
            return self._summary
        return self.usage, self.finish_reasons

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

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls that the reply asks for, as plain data."""
        return self.layout.tool_calls(self)

    @property
    def may_call(self) -> bool:
        """Whether it may hold calls of tools; False is certain, and nothing is decoded."""
        return self.layout.turns is not None and self.layout.turns.may_call(self)

    @property
    def other_calls(self) -> list[str]:
        """Ids of calls that are no functions' and that only the client can answer: custom tools, shells, computers."""
        return [] if self.layout.turns is None else self.layout.turns.other_calls(self)

    def texts(self) -> Iterator[Text]:
        """Every text of the reply, with its place and ``replace``."""
        return self.layout.response_texts(self)

    def filter(self, message: str = "") -> None:
        """Become a filtered answer of the surface: texts, tool calls and reasoning leave, ``message`` stands instead.

        The finish reason says so (``content_filter``, ``refusal``, or ``incomplete`` with its details); the id, the
        model and the usage stay. A reply that no model wrote (embeddings, moderations) stays as it is.
        """
        self.layout.filter(self, message)


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
        attempt: the record of the answer that this is; None where no handler gave it.
    """

    __slots__ = ("attempt", "chunks", "headers", "layout", "status")

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
        self.attempt: Attempt | None = None

    @classmethod
    def of(cls, events: EventSource, *, headers: Mapping[str, str] | None = None, layout: Layout = CHAT) -> Self:
        """A stream from an async iterator of events: mappings, `StreamEvent` or ready bytes.

        What a surface's streams end with (``[DONE]`` on chat) is added.
        """
        return cls(encoded_chunks(events, layout), headers=headers, layout=layout)

    def events(self) -> AsyncIterator[StreamEvent]:
        """The stream as events, without ``[DONE]``; close it when you stop early."""
        return split_events(self.chunks, self.layout)

    async def aclose(self) -> None:
        """Stop the stream and what feeds it. Closing twice does nothing."""
        close = getattr(self.chunks, "aclose", None)
        if close is not None:
            await close()


Reply = Completed | Stream
