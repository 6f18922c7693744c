"""A client that writes bytes and reads answers, with a limit on every wait."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

WAIT_S = 20.0


@dataclass
class Answer:
    """One parsed HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        """What OpenAI's envelope holds."""
        error: dict[str, Any] = json.loads(self.body)["error"]
        return error


class RawClient:
    """A connection on which a test writes bytes and reads answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def send(self, data: bytes) -> None:
        """Write `data`, and wait until it is on its way."""
        self.writer.write(data)
        async with asyncio.timeout(WAIT_S):
            await self.writer.drain()

    async def read_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next answer."""
        async with asyncio.timeout(WAIT_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        return int(first.split(" ")[1]), dict(line.lower().split(": ", 1) for line in lines)

    async def read_answer(self) -> Answer:
        """The next answer in full."""
        status, headers = await self.read_head()
        async with asyncio.timeout(WAIT_S):
            if "chunked" in headers.get("transfer-encoding", ""):
                body = await self._read_chunks()
            elif "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            else:
                body = b""
        return Answer(status, headers, body)

    async def _read_chunks(self) -> bytes:
        body = b""
        while True:
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            chunk = await self.reader.readexactly(size + 2)
            if not size:
                return body
            body += chunk[:-2]

    async def read_to_end(self) -> bytes:
        """Everything until the server ends the connection, by closing or by resetting it."""
        data = b""
        async with asyncio.timeout(WAIT_S):
            try:
                while chunk := await self.reader.read(65_536):
                    data += chunk
            except ConnectionResetError:
                return data
        return data

    def close(self) -> None:
        """Leave."""
        self.writer.close()

    def reset(self) -> None:
        """Leave without goodbye."""
        self.writer.transport.abort()
