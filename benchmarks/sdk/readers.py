"""Reads a stream in one of several ways and prints its CPU: ``python -m benchmarks.sdk.readers <way> <url>``."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}], "stream": True}


async def lines(url: str) -> int:
    """What all are compared with: each line of the answer, read and left."""
    count = 0
    async with httpx.AsyncClient() as client, client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as answer:
        async for line in answer.aiter_lines():
            count += bool(line)
    return count


async def blocking_lines(url: str) -> int:
    """The same with the blocking client."""
    return count_lines(url)


def count_lines(url: str) -> int:
    """Lines that are not empty."""
    count = 0
    with httpx.Client() as client, client.stream("POST", f"{url}/v1/chat/completions", json=BODY) as answer:
        for line in answer.iter_lines():
            count += bool(line)
    return count


async def blocking(url: str) -> int:
    """`ChatServerClient`."""
    from chatproxy_sdk import ChatServerClient  # noqa: PLC0415 - each way pays for its own imports

    with ChatServerClient(base_url=url) as client:
        return sum(1 for _ in client.create_completion("m", BODY["messages"], stream=True))


async def awaiting(url: str) -> int:
    """`AsyncChatServerClient`."""
    from chatproxy_sdk import AsyncChatServerClient  # noqa: PLC0415

    async with AsyncChatServerClient(base_url=url) as client:
        stream = await client.create_completion("m", BODY["messages"], stream=True)
        return len([text async for text in stream])


async def agent(url: str) -> int:
    """`ChatAgent`."""
    from chatproxy_sdk import ChatAgent, ModelConfig, RuntimeConfig  # noqa: PLC0415

    config = ModelConfig(api_base_url=f"{url}/v1", model="m")
    async with ChatAgent(config, RuntimeConfig(enable_logging=False)) as talking:
        return len([text async for text in talking.chat_stream("Hello")])


async def sse(url: str) -> int:
    """httpx-sse, and JSON decoded by msgspec."""
    import httpx_sse  # noqa: PLC0415
    import msgspec  # noqa: PLC0415

    count = 0
    address = f"{url}/v1/chat/completions"
    async with httpx.AsyncClient() as client, httpx_sse.aconnect_sse(client, "POST", address, json=BODY) as source:
        async for event in source.aiter_sse():
            count += event.data != "[DONE]" and bool(msgspec.json.decode(event.data))
    return count


async def openai(url: str) -> int:
    """openai-python, asynchronous."""
    from openai import AsyncOpenAI  # noqa: PLC0415

    async with AsyncOpenAI(base_url=f"{url}/v1", api_key="k") as client:
        stream: Any = await client.chat.completions.create(**BODY)
        return len([chunk async for chunk in stream])


WAYS: dict[str, Callable[[str], Awaitable[int]]] = {
    "lines": lines,
    "blocking_lines": blocking_lines,
    "blocking": blocking,
    "awaiting": awaiting,
    "agent": agent,
    "sse": sse,
    "openai": openai,
}


async def main(way: str, url: str, events: int) -> None:
    """Read once to warm up, then once on the clock."""
    await WAYS[way](url.replace(f"/{events}/", "/100/"))
    begun = time.process_time()
    count = await WAYS[way](url)
    print(json.dumps({"cpu_us": (time.process_time() - begun) * 1e6 / events, "count": count}))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[2].split("/")[3])))
