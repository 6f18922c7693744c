"""ChatCall: a question to a model, asked through the gateway by a worker.

Rule: nothing is sent before somebody waits; one call is asked once, buffered or streamed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from chatproxy import ChatResponse, ToolCall, Usage

if TYPE_CHECKING:
    from chatproxy import RequestContext
    from chatproxy.types import TraceSpan


class ChatAnswer:
    """A buffered answer.

    Attributes:
        body: the whole chat completion, a mutable mapping.
    """

    __slots__ = ("body",)

    def __init__(self, body: ChatResponse) -> None:
        self.body = body

    @property
    def message(self) -> dict[str, Any]:
        """The first choice's message, as it goes into ``messages``; empty where there is none."""
        choices = self.body.choices
        found = choices[0].get("message") if choices else None
        return found if isinstance(found, dict) else {}

    @property
    def text(self) -> str:
        """What it says; empty where it only calls tools or refuses."""
        content = self.message.get("content")
        return content if isinstance(content, str) else ""

    @property
    def refusal(self) -> str | None:
        """What it says where it refuses."""
        return self.message.get("refusal")

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The calls of tools that it asks for, arguments decoded."""
        return self.body.tool_calls

    @property
    def usage(self) -> Usage | None:
        """Token counts, where the answer has them."""
        return self.body.usage

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended."""
        reasons = self.body.finish_reasons
        return reasons[0] if reasons else None

    def __str__(self) -> str:
        return self.text


class ChatCall:
    """What `Context.chat` gives: await it for a `ChatAnswer`, or iterate over its texts while they stream.

    Raises:
        ApiError: the model, a guard or a limit refused it; `loop_detected` where graphs ask each other in circles.
    """

    __slots__ = ("_body", "_gateway", "_reading", "_span")

    def __init__(self, gateway: RequestContext, body: Mapping[str, Any], span: TraceSpan | None) -> None:
        self._gateway = gateway
        self._body = {key: value for key, value in body.items() if key != "stream"}
        self._span = span
        self._reading: AsyncGenerator[Any, None] | None = None

    def __await__(self) -> Generator[Any, None, ChatAnswer]:
        return self._ask().__await__()

    def __aiter__(self) -> AsyncGenerator[str, None]:
        self._reading = texts = self._texts()
        return texts

    def events(self) -> AsyncGenerator[dict[str, Any], None]:
        """The stream's chunks as they are: tool calls, reasoning and usage among them."""
        self._reading = events = self._gateway.ask_stream(self._body, span=self._span)
        return events

    async def aclose(self) -> None:
        """Stop a stream that nobody reads any more; closing twice does nothing.

        Raises:
            RuntimeError: a task of the worker's own is reading it.
        """
        reading, self._reading = self._reading, None
        if reading is not None:
            await reading.aclose()

    async def _ask(self) -> ChatAnswer:
        return ChatAnswer(await self._gateway.ask(self._body, span=self._span))

    async def _texts(self) -> AsyncGenerator[str, None]:
        async with aclosing(self._gateway.ask_stream(self._body, span=self._span)) as events:
            async for chunk in events:
                if text := _text_of(chunk):
                    yield text


def _text_of(chunk: Mapping[str, Any]) -> str:
    """The first choice's piece of content."""
    for choice in chunk.get("choices") or ():
        if choice.get("index", 0) == 0:
            content = (choice.get("delta") or {}).get("content")
            return content if isinstance(content, str) else ""
    return ""
