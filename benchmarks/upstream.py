"""Mock upstream: a server for chat, responses, messages and completions whose every byte is known beforehand.

The model's name says what to do (see ``benchmarks.upstream_scripts``), so one process serves every series.
``GET /stats`` shows the counters, ``GET /v1/models`` one model.
"""

import argparse
import asyncio
from typing import Any, cast

import httptools
import msgspec
import uvloop

from benchmarks.upstream_scripts import STREAM_END, STREAM_HEAD, answer, script_for


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
    """The fields of a request that steer this server."""

    model: str = "mock"
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    store: bool | None = None


_SURFACES = {
    b"/chat/completions": "chat",
    b"/completions": "completions",
    b"/responses": "responses",
    b"/messages": "messages",
}
_MODELS = answer(
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
            self.transport.write(answer("200 OK", msgspec.to_builtins(self._stats)))
            return
        path = self._target.partition(b"?")[0]
        surface = next((name for ending, name in _SURFACES.items() if path.endswith(ending)), None)
        if surface is None:
            self.transport.write(_MODELS)
        else:
            self._complete(surface, msgspec.json.decode(b"".join(self._body), type=Request))

    def _complete(self, surface: str, request: Request) -> None:
        self._stats.requests += 1
        script = script_for(surface, request.model, is_stored=request.store is not False)
        self._gap_s = script.gap_s
        if request.stream:
            wants_usage = bool((request.stream_options or {}).get("include_usage"))
            self._frames = script.frames_with_usage if wants_usage else script.frames
            self._start_stream()
        elif script.gap_s:
            self._waits = True
            self._stats.waiting += 1
            self._timer = self._loop.call_later(script.gap_s, self._finish, script.answer)
        else:
            self._finish(script.answer)

    def _start_stream(self) -> None:
        self._streams = True
        self._stats.streams_open += 1
        self._position = 1
        self._due_s = self._loop.time()
        self.transport.write(STREAM_HEAD + self._frames[0])
        self._schedule()

    def _schedule(self) -> None:
        self._due_s += self._gap_s
        self._timer = self._loop.call_at(self._due_s, self._step) if self._gap_s else self._loop.call_soon(self._step)

    def _step(self) -> None:
        frame = self._frames[self._position]
        self._position += 1
        if self._position == len(self._frames):
            self._finish(frame + STREAM_END)
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
    parser = argparse.ArgumentParser(description="Mock upstream of four surfaces.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port))


if __name__ == "__main__":
    main()
