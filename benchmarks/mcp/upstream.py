"""The mock upstream for tool loops: ``python -m benchmarks.mcp.upstream --port 9000``.

The model ``calls`` asks for the first tool that it is offered, and once its conversation holds a result it says a short
text. The model ``repeats`` answers a response that repeats the request's tools, as OpenAI's do. Every other model is as
in ``benchmarks.upstream``. ``GET /seen`` says what the last request held.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import msgspec
import uvloop

from benchmarks.upstream import Stats, UpstreamProtocol
from benchmarks.upstream_scripts import STREAM_END, STREAM_HEAD, answer
from benchmarks.upstream_surfaces import response

CALLS = "calls"
REPEATS = "repeats"
SHORT = "mock-0ms-5"
"""A model that says the same short text as `CALLS` does in the end."""

_USAGE = {"prompt_tokens": 11, "completion_tokens": 9, "total_tokens": 20}
_HEAD = {"id": "chatcmpl-calls", "created": 1735689600, "model": CALLS}
_REPLY = ("The quick brown fox jumps over the lazy dog. " * 9)[:400]
_ARGUMENTS = ('{"text"', ': "hel', 'lo"}')


class Seen(msgspec.Struct):
    """Counts of the last request.

    Attributes:
        results: of tools, in the conversation.
    """

    tools: int = 0
    results: int = 0


class _Asked(msgspec.Struct):
    model: str = ""
    stream: bool = False
    tools: list[dict[str, Any]] = []
    messages: list[dict[str, Any]] = []


class CallingProtocol(UpstreamProtocol):
    """One connection to the upstream."""

    def __init__(self, stats: Stats, seen: Seen) -> None:
        super().__init__(stats)
        self._seen = seen

    def on_message_complete(self) -> None:
        if self._target.startswith(b"/seen"):
            self.transport.write(answer("200 OK", msgspec.to_builtins(self._seen)))
            return
        body = b"".join(self._body)
        asked = msgspec.json.decode(body, type=_Asked) if body else _Asked()
        if asked.model:
            self._seen.tools = len(asked.tools)
            self._seen.results = sum(message.get("role") == "tool" for message in asked.messages)
        if asked.model == REPEATS:
            said = response(_REPLY, is_stored=True)
            self.transport.write(answer("200 OK", {**said, "tools": asked.tools}))
        elif asked.model != CALLS:
            super().on_message_complete()
        elif self._seen.results or not asked.tools:
            self._body = [body.replace(b'"model":"calls"', b'"model":"%b"' % SHORT.encode())]
            super().on_message_complete()
        else:
            name = asked.tools[0]["function"]["name"]
            self.transport.write(streamed_call(name) if asked.stream else whole_call(name))


def whole_call(name: str) -> bytes:
    """A buffered turn that calls a tool, as a whole HTTP answer."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": "".join(_ARGUMENTS)}}
    message: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice: dict[str, Any] = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
    return answer("200 OK", {**_HEAD, "object": "chat.completion", "choices": [choice], "usage": _USAGE})


def streamed_call(name: str) -> bytes:
    """The same, streamed in the pieces that are usual; all of them at once."""
    function = {"name": name, "arguments": ""}
    deltas: list[dict[str, Any]] = [
        {"role": "assistant", "content": None},
        {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function}]},
        *({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} for piece in _ARGUMENTS),
    ]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": "tool_calls"})
    chunks: list[dict[str, Any]] = [{"choices": [choice]} for choice in choices]
    chunks.append({"choices": [], "usage": _USAGE})
    head = {**_HEAD, "object": "chat.completion.chunk"}
    events = [b"data: %b\n\n" % msgspec.json.encode({**head, **chunk}) for chunk in chunks]
    framed = (b"%x\r\n%b\r\n" % (len(event), event) for event in [*events, b"data: [DONE]\n\n"])
    return STREAM_HEAD + b"".join(framed) + STREAM_END


async def serve(host: str, port: int) -> None:
    """Serve until the process ends."""
    stats, seen = Stats(), Seen()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: CallingProtocol(stats, seen), host, port, backlog=4096)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description="Mock upstream that calls tools.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    uvloop.run(serve(options.host, options.port))


if __name__ == "__main__":
    main()
