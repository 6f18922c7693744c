"""Answers kept in memory, whole or streamed: the same body gets the same answer without asking the model again."""

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from chatproxy import ChatCompletionServer, ProxyHandler

MAX_ANSWERS, MAX_CHARACTERS = 1_000, 100_000  # the second of an answer with its question
TTL_S = 600.0


class CachingHandler(ProxyHandler):
    """Keeps what its backend answers, the oldest going first. Callers share it: put it behind keys you trust alike."""

    backend = "demo"  # what super().execute asks; without this line the default upstream

    def __init__(self) -> None:
        self.kept: dict[str, tuple[float, list[str]]] = {}

    async def execute(self, params: Any) -> Any:
        """A mapping or an iterator of chunks, as the backend gives it."""
        body, stream = json.dumps({**params}, sort_keys=True), params.get("stream") is True
        at_s, pieces = self.kept.get(body, (0.0, []))
        if pieces and time.monotonic() - at_s < TTL_S:
            print("answered from memory", flush=True)
            return self.again(pieces) if stream else json.loads(pieces[0])
        answer = await super().execute(params)
        if not stream:
            self.keep(body, [json.dumps(answer, default=dict)])
        return self.noting(body, answer) if stream else answer

    async def again(self, pieces: list[str]) -> AsyncIterator[Any]:
        """A stream that was kept."""
        for piece in pieces:
            yield json.loads(piece)

    async def noting(self, body: str, chunks: Any) -> AsyncIterator[Any]:
        """A stream on its way; one that breaks off or whose client leaves is not kept."""
        pieces = []
        async for chunk in chunks:
            pieces.append(json.dumps(chunk, default=dict))
            yield chunk
        self.keep(body, pieces)

    def keep(self, body: str, pieces: list[str]) -> None:
        """Add an answer; the oldest one goes where there are too many."""
        if len(body) + sum(map(len, pieces)) <= MAX_CHARACTERS:
            self.kept[body] = (time.monotonic(), pieces)
        if len(self.kept) > MAX_ANSWERS:
            self.kept.pop(next(iter(self.kept)))


server = ChatCompletionServer(handler=CachingHandler())
app = server.app
if __name__ == "__main__":
    uvicorn.run(app, host=server.config.host, port=server.config.port)
