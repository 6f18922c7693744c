"""Mock upstream: an OpenAI-compatible server whose every byte is known beforehand.

The model's name is the script, so one process serves every series:
``mock`` answers at once and streams 100 content events without a pause; ``mock-10ms-100`` streams 100 content events
10 ms apart, and asked for JSON waits those 10 ms before it answers.
``GET /stats`` shows the counters, ``GET /v1/models`` one model. Nothing here is random.
"""

import argparse
import asyncio
import functools
import json
import re
from typing import Any, cast

import httptools
import msgspec
import uvloop

_SCRIPTED_MODEL = re.compile(r"mock-(\d+)ms-(\d+)")
_DEFAULT_EVENTS = 100
_REPLY_TEXT = ("The quick brown fox jumps over the lazy dog. " * 9)[:400]
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
_STREAM_END = b"0\r\n\r\n"


class Script(msgspec.Struct, frozen=True):
    """What one model name makes the upstream do; frames are complete HTTP chunks."""

    gap_s: float
    frames: tuple[bytes, ...]
    frames_with_usage: tuple[bytes, ...]


class Stats(msgspec.Struct):
    """Counters since start-up; the ``_open`` and ``waiting`` ones say what is alive now."""

    requests: int = 0
    streams_open: int = 0
    waiting: int = 0
    completed: int = 0
    aborted: int = 0
    connections: int = 0
    connections_open: int = 0


class Request(msgspec.Struct):
    """The fields of a chat request that steer this server."""

    model: str = "mock"
    stream: bool = False
    stream_options: dict[str, Any] | None = None


@functools.cache
def script_for(model: str) -> Script:
    """Build the frames for a model name; unknown names behave as ``mock``."""
    match = _SCRIPTED_MODEL.fullmatch(model)
    gap_s, count = (int(match[1]) / 1000, int(match[2])) if match else (0.0, _DEFAULT_EVENTS)
    events = [_event([_choice({"role": "assistant", "content": ""})])]
    events += [_event([_choice({"content": f" word{index:05d}"})]) for index in range(count)]
    events.append(_event([_choice({}, "stop")]))
    usage = {"prompt_tokens": 11, "completion_tokens": count, "total_tokens": 11 + count}
    done = b"data: [DONE]\n\n"
    return Script(
        gap_s=gap_s,
        frames=tuple(_chunk(event) for event in [*events, done]),
        frames_with_usage=tuple(_chunk(event) for event in [*events, _event([], usage=usage), done]),
    )


def _choice(delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def _event(choices: list[dict[str, Any]], **extra: Any) -> bytes:
    chunk = {"id": "chatcmpl-mock", "object": "chat.completion.chunk", "created": 1735689600, "model": "mock"}
    return b"data: " + json.dumps({**chunk, "choices": choices, **extra}, separators=(",", ":")).encode() + b"\n\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _answer(status: str, payload: object) -> bytes:
    body = json.dumps(payload).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


_COMPLETION = _answer(
    "200 OK",
    {
        "id": "chatcmpl-mock",
        "object": "chat.completion",
        "created": 1735689600,
        "model": "mock",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": _REPLY_TEXT},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 90, "total_tokens": 101},
    },
)
_MODELS = _answer(
    "200 OK",
    {"object": "list", "data": [{"id": "mock", "object": "model", "created": 1735689600, "owned_by": "mock"}]},
)


class UpstreamProtocol(asyncio.Protocol):
    """One connection; requests are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, stats: Stats) -> None:
        self._stats = stats
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._target = b""
        self._body: list[bytes] = []
        self._frames: tuple[bytes, ...] = ()
        self._position = 0
        self._gap_s = 0.0
        self._due_s = 0.0
        self._timer: asyncio.Handle | None = None
        self._streams = False
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's transports do not inherit from asyncio's
        self._stats.connections += 1
        self._stats.connections_open += 1

    def connection_lost(self, exc: Exception | None) -> None:
        self._stats.connections_open -= 1
        if self._timer:
            self._timer.cancel()
        if self._streams or self._waits:
            self._leave()
            self._stats.aborted += 1

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.abort()

    def on_url(self, url: bytes) -> None:
        self._target = url
        self._body = []

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._target.startswith(b"/stats"):
            self.transport.write(_answer("200 OK", msgspec.to_builtins(self._stats)))
        elif self._target.partition(b"?")[0].endswith(b"/chat/completions"):
            self._complete(msgspec.json.decode(b"".join(self._body), type=Request))
        else:
            self.transport.write(_MODELS)

    def _complete(self, request: Request) -> None:
        self._stats.requests += 1
        script = script_for(request.model)
        self._gap_s = script.gap_s
        if request.stream:
            wants_usage = bool((request.stream_options or {}).get("include_usage"))
            self._frames = script.frames_with_usage if wants_usage else script.frames
            self._start_stream()
        elif script.gap_s:
            self._waits = True
            self._stats.waiting += 1
            self._timer = self._loop.call_later(script.gap_s, self._finish, _COMPLETION)
        else:
            self._finish(_COMPLETION)

    def _start_stream(self) -> None:
        self._streams = True
        self._stats.streams_open += 1
        self._position = 1
        self._due_s = self._loop.time()
        self.transport.write(_STREAM_HEAD + self._frames[0])
        self._schedule()

    def _schedule(self) -> None:
        self._due_s += self._gap_s
        self._timer = self._loop.call_at(self._due_s, self._step) if self._gap_s else self._loop.call_soon(self._step)

    def _step(self) -> None:
        frame = self._frames[self._position]
        self._position += 1
        if self._position == len(self._frames):
            self._finish(frame + _STREAM_END)
        else:
            self.transport.write(frame)
            self._schedule()

    def _finish(self, data: bytes) -> None:
        self._timer = None
        self._leave()
        self._stats.completed += 1
        if not self.transport.is_closing():
            self.transport.write(data)

    def _leave(self) -> None:
        self._stats.streams_open -= self._streams
        self._stats.waiting -= self._waits
        self._streams = self._waits = False


async def serve(host: str, port: int) -> None:
    """Serve until cancelled; prints the port once it listens."""
    stats = Stats()
    server = await asyncio.get_running_loop().create_server(lambda: UpstreamProtocol(stats), host, port, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="Mock OpenAI-compatible upstream.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port))


if __name__ == "__main__":
    main()
