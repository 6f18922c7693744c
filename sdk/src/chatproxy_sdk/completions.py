"""Streamed completions: what their chunks add up to, and the objects that are iterated.

Rule: ``Assembly`` does no I/O and no await; both streams, and ``ChatAgent``, use it.
"""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Self

from chatproxy_sdk._core.awaiting import AsyncChunkStream
from chatproxy_sdk._core.blocking import ChunkStream
from chatproxy_sdk._core.chunks import Chunk, Delta, ToolCallPart
from chatproxy_sdk.messages import FunctionCall, Message, MessageRole, ToolCall
from chatproxy_sdk.types import ChatCompletionChoice, ChatCompletionResponse, UsageInfo

_NOT_IN_PIECES = {"id", "type", "name", "format"}


class _ChoiceAssembly:
    """One choice, as far as it has come."""

    __slots__ = ("finish_reason", "index", "reasoning", "refusal", "role", "texts", "tool_calls", "unknown")

    def __init__(self, index: int) -> None:
        self.index = index
        self.role = MessageRole.ASSISTANT.value
        self.texts: list[str] = []
        self.refusal: list[str] = []
        self.reasoning: list[str] = []
        self.tool_calls: list[tuple[int, _CallAssembly]] = []
        self.finish_reason: str | None = None
        self.unknown: dict[str, Any] = {}

    def add(self, delta: Delta) -> None:
        """Take in what a chunk adds."""
        if delta.content:
            self.texts.append(delta.content)
        if delta.role:
            self.role = delta.role
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.reasoning_content:
            self.reasoning.append(delta.reasoning_content)
        for part in delta.tool_calls or ():
            self._call_of(part).add(part)
        if delta.unknown:
            self.unknown = _merged(self.unknown, delta.unknown)

    def message(self) -> Message:
        """What it says so far."""
        calls = self.calls() or None
        refusal = "".join(self.refusal) or None
        text = "".join(self.texts)
        content = None if not text and (calls or refusal) else text
        message = Message(role=self.role, content=content, tool_calls=calls, refusal=refusal)
        if self.reasoning:
            message.unknown_fields["reasoning_content"] = "".join(self.reasoning)
        message.unknown_fields.update(copy.deepcopy(self.unknown))
        return message

    def calls(self) -> list[ToolCall]:
        """Its tool calls so far, in the order of their indexes."""
        return [call.tool_call() for _, call in sorted(self.tool_calls, key=lambda entry: entry[0])]

    def _call_of(self, part: ToolCallPart) -> _CallAssembly:
        """The call that a part belongs to.

        A part with another id and a name begins a new one: some servers give parallel calls the same index.
        """
        call = next((call for index, call in reversed(self.tool_calls) if index == part.index), None)
        if call is None or call.is_other(part):
            call = _CallAssembly()
            self.tool_calls.append((part.index, call))
        return call


class _CallAssembly:
    """One tool call, as far as it has come."""

    __slots__ = ("arguments", "id", "name", "type")

    def __init__(self) -> None:
        self.id = ""
        self.type = "function"
        self.name = ""
        self.arguments: list[str] = []

    def is_other(self, part: ToolCallPart) -> bool:
        """Whether a part with the same index begins another call."""
        has_name = part.function is not None and bool(part.function.name)
        return has_name and bool(part.id) and bool(self.id) and part.id != self.id

    def add(self, part: ToolCallPart) -> None:
        """Take in a part; id and name are what came first, for some servers repeat them."""
        self.id = self.id or part.id or ""
        self.type = part.type or self.type
        if part.function is not None:
            self.name = self.name or part.function.name or ""
            if part.function.arguments:
                self.arguments.append(part.function.arguments)

    def tool_call(self) -> ToolCall:
        function = FunctionCall(name=self.name, arguments="".join(self.arguments))
        return ToolCall(id=self.id, type=self.type, function=function)


def _merged(known: Any, added: Any, name: str = "") -> Any:
    """What two pieces of a field add up to: texts and lists go on, objects by field, of others the last counts."""
    if isinstance(known, dict) and isinstance(added, dict):
        return known | {one: _merged(known.get(one), value, one) for one, value in added.items()}
    if isinstance(known, list) and isinstance(added, list):
        return known + added
    is_going_on = isinstance(known, str) and isinstance(added, str) and name not in _NOT_IN_PIECES
    return known + added if is_going_on else added


class Assembly:
    """What the chunks of a stream add up to.

    Attributes:
        metadata: ``id``, ``model``, ``created``, ``system_fingerprint``, ``service_tier``, ``usage`` (as the server
            sent it) and ``finish_reason`` (of the first choice), each once it is known.
    """

    def __init__(self) -> None:
        self.metadata: dict[str, Any] = {}
        self._choices: dict[int, _ChoiceAssembly] = {}
        self._first: _ChoiceAssembly | None = None

    def add(self, chunk: Chunk) -> str:
        """Take in a chunk.

        Returns:
            What it adds to the text of the first choice; often nothing.
        """
        self._note(chunk)
        text = ""
        for part in chunk.choices or ():
            choice = self._first if part.index == 0 and self._first is not None else self._choice(part.index)
            delta = part.delta
            if delta is not None:
                choice.add(delta)
                if choice.index == 0 and delta.content:
                    text += delta.content
            if part.finish_reason:
                choice.finish_reason = part.finish_reason
                if choice.index == 0:
                    self.metadata["finish_reason"] = part.finish_reason
        return text

    @property
    def text(self) -> str:
        """The text of the first choice so far."""
        return "" if self._first is None else "".join(self._first.texts)

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls of the first choice so far, in the order of their indexes."""
        return [] if self._first is None else self._first.calls()

    @property
    def choices(self) -> list[ChatCompletionChoice]:
        """Every choice so far, in the order of their indexes."""
        return [
            ChatCompletionChoice(index=index, message=choice.message(), finish_reason=choice.finish_reason)
            for index, choice in sorted(self._choices.items())
        ]

    def message(self) -> Message:
        """The message of the first choice so far."""
        return Message(role=MessageRole.ASSISTANT, content="") if self._first is None else self._first.message()

    def response(self) -> ChatCompletionResponse:
        """The completion that has come, in the form of a buffered one."""
        known = self.metadata
        return ChatCompletionResponse(
            id=known.get("id", ""),
            created=int(known.get("created", 0)),
            model=known.get("model", ""),
            choices=self.choices,
            usage=UsageInfo.from_dict(known["usage"]) if "usage" in known else UsageInfo(),
            system_fingerprint=known.get("system_fingerprint"),
        )

    def _note(self, chunk: Chunk) -> None:
        metadata = self.metadata
        if chunk.id:
            metadata["id"] = chunk.id
        if chunk.model:
            metadata["model"] = chunk.model
        if chunk.created is not None:
            metadata["created"] = chunk.created
        if chunk.system_fingerprint is not None:
            metadata["system_fingerprint"] = chunk.system_fingerprint
        if chunk.service_tier is not None:
            metadata["service_tier"] = chunk.service_tier
        if chunk.usage is not None:
            metadata["usage"] = chunk.usage

    def _choice(self, index: int) -> _ChoiceAssembly:
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = _ChoiceAssembly(index)
            if index == 0:
                self._first = choice
        return choice


class _Streamed:
    """What both streams know of the answer so far."""

    def __init__(self, request_id: str | None) -> None:
        self._assembly = Assembly()
        self._assembly.metadata["request_id"] = request_id

    @property
    def metadata(self) -> dict[str, Any]:
        """What is known besides the text, filled while the stream is read.

        ``request_id`` at once; ``id``, ``model``, ``created`` and ``system_fingerprint`` with the first event;
        ``finish_reason`` and ``usage`` (tokens, as the server sent them) at the end.
        """
        return self._assembly.metadata

    @property
    def text(self) -> str:
        """The text so far."""
        return self._assembly.text

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tool calls so far; whole when the stream is over."""
        return self._assembly.tool_calls

    @property
    def message(self) -> Message:
        """The assistant's message so far, as it may go into the next request."""
        return self._assembly.message()

    @property
    def choices(self) -> list[ChatCompletionChoice]:
        """Every choice so far; with ``n`` > 1 only the text of the first is iterated."""
        return self._assembly.choices


class ChatCompletionStream(_Streamed):
    """A streamed completion: iterate it for its text.

    Close it, or use it in a ``with`` block, where it may be left before its end.
    """

    def __init__(self, chunks: ChunkStream) -> None:
        super().__init__(chunks.head.headers.get("x-request-id"))
        self._chunks = chunks

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        """The next piece of text, never empty.

        Raises:
            ChatServerError: the stream broke, or the server ended it with an error.
        """
        for chunk in self._chunks:
            if text := self._assembly.add(chunk):
                return text
        raise StopIteration

    def close(self) -> None:
        """Stop reading; the server sees the connection close."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class AsyncChatCompletionStream(_Streamed):
    """A streamed completion: iterate it with ``async for`` for its text.

    Close it, or use it in an ``async with`` block, where it may be left before its end.
    """

    def __init__(self, chunks: AsyncChunkStream) -> None:
        super().__init__(chunks.head.headers.get("x-request-id"))
        self._chunks = chunks

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    async def __anext__(self) -> str:
        """The next piece of text, never empty.

        Raises:
            ChatServerError: the stream broke, or the server ended it with an error.
        """
        async for chunk in self._chunks:
            if text := self._assembly.add(chunk):
                return text
        raise StopAsyncIteration

    async def close(self) -> None:
        """Stop reading; the server sees the connection close."""
        await self._chunks.close()

    async def aclose(self) -> None:
        """The same as ``close``."""
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()
