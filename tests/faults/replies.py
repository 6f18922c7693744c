"""What a well-behaved model sends, and scripts that note when their client leaves."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from .upstream import CHUNKED_HEAD, Exchange, Script, chunk, chunked, ok

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 3, "completion_tokens": 7, "total_tokens": 10}


def event(
    text: str | None = None,
    *,
    index: int = 0,
    finish: str | None = None,
    usage: dict[str, int] | None = None,
    **delta: Any,
) -> bytes:
    """One event of a chat stream; without text, delta and finish it carries no choice."""
    said = delta if text is None else {**delta, "content": text}
    choices = [{"index": index, "delta": said, "finish_reason": finish}] if said or finish else []
    body: dict[str, Any] = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    body["choices"] = choices
    if usage is not None:
        body["usage"] = usage
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def events(*texts: str) -> list[bytes]:
    """A whole stream that says these texts."""
    return [*map(event, texts), event(finish="stop"), event(usage=USAGE), DONE]


def says(*texts: str) -> Script:
    """Answer with a whole stream."""
    return chunked(events(*texts))


def completion(text: str = "Hello", **fields: Any) -> bytes:
    """The body of a buffered reply."""
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    body = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}
    return json.dumps({**body, **fields}, ensure_ascii=False).encode()


def answers(text: str = "Hello") -> Script:
    """Answer with a whole buffered reply."""
    return ok(completion(text))


def either(text: str = "Hello") -> Script:
    """Answer each request in the way it asks for."""

    async def script(exchange: Exchange) -> None:
        stream = json.loads(exchange.request.body).get("stream") is True
        await (says(text) if stream else answers(text))(exchange)

    return script


class Departures:
    """Notes on the event loop's clock when each client left; `script` stalls until then."""

    def __init__(self, *sent: bytes) -> None:
        self.times: list[float] = []
        self.left = asyncio.Event()
        self._sent = b"".join(sent)

    async def script(self, exchange: Exchange) -> None:
        """Send what there is to send, and wait for the client to leave."""
        if self._sent:
            await exchange.send(self._sent)
        await exchange.until_client_leaves()
        self.times.append(asyncio.get_running_loop().time())
        self.left.set()


def begun(*texts: str) -> bytes:
    """The head and the first events of a stream."""
    return CHUNKED_HEAD + b"".join(chunk(event(text)) for text in texts)


def gated(gate: asyncio.Event, before: Sequence[bytes], after: Sequence[bytes]) -> Script:
    """A stream whose second part waits for the gate."""

    async def script(exchange: Exchange) -> None:
        await exchange.send(CHUNKED_HEAD + b"".join(map(chunk, before)))
        await gate.wait()
        await exchange.send(b"".join(map(chunk, after)) + chunk(b""))

    return script
