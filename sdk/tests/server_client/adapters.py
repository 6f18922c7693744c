"""Both clients behind one blocking face, so that each test is written once and runs with both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Self

from chatproxy_sdk.async_client import AsyncChatServerClient
from chatproxy_sdk.client import ChatServerClient
from chatproxy_sdk.completions import AsyncChatCompletionStream

Connect = Callable[..., Any]


class Awaited:
    """An ``AsyncChatServerClient`` whose methods wait for what they await."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._client = AsyncChatServerClient(*arguments, **options)
        self._runner = asyncio.Runner()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)

        def run(*arguments: Any, **options: Any) -> Any:
            found = self._runner.run(method(*arguments, **options))
            return AwaitedStream(self._runner, found) if isinstance(found, AsyncChatCompletionStream) else found

        return run

    def end(self) -> None:
        """Close the client and its loop."""
        self._runner.run(self._client.close())
        self._runner.close()

    def __repr__(self) -> str:
        return repr(self._client)


class AwaitedStream:
    """An ``AsyncChatCompletionStream`` that is iterated without ``await``."""

    def __init__(self, runner: asyncio.Runner, stream: AsyncChatCompletionStream) -> None:
        self._runner = runner
        self._stream = stream

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._runner.run(self._next())
        if text is None:
            raise StopIteration
        return text

    async def _next(self) -> str | None:
        return await anext(self._stream, None)

    def close(self) -> None:
        self._runner.run(self._stream.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._stream.__aexit__(None, None, None))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Blocking(ChatServerClient):
    """A ``ChatServerClient`` that ends like the other one."""

    def end(self) -> None:
        """Close the client."""
        self.close()


KINDS: dict[str, Connect] = {"blocking": Blocking, "asyncio": Awaited}
