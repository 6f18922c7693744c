"""A server that answers as it is told: whole chat completions, streams, and every fault a client must live through.

    with FaultServer() as server:
        server.replies(too_many(retry_after="1"), chat("Hello"))
        ...  # the first request gets 429, each further one the answer

A reply is a function that sends with a ``Wire``; a test may write its own. Pieces of a stream are: a text (a chunk with
that content), a mapping (an event with that JSON), bytes (sent as they are), a ``Gate`` (waits until it is opened).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import Any, Literal, Self

from .peers import Counters, LoopThread, Reply, Request, Wire

__all__ = [
    "DONE",
    "USAGE",
    "FaultServer",
    "Gate",
    "Reply",
    "Request",
    "Wire",
    "answer",
    "by",
    "call",
    "chat",
    "chat_stream",
    "error",
    "error_event",
    "hang",
    "html",
    "huge",
    "invalid_event",
    "invalid_json",
    "redirect",
    "reset_after",
    "says",
    "server_error",
    "sse",
    "stall_after",
    "too_many",
    "trickle",
    "truncated",
]

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
End = Literal["whole", "close", "open", "reset"]
_COMPLETION = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "demo", "system_fingerprint": "fp_1"}


class Gate:
    """What a stream waits at until a test opens it."""

    def __init__(self) -> None:
        self._opened: Future[None] = Future()

    def open(self) -> None:
        """Let the stream go on; once."""
        self._opened.set_result(None)

    async def passed(self) -> None:
        """Wait until it is open."""
        await asyncio.shield(asyncio.wrap_future(self._opened))


Piece = str | bytes | Mapping[str, Any] | Gate


class FaultServer:
    """Listens on loopback while its context lasts; one reply for each request.

    Attributes:
        url: base URL with ``/v1``.

    Args:
        tls: serves https with it.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self._queue: deque[Reply] = deque([chat("ok")])
        self._counters = Counters()
        self._scheme = "http" if tls is None else "https"
        self._thread = LoopThread(self._counters, self._next, tls)

    def __enter__(self) -> Self:
        self._thread.__enter__()
        self.url = f"{self._scheme}://127.0.0.1:{self._thread.port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.__exit__()

    @property
    def requests(self) -> list[Request]:
        """What was asked so far, oldest first."""
        return list(self._counters.requests)

    @property
    def accepted_connections(self) -> int:
        """Connections so far."""
        return self._counters.accepted

    @property
    def open_connections(self) -> int:
        """Connections that neither side has ended."""
        return self._counters.open

    def replies(self, *replies: Reply) -> None:
        """What the next requests get; the last one is repeated for ever."""
        with self._counters.changed:
            self._queue = deque(replies)

    def wait_closed(self, timeout: float = 5.0) -> None:
        """Wait until no connection is open; asserts that it comes to that."""
        self._wait(lambda: self._counters.open == 0, timeout, "connections stay open")

    def wait_requests(self, count: int, timeout: float = 5.0) -> None:
        """Wait until so many requests have been read; asserts that it comes to that."""
        self._wait(lambda: len(self._counters.requests) >= count, timeout, "requests did not come")

    def _wait(self, is_so: Callable[[], bool], timeout: float, otherwise: str) -> None:
        changed = self._counters.changed
        with changed:
            assert changed.wait_for(is_so, timeout), f"{otherwise}: {self._counters}"

    def _next(self, _request: Request) -> Reply:
        with self._counters.changed:
            return self._queue.popleft() if len(self._queue) > 1 else self._queue[0]


# -- whole answers ----------------------------------------------------------------------------------------------------


def answer(body: Any = b"", status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A buffered answer: bytes as they are, anything else as JSON."""
    is_json = not isinstance(body, bytes)
    content = json.dumps(body).encode() if is_json else body
    sent = {"content-type": "application/json" if is_json else "text/plain", "x-request-id": "req-1", **(headers or {})}

    async def reply(wire: Wire) -> None:
        await wire.send(_head(status, {**sent, "content-length": str(len(content))}) + content)

    return reply


def call(name: str, arguments: Any = None, *, id: str = "call_1") -> dict[str, Any]:  # noqa: A002 - OpenAI's name
    """A tool call; arguments are JSON text or are made so."""
    text = arguments if isinstance(arguments, str) else json.dumps({} if arguments is None else arguments)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def chat(
    text: str | None = "ok",
    *,
    usage: Mapping[str, Any] | None = USAGE,
    tool_calls: list[dict[str, Any]] | None = None,
    finish_reason: str | None = None,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Reply:
    """A buffered chat completion; further fields of it by name."""
    message = {"role": "assistant", "content": text, **({"tool_calls": tool_calls} if tool_calls else {})}
    reason = finish_reason or ("tool_calls" if tool_calls else "stop")
    choice = {"index": 0, "message": message, "finish_reason": reason}
    counts = {"usage": usage} if usage is not None else {}
    return answer({**_COMPLETION, "object": "chat.completion", "choices": [choice], **counts, **fields}, 200, headers)


def chat_stream(
    *texts: Piece,
    usage: Mapping[str, Any] | None = USAGE,
    tool_calls: list[dict[str, Any]] | None = None,
    finish_reason: str | None = None,
    done: bool = True,
    end: End = "whole",
    **fields: Any,
) -> Reply:
    """A streamed chat completion, one event per piece; a tool call comes in three.

    Args:
        finish_reason: an empty one is left out, with its chunk.
    """
    reason = ("tool_calls" if tool_calls else "stop") if finish_reason is None else finish_reason
    parts = [part for index, made in enumerate(tool_calls or ()) for part in _call_parts(index, made)]
    pieces: list[Piece] = [_delta({"role": "assistant", "content": "" if texts else None}, **fields)]
    pieces += [_delta({"content": text}, **fields) if isinstance(text, str) else text for text in texts]
    pieces += [_delta({"tool_calls": [part]}, **fields) for part in parts]
    pieces += [_delta({}, reason, **fields)] if reason else []
    pieces += [{**_delta({}, **fields), "choices": [], "usage": usage}] if usage is not None else []
    return sse(pieces, done=done, end=end)


def says(*texts: str, **fields: Any) -> Reply:
    """The same completion as a stream where one is asked for, else buffered."""

    def choose(request: Request) -> Reply:
        if request.json.get("stream"):
            return chat_stream(*texts, **fields)
        return chat("".join(texts) if texts or "tool_calls" not in fields else None, **fields)

    return by(choose)


def by(choose: Callable[[Request], Reply]) -> Reply:
    """The reply that a function picks for a request."""

    async def reply(wire: Wire) -> None:
        await choose(wire.request)(wire)

    return reply


def sse(pieces: list[Any], *, done: bool = True, end: End = "whole", headers: Mapping[str, str] | None = None) -> Reply:
    """A stream of events.

    Args:
        end: ``whole`` ends the body, ``close`` and ``reset`` the connection within it, ``open`` leaves it there.
    """
    sent = {"content-type": "text/event-stream", "x-request-id": "req-1", **(headers or {})}

    async def reply(wire: Wire) -> None:
        await wire.send(_head(200, {**sent, "transfer-encoding": "chunked"}))
        for piece in [*pieces, DONE] if done else pieces:
            if isinstance(piece, Gate):
                await piece.passed()
            elif data := _event(piece):
                await wire.send(b"%x\r\n%b\r\n" % (len(data), data))
        await _end(wire, end)

    return reply


# -- faults -----------------------------------------------------------------------------------------------------------


def error(status: int, message: str = "", headers: Mapping[str, str] | None = None, **fields: Any) -> Reply:
    """An error in OpenAI's envelope."""
    said = {"message": message or f"status {status}", "type": None, "param": None, "code": None, **fields}
    return answer({"error": said}, status, headers)


def too_many(retry_after: str | None = None) -> Reply:
    """429, with a ``Retry-After`` in seconds or as an HTTP date."""
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return error(429, "Too many requests.", headers, type="rate_limit_error", code="rate_limit_exceeded")


def server_error(status: int = 500, message: str = "It broke.") -> Reply:
    """An error of the server's own."""
    return error(status, message, type="api_error")


def html(status: int = 502) -> Reply:
    """A web page, as proxies send them."""
    page = b"<html><body><h1>Bad Gateway</h1></body></html>"
    return answer(page, status, {"content-type": "text/html"})


def redirect(location: str) -> Reply:
    """A redirect that keeps method and body."""
    return answer(b"", 307, {"location": location})


def reset_after(*pieces: Piece) -> Reply:
    """RST within a stream, after these pieces; without any before the head of the answer."""
    return sse(list(pieces), done=False, end="reset") if pieces else _reset


def stall_after(*pieces: Piece) -> Reply:
    """A stream that stops after these pieces, and stays open."""
    return sse(list(pieces), done=False, end="open")


def hang() -> Reply:
    """No answer at all."""
    return Wire.gone


def invalid_json(status: int = 200) -> Reply:
    """A buffered answer that calls itself JSON."""
    return answer(b'{"id": "chatcmpl-1", "choices": [', status, {"content-type": "application/json"})


def invalid_event(*texts: str) -> Reply:
    """A stream with an event that is no JSON after these texts."""
    return sse([*texts, b'data: {"choices": [\n\n'])


def truncated(*pieces: Piece) -> Reply:
    """A stream that is closed within its body after these pieces; without any, a buffered answer cut short."""
    return sse(list(pieces), done=False, end="close") if pieces else _cut_short


def error_event(*pieces: Piece, message: str = "It broke.", **fields: Any) -> Reply:
    """A stream with an error event after these pieces."""
    said = {"message": message, "type": "api_error", "code": None, "param": None, **fields}
    return sse([*pieces, {"error": said}], done=False)


def trickle(part: Literal["head", "body", "event", "comments"], interval_s: float = 0.05) -> Reply:
    """A byte, or a comment, at a time and without end: in the head, in a JSON body, in an event, between events."""
    pieces = {"head": b"x", "body": b" ", "event": b"x", "comments": b": still here\n\n"}
    start = {
        "head": b"HTTP/1.1 200 OK\r\nx-slow: ",
        "body": _head(200, {"content-type": "application/json", "content-length": "1000000"}),
        "event": _head(200, {"content-type": "text/event-stream"}) + b"data: ",
        "comments": _head(200, {"content-type": "text/event-stream"}),
    }
    return _endless(start[part], pieces[part], interval_s)


def huge(part: Literal["body", "event", "error"]) -> Reply:
    """As much as the client takes: of a JSON body, of one event, of an error's body."""
    start = {
        "body": _head(200, {"content-type": "application/json"}),
        "event": _head(200, {"content-type": "text/event-stream"}) + b"data: ",
        "error": _head(500, {"content-type": "text/plain"}),
    }
    return _endless(start[part], b"x" * 65536, 0.0)


def _endless(start: bytes, piece: bytes, interval_s: float) -> Reply:
    async def reply(wire: Wire) -> None:
        await wire.send(start)
        while True:
            await wire.send(piece)
            await asyncio.sleep(interval_s)

    return reply


async def _reset(wire: Wire) -> None:
    wire.reset()


async def _cut_short(wire: Wire) -> None:
    body = b'{"id": "chatcmpl-1"}'
    await wire.send(_head(200, {"content-type": "application/json", "content-length": str(len(body) + 1000)}) + body)
    wire.close()


async def _end(wire: Wire, end: End) -> None:
    if end == "whole":
        await wire.send(b"0\r\n\r\n")
    elif end == "open":
        await wire.gone()
    elif end == "close":
        wire.close()
    else:
        wire.reset()


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _event(piece: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(piece, bytes):
        return piece
    data = _delta({"content": piece}) if isinstance(piece, str) else piece
    return b"data: %b\n\n" % json.dumps(data).encode()


def _delta(delta: Mapping[str, Any], finish_reason: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {**_COMPLETION, "object": "chat.completion.chunk", "choices": [choice], **fields}


def _call_parts(index: int, made: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A tool call in three pieces: its name, then its arguments in two."""
    text = made["function"]["arguments"]
    half = len(text) // 2
    opening = {**made, "index": index, "function": {**made["function"], "arguments": ""}}
    return [opening, *({"index": index, "function": {"arguments": part}} for part in (text[:half], text[half:]))]
