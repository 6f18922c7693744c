"""What a caller gets back: a cheap ``httpx.Response`` and its raw byte stream.

Rule: the stream is the only thing a caller holds of a connection. It is cut off from it in the moment the reply is
complete, failed or closed, so a caller can never touch the exchange that uses the connection next.
"""

from asyncio import Future
from typing import Any, Protocol

import httpx


class Source(Protocol):
    """The connection as its current stream sees it."""

    def wait(self) -> Future[None]:
        """Give a future for the next change; a reply that failed or ended has left its stream by then."""

    def describe(self, stream: "ResponseStream") -> None:
        """Fill in status and headers, if the head has come."""

    def taken(self) -> None:
        """Note that everything queued was taken."""

    def abort(self) -> None:
        """Close the socket now."""


class ResponseStream(httpx.AsyncByteStream):
    """The undecoded body of one reply, in chunks as they came; what waits is handed out in one piece.

    Iterating raises ``httpx.ReadError``, ``httpx.ReadTimeout`` or ``httpx.RemoteProtocolError`` after the last good
    byte. Cancelling a read, or closing before the end, closes the connection; reading to the end gives it back.
    """

    __slots__ = ("_chunks", "_error", "_source", "pairs", "status")

    def __init__(self, source: Source, chunks: list[bytes]) -> None:
        self._source: Source | None = source
        self._chunks = chunks
        self._error: Exception | None = None
        self.status = 0
        self.pairs: list[tuple[bytes, bytes]] = []

    async def head(self) -> "UpstreamResponse":
        """Wait for the head of the reply; raises what ended the exchange before it was there."""
        while not self.status:
            source = self._source
            if source is None:
                raise self._error or httpx.StreamClosed()
            try:
                await source.wait()
            except BaseException:
                source.abort()
                raise
            if self._source is not None:
                source.describe(self)
        return UpstreamResponse(self.status, self.pairs, self)

    @property
    def is_complete(self) -> bool:
        """True once the whole body came well (it may still wait here, for ``take``)."""
        return self._source is None and self._error is None

    def take(self) -> bytes:
        """Take what is queued, without waiting; empty where nothing is."""
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        if self._source is not None:
            self._source.taken()
        return data

    def __aiter__(self) -> "ResponseStream":
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._source is None:
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            source = self._source
            try:
                await source.wait()
            except BaseException:
                source.abort()
                raise
        return self.take()

    async def aclose(self) -> None:
        """Drop what was not read; a connection whose reply is not complete is closed."""
        source = self._source
        self._chunks = []
        if source is not None:
            source.abort()

    def detach(self, error: Exception | None) -> None:
        """Part from the connection: the reply is complete (None), or failed."""
        self._chunks = self._chunks.copy()
        self._source = None
        self._error = error


class UpstreamResponse(httpx.Response):
    """An ``httpx.Response`` over raw header pairs, made without its constructor's work.

    ``header_pairs`` are the headers in order, repeated ones too, names in lower case.
    ``headers``, ``extensions`` and ``history`` are made when first read. Relied on (httpx >=0.28.1, <1): ``Response``
    keeps its state in plain instance attributes, and those below may be class attributes until they are set.
    """

    _request: httpx.Request | None = None
    next_request: httpx.Request | None = None
    is_closed = False
    is_stream_consumed = False
    default_encoding = "utf-8"
    _num_bytes_downloaded = 0

    def __init__(self, status_code: int, header_pairs: list[tuple[bytes, bytes]], stream: ResponseStream) -> None:
        self.status_code = status_code
        self.header_pairs = header_pairs
        self.stream: ResponseStream = stream

    def __getattr__(self, name: str) -> Any:
        """Make what is missing so far: nothing on the path of a proxied reply asks for it."""
        if name == "headers":
            value: Any = httpx.Headers(self.header_pairs)
        elif name == "extensions":
            value = {}
        elif name == "history":
            value = []
        else:
            raise AttributeError(name)
        setattr(self, name, value)
        return value
