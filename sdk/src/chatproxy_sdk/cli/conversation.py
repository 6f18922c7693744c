"""A conversation: an agent, what the next question takes along, and what is known about the last answer.

Rule: nothing here reads or writes a terminal.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from chatproxy_sdk.agent import ChatAgent
from chatproxy_sdk.agent.config import ModelConfig, RuntimeConfig
from chatproxy_sdk.agent.media import image_part
from chatproxy_sdk.cli.arguments import Options
from chatproxy_sdk.cli.toolsets import BUILT_IN_TOOLS, Toolset
from chatproxy_sdk.messages import Message, MessageRole

OnCall = Callable[[str, dict[str, Any]], None]
_COUNTED = ("prompt_tokens", "completion_tokens", "total_tokens")


def unnoticed(_name: str, _arguments: dict[str, Any]) -> None:
    """Takes a call to a tool, and tells nobody."""


@dataclass(frozen=True)
class Question:
    """What is asked: a text, and the images that go with it."""

    text: str
    images: tuple[str, ...] = ()


class Conversation:
    """Asks a server's model, one question after the other.

    Attributes:
        model: of the next question; None until one is chosen.
        system: the system prompt.
        images: for the next question.
        toolset: what the model may call while ``uses_tools``.
        on_call: is told of each call, on the event loop's thread or another.

    Raises:
        ConfigurationError: the options cannot be used.
    """

    def __init__(self, options: Options, toolset: Toolset) -> None:
        extra = {"metadata": {"session_id": options.session}} if options.session else {}
        # The model is named with each question, so that it can change; the agent wants one from the start.
        asked = ModelConfig(
            api_base_url=options.base_url,
            api_key=options.api_key,
            model=options.model or "unknown",
            temperature=options.temperature,
            top_p=None,
            max_tokens=options.max_tokens,
            user=options.user,
            extra_body=extra,
        )
        runtime = RuntimeConfig(enable_logging=False, timeout=options.timeout, verify_ssl=options.is_verified)
        self.base_url = asked.base_url()
        self.agent = ChatAgent(asked, runtime)
        self.model = options.model
        self.images: list[str] = []
        self.toolset = toolset
        self.uses_tools = False
        self.on_call: OnCall = unnoticed
        self._max_media_bytes = runtime.max_media_bytes
        self._is_streamed = options.is_streamed
        self.system = ""
        self.set_system(options.system or "")
        if toolset:
            self.switch_tools(is_on=True)

    def set_system(self, text: str) -> None:
        """Set the system prompt; an empty one is none."""
        self.system = text
        self.agent.set_system_prompt(text)

    def switch_tools(self, *, is_on: bool) -> None:
        """Let the model call the tools, or not; where none were named, the built-in ones."""
        if is_on and not self.toolset:
            self.toolset = BUILT_IN_TOOLS
        self.agent.clear_tools()
        self.uses_tools = is_on
        for tool, handler in self.toolset.watched(self._called) if is_on else ():
            self.agent.register_tool(tool, handler)

    async def attach(self, path: str) -> None:
        """Take an image along with the next question.

        Raises:
            MediaProcessingError: it cannot be read, or is no image.
        """
        await image_part(path, max_bytes=self._max_media_bytes)
        self.images.append(path)

    async def model_ids(self) -> list[str]:
        """What the server has, in its order.

        Raises:
            ChatAPIException: it does not say.
        """
        return list(await self.agent.models.list_models())

    async def texts(self, question: Question) -> AsyncGenerator[str, None]:
        """Ask; the answer's text as it comes. The conversation goes on with it only if it is read to its end.

        Raises:
            ChatAPIException: there is no answer, or not a whole one.
        """
        asked: dict[str, Any] = {
            "image_paths": list(question.images) or None,
            "auto_execute_tools": self.uses_tools,
            "model": self.model,
        }
        if not self._is_streamed:
            yield await self.agent.chat(question.text, **asked)
            return
        stream = self.agent.chat_stream(question.text, display_stream=False, **asked)
        async with aclosing(stream):
            async for text in stream:
                yield text

    async def keep(self, question: Question, text: str) -> None:
        """Go on with an answer that was stopped, as if it had been whole."""
        content: str | list[Any] = question.text
        if question.images:
            parts = [await image_part(path, max_bytes=self._max_media_bytes) for path in question.images]
            content = [{"type": "text", "text": question.text}, *parts]
        self.agent.add_message(Message(role=MessageRole.USER, content=content))
        self.agent.add_message(Message(role=MessageRole.ASSISTANT, content=text))

    def known(self, text: str, *, since: int = 0) -> dict[str, Any]:
        """What is known about the last answer, as JSON values.

        Args:
            text: the answer's own.
            since: messages of the history before the question.
        """
        last = self.agent.last_response
        choice = last.choices[0] if last is not None and last.choices else None
        return {
            "text": text,
            "model": getattr(last, "model", None) or self.model,
            "usage": self._usage(),
            "finish_reason": getattr(choice, "finish_reason", None),
            "system_fingerprint": getattr(last, "system_fingerprint", None),
            "tool_calls": _tool_calls(self.agent.history[since:]),
        }

    def _usage(self) -> dict[str, Any] | None:
        """Of the answer; the sum, where tools made it several."""
        stats = self.agent.get_stats()
        if stats["total_requests"] > 1:
            return {name: stats[name] for name in _COUNTED}
        last = self.agent.last_response
        return last.usage.to_dict() if last is not None and last.usage.total_tokens else None

    def _called(self, name: str, arguments: dict[str, Any]) -> None:
        self.on_call(name, arguments)


def _tool_calls(messages: Iterable[Message]) -> list[dict[str, Any]]:
    return [call.to_dict() for message in messages for call in message.tool_calls or ()]
