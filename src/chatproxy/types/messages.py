"""The layout of Anthropic Messages: where texts, tools, usage and finish reasons lie.

Source: Anthropic API reference, "Create a Message" and "Streaming messages".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.errors import ApiError
from chatproxy.types import messages_errors, messages_texts, messages_turns
from chatproxy.types.endings_messages import MessagesProgress, again, ends, filter_message
from chatproxy.types.layout import Progress, Summary
from chatproxy.types.messages_tally import (
    MessagesTally,
    finish_reason_of,
    finish_reasons_of_message,
    usage_of_messages,
)
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.peek import peek
from chatproxy.types.rounds_messages import MessagesTurns
from chatproxy.types.tally import Tally
from chatproxy.types.text import Channel, Text
from chatproxy.types.usage import Usage

_STRUCTURAL = frozenset({
    "model", "messages", "system", "stream", "tools", "metadata", "container", "mcp_servers", "diagnostics",
    "user_profile_id", "workspace_id",
})  # fmt: skip
_NAMES: Mapping[str, str] = {"max_completion_tokens": "max_tokens", "stop": "stop_sequences"}


class _Message(msgspec.Struct):
    stop_reason: str | None = None
    usage: dict[str, Any] | None = None


_decode_summary = msgspec.json.Decoder(_Message).decode


class MessagesLayout:
    """`Layout` of ``/v1/messages``."""

    surface = "messages"
    path = "/messages"
    structural = _STRUCTURAL
    messages_key = "messages"
    has_tools = True
    turns = MessagesTurns()
    id_headers = (b"x-request-id", b"request-id")
    streams = True
    stream_end = b""
    usage_on_request = False
    names_events = True
    numbers_events = False

    def request_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every message, in order, then of ``system``, of tools and of the other fields that reach the model.

        What a tool answered is of role ``tool``, whatever the role of the message that carries it.
        """
        return messages_texts.request_texts(body)

    def response_texts(self, body: Any) -> Iterator[Text]:
        """Texts of every content block."""
        return messages_texts.reply_texts(body)

    def event_texts(self, data: Any, event: Any) -> Iterator[Text]:
        """Texts of a block's start, of its deltas, and of a message that comes whole."""
        return messages_texts.event_texts(data, event.mark_changed)

    def ends(self, data: Any, channel: Channel) -> bool:
        """By ``content_block_stop``, a ``stop_reason`` or ``message_stop``."""
        return ends(data, channel)

    def again(self, data: Any, text: Text, value: str) -> dict[str, Any]:
        """A delta of the same block."""
        return again(data, text, value)

    def progress(self) -> Progress:
        """By the blocks that are open."""
        return MessagesProgress()

    def filter(self, body: Any, message: str) -> None:
        """``stop_reason`` is ``refusal``."""
        filter_message(body, message)

    def summary(self, data: bytes) -> Summary:
        """``usage`` and ``stop_reason``; also of a reply of unusual shape."""
        found = peek(_decode_summary, data)
        if isinstance(found, dict):
            return self.usage(found), self.finish_reasons(found)
        reasons = [] if found.stop_reason is None else [finish_reason_of(found.stop_reason)]
        return usage_of_messages(found.usage), reasons

    def usage(self, body: Any) -> Usage | None:
        """The ``usage`` object; that of ``message_start`` lies in its message."""
        message = body.get("message")
        within = message.get("usage") if isinstance(message, Mapping) else None
        return usage_of_messages(body.get("usage")) or usage_of_messages(within)

    def finish_reasons(self, body: Any) -> list[str]:
        """``stop_reason``; that of ``message_delta`` lies in its delta."""
        return finish_reasons_of_message(body)

    def tally(self) -> Tally:
        """A reader of message events."""
        return MessagesTally()

    def own_tool(self, tool: Mapping[str, Any]) -> dict[str, Any]:
        """``name``, ``description`` and ``input_schema``."""
        return messages_turns.own_tool(tool)

    def own_param(self, name: str) -> str | None:
        """``max_tokens`` and ``stop_sequences`` for chat's; any other name as it is."""
        return _NAMES.get(name, name)

    def instruct(self, body: Any, prompt: str, behavior: str) -> None:
        """By the field ``system``."""
        messages_turns.instruct(body, prompt, behavior)

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """The blocks ``tool_use``."""
        return messages_turns.calls_of(body)

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """By the assistant's message and one of the user with a block ``tool_result`` for each result."""
        messages_turns.answer_calls(request, reply, results)

    def error_body(self, error: ApiError, request_id: str) -> dict[str, Any]:
        """Anthropic's envelope."""
        return messages_errors.error_body(error, request_id)

    def error_frame(self, error: ApiError, tally: Tally) -> bytes:
        """The event ``error``."""
        return messages_errors.error_frame(error)


MESSAGES = MessagesLayout()
