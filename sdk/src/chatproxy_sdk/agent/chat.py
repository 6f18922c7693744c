"""``ChatAgent``: a conversation with a model on any server that speaks OpenAI's chat API."""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, Self, TypeVar, overload

from chatproxy_sdk.agent.access import Access
from chatproxy_sdk.agent.books import Books
from chatproxy_sdk.agent.config import ModelConfig, RuntimeConfig
from chatproxy_sdk.agent.debug import DebugRecord
from chatproxy_sdk.agent.history import History, answers_to_open_calls, as_message
from chatproxy_sdk.agent.manager import ModelManager
from chatproxy_sdk.agent.media import Paths, media_parts
from chatproxy_sdk.agent.tools import Tool, ToolBox
from chatproxy_sdk.agent.turns import Turn, Wishes
from chatproxy_sdk.exceptions import ConfigurationError
from chatproxy_sdk.messages import Message, MessageLike, MessageRole, ToolCall
from chatproxy_sdk.types import ChatCompletionResponse

F = TypeVar("F", bound=Callable[..., Any])


class ChatAgent:
    """A conversation, with its history, tools and statistics; use it with ``async with``.

    It belongs to one event loop. Turns may run at the same time: each sees the history as it was when it began, and is
    added whole, in the order in which they end. A turn that fails or is left early adds nothing.

    Args:
        model_config: where requests go and what they ask for; what they ask for is read at each request.
        runtime_config: how it works; the defaults if None.

    Attributes:
        last_response: the last answer, of a turn that went well, with ``finish_reason``, ``usage`` and all choices.
        pending_tool_calls: what the model asked for in the last turn, where tools are not run by the agent. Answer each
            by ``add_message(Message(role="tool", tool_call_id=…, content=…))``, then go on with ``chat("")``.
        models: the server's models, over the same connections.

    Raises:
        ConfigurationError: a setting cannot be used.
    """

    def __init__(self, model_config: ModelConfig, runtime_config: RuntimeConfig | None = None) -> None:
        self.model_config = model_config
        self._access = Access(model_config, runtime_config)
        self.runtime_config = self._access.runtime
        self._books = Books()
        self._tools = ToolBox()
        self._history = History(self.runtime_config.max_history_messages)
        self.last_response: ChatCompletionResponse | None = None
        self.pending_tool_calls: list[ToolCall] = []
        self.models = ModelManager(model_config, access=self._access)

    async def chat(  # noqa: PLR0917 - the documented signature
        self,
        text: str,
        image_paths: Paths = None,
        video_paths: Paths = None,
        add_to_history: bool = True,
        auto_execute_tools: bool = True,
        max_tool_iterations: int | None = None,
        **kwargs: Any,
    ) -> str:
        """Say something; what the model answers.

        Args:
            text: an empty one, without media, after tool messages of your own, lets the model go on from there.
            image_paths: files, ``http(s)`` URLs or ``data:`` URIs.
            video_paths: the same.
            add_to_history: whether the turn is kept for the next ones; it sees the history either way.
            auto_execute_tools: whether tools are run, and the model asked again, until it answers.
            max_tool_iterations: rounds of tools; ``runtime_config.max_tool_iterations`` if None. After the last round
                the model must answer without tools.
            kwargs: fields of the request's body, for this turn only; None takes one out.

        Returns:
            The answer's text, or its refusal; of several choices that of the first.

        Raises:
            ConfigurationError: an argument cannot be used.
            MediaProcessingError: an image or a video cannot be read; nothing was sent.
            APIConnectionError: no connection, one that broke, or no answer in time.
            APIResponseError: the server answered with an error, or with what cannot be read.
            ToolExecutionError: a tool failed, and ``tool_failure_policy`` is ``raise``; or the model does not stop.
        """
        wishes = self._wishes(auto_execute_tools, max_tool_iterations, kwargs, is_streamed=False)
        turn = await self._begin(text, image_paths, video_paths, wishes)
        async with aclosing(turn.texts()) as texts:
            async for _ in texts:
                pass
        self._end(turn, add_to_history)
        return turn.text

    async def chat_stream(  # noqa: PLR0917 - the documented signature
        self,
        text: str,
        image_paths: Paths = None,
        video_paths: Paths = None,
        add_to_history: bool = True,
        display_stream: bool = True,
        auto_execute_tools: bool = False,
        max_tool_iterations: int | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[str, None]:
        """Say something; the pieces of what the model answers, as they come.

        A stream that is left before its end closes its connection. The rest is as in ``chat``.

        Args:
            display_stream: whether the pieces are printed too, if ``stream_enable_progress`` is on.
            auto_execute_tools: whether tools are run; the texts of all rounds are given. If not, see
                ``pending_tool_calls`` after the end.
        """
        wishes = self._wishes(auto_execute_tools, max_tool_iterations, kwargs, is_streamed=True)
        turn = await self._begin(text, image_paths, video_paths, wishes)
        is_shown = display_stream and self.runtime_config.stream_enable_progress
        try:
            async with aclosing(turn.texts()) as texts:
                async for piece in texts:
                    await self._show(piece, is_shown=is_shown)
                    yield piece
        finally:
            if is_shown:
                _print("\n")
        self._end(turn, add_to_history)

    # -- tools --------------------------------------------------------------------------------------------------------

    def register_tool(self, tool: Tool | Mapping[str, Any], handler: Callable[..., Any]) -> None:
        """Let the model call a function, plain or async; a plain one runs in a thread.

        Args:
            tool: a ``Tool``, or a mapping in OpenAI's form.

        Raises:
            ConfigurationError: the name is taken or cannot be used, or the handler does not take what the schema says.
        """
        self._tools.register(tool, handler)

    @overload
    def tool(self, function: F, /) -> F: ...

    @overload
    def tool(self, /, *, name: str | None = None, description: str | None = None) -> Callable[[F], F]: ...

    def tool(
        self, function: Callable[..., Any] | None = None, /, *, name: str | None = None, description: str | None = None
    ) -> Any:
        """Let the model call a function; its schema is made of its type hints and docstring.

        Use it as ``@agent.tool`` or ``@agent.tool(name=…, description=…)``; the function stays as it is.

        Raises:
            ConfigurationError: no schema can be made of it, or the name is taken.
        """

        def registered(found: Callable[..., Any]) -> Callable[..., Any]:
            self._tools.register_function(found, name=name, description=description)
            return found

        return registered if function is None else registered(function)

    def clear_tools(self) -> None:
        """Forget every tool."""
        self._tools.clear()

    @property
    def tools(self) -> list[str]:
        """The names of the tools that the model may call."""
        return list(self._tools.names)

    # -- messages -----------------------------------------------------------------------------------------------------

    @property
    def history(self) -> list[Message]:
        """A copy of the messages that the next turn will see, the system prompt first."""
        return self._history.messages

    def set_system_prompt(self, prompt: str) -> None:
        """Tell the model how to behave, in place of what it was told before; an empty text removes it."""
        self._history.set_prompt(prompt)

    def add_message(self, message: MessageLike) -> None:
        """Put a message at the end of the history: a ``Message``, a mapping, or a text, which is a user's.

        Raises:
            ConfigurationError: it is none of them.
        """
        self._history.add([as_message(message)])

    def clear_history(self, keep_system: bool = True) -> None:
        """Forget the conversation; system and developer messages stay, unless ``keep_system`` is false."""
        self._history.clear(keep_system=keep_system)
        self.pending_tool_calls = []

    # -- statistics ---------------------------------------------------------------------------------------------------

    def get_stats(self) -> dict[str, Any]:
        """Counts of the completion requests so far; each round of tools is one, a stream counts as a buffered one.

        ``total_requests``, ``total_tokens``, ``prompt_tokens``, ``completion_tokens``, ``average_latency`` and
        ``total_latency`` (seconds), ``errors``, ``success_rate`` (0 to 1), ``retries``, ``aborted``.
        """
        return self._books.statistics.to_dict()

    def reset_stats(self) -> None:
        """Begin again at zero."""
        self._books.statistics.reset()

    async def save_stats(self, path: str | os.PathLike[str]) -> None:
        """Write the statistics to a file as JSON.

        Raises:
            OSError: it cannot be written.
        """
        await asyncio.to_thread(self._books.statistics.save, path)

    @property
    def debug(self) -> list[DebugRecord]:
        """The last 50 requests, newest last, without keys and media; empty unless ``enable_debug`` is on."""
        return list(self._books.debug)

    # -- life ---------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Close every connection; streams that are under way end with APIConnectionError."""
        await self._access.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # -- turns --------------------------------------------------------------------------------------------------------

    def _wishes(self, runs_tools: bool, max_rounds: int | None, fields: dict[str, Any], *, is_streamed: bool) -> Wishes:
        rounds = self.runtime_config.max_tool_iterations if max_rounds is None else max_rounds
        wishes = Wishes(is_streamed=is_streamed, runs_tools=runs_tools, max_rounds=rounds, fields=fields)
        wishes.check()
        return wishes

    async def _begin(self, text: str, images: Paths, videos: Paths, wishes: Wishes) -> Turn:
        self._access.check_open()
        self.model_config.validate()
        if not isinstance(text, str):
            raise ConfigurationError(f"text must be a str, found {type(text).__name__}", {"field": "text"})
        parts = await media_parts(images, videos, max_bytes=self.runtime_config.max_media_bytes)
        before = self._history.sent
        goes_on = not text and not parts and bool(before) and before[-1].role == MessageRole.TOOL
        said = [] if goes_on else [Message(role=MessageRole.USER, content=_content(text, parts))]
        added = [*answers_to_open_calls(before), *said]
        return Turn(self._access, self._books, self._tools, before=before, added=added, wishes=wishes)

    def _end(self, turn: Turn, add_to_history: bool) -> None:
        self.last_response = turn.completion
        self.pending_tool_calls = list(turn.pending)
        if add_to_history:
            self._history.add(turn.added)

    async def _show(self, piece: str, *, is_shown: bool) -> None:
        if self.runtime_config.stream_chunk_callback is not None:
            found = self.runtime_config.stream_chunk_callback(piece)
            if inspect.isawaitable(found):
                await found
        if is_shown:
            _print(piece)


def _content(text: str, parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A message's content: plain text, as every server takes it, or parts where there are media."""
    if not parts:
        return text
    return [*([{"type": "text", "text": text}] if text else ()), *parts]


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
