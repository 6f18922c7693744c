"""Answer: what a surface has to send."""

from __future__ import annotations

from chatproxy.engine.output import Output


class Answer:
    """A reply, ready to send.

    Attributes:
        status: HTTP status.
        headers: names lower-case, without content type and request id.
        body: the whole body; None for a stream.
        stream: the stream's bytes; close it when it is over.
    """

    __slots__ = ("body", "headers", "status", "stream")

    def __init__(
        self, status: int, headers: dict[str, str], *, body: bytes | None = None, stream: Output | None = None
    ) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.stream = stream
