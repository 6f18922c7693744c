"""One completion request with all its attempts, written down once, however it ends.

Rule: a buffered answer and a stream go the same way here; they differ only in how they come.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from chatproxy_sdk._core.awaiting import AsyncChunkStream
from chatproxy_sdk._core.chunks import Chunk
from chatproxy_sdk._core.terms import Call
from chatproxy_sdk.agent.access import Access, unusable
from chatproxy_sdk.agent.books import Account, Books
from chatproxy_sdk.agent.completing import buffered, message_of, streamed, text_of
from chatproxy_sdk.completions import Assembly
from chatproxy_sdk.messages import Message
from chatproxy_sdk.types import ChatCompletionResponse

PATH = "/chat/completions"


class Exchange:
    """One completion request.

    Attributes:
        completion: what was answered, once it is whole.
    """

    def __init__(self, access: Access, books: Books, body: dict[str, Any]) -> None:
        self.completion: ChatCompletionResponse | None = None
        self._access = access
        self._books = books
        self._body = body
        self._usage: Any = None

    @property
    def message(self) -> Message:
        """What was answered."""
        if self.completion is None:
            raise RuntimeError("there is no answer yet")
        return message_of(self.completion)

    async def texts(self) -> AsyncGenerator[str, None]:
        """The answer's text as it comes; that of a buffered answer at once.

        Raises:
            ChatAPIException: it failed, and is not, or no longer, tried again.
        """
        call = Call(method="POST", path=PATH, body=self._body)
        account = Account(self._access, self._books, call)
        parts = self._streamed(call, account) if self._body["stream"] else self._fetched(call, account)
        async with aclosing(parts):
            try:
                async for text in parts:
                    account.text_came()
                    yield text
            except Exception as exc:
                closed = self._access.closed(exc)
                account.close("error", closed or exc, self._usage)
                if closed is not None:
                    raise closed from exc
                raise
            except BaseException:
                account.close("aborted", None, self._usage)
                raise
        account.close("ok", None, self._usage)

    async def _fetched(self, call: Call, account: Account) -> AsyncGenerator[str, None]:
        answer = await self._access.connection.fetch(call, observer=account)
        body = self._access.json(answer)
        self._usage = body.get("usage")
        try:
            self.completion = buffered(body, strict=self._access.runtime.strict_parsing)
        except ValueError as exc:
            self._access.refuse(answer, str(exc))
        if text := text_of(self.message):
            yield text

    async def _streamed(self, call: Call, account: Account) -> AsyncGenerator[str, None]:
        chunks = await self._access.connection.stream(call, observer=account)
        assembly = Assembly()
        try:
            async for chunk in chunks:
                text = assembly.add(chunk) or _refusal(chunk)
                self._usage = assembly.metadata.get("usage")
                if text:
                    yield text
        finally:
            await chunks.close()
        self.completion = self._added_up(assembly, chunks)
        account.streamed(self.completion)

    def _added_up(self, assembly: Assembly, chunks: AsyncChunkStream) -> ChatCompletionResponse:
        try:
            return streamed(assembly, strict=self._access.runtime.strict_parsing)
        except ValueError as exc:
            raise self._access.error_of(unusable(str(exc), chunks.head)) from exc


def _refusal(chunk: Chunk) -> str:
    """What a chunk adds to the refusal of the first choice; it is what a person reads in place of a text."""
    deltas = [choice.delta for choice in chunk.choices or () if choice.index == 0]
    return "".join(delta.refusal for delta in deltas if delta is not None and delta.refusal)
