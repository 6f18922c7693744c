"""The messages of a conversation that outlast a turn.

Rule: no I/O here. Messages are added a whole turn at a time.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import msgspec

from chatproxy_sdk.exceptions import ConfigurationError
from chatproxy_sdk.messages import Message, MessageLike, MessageRole, ToolCall, message_dicts

INSTRUCTIONS = {MessageRole.SYSTEM, MessageRole.DEVELOPER}
NOT_RUN = msgspec.json.encode({"error": "this call was not run"}).decode()


class History:
    """The messages so far, oldest first.

    Args:
        limit: of messages besides instructions; the oldest turns beyond it are dropped, the last never. None keeps all.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._messages: list[Message] = []
        self._prompt: Message | None = None

    @property
    def messages(self) -> list[Message]:
        """A copy, to be changed at will."""
        return copy.deepcopy(self.sent)

    @property
    def sent(self) -> list[Message]:
        """The messages themselves, in a list of its own, the system prompt first."""
        return [*([self._prompt] if self._prompt else ()), *self._messages]

    def set_prompt(self, prompt: str) -> None:
        """Take another system prompt; an empty one is none."""
        self._prompt = Message(role=MessageRole.SYSTEM, content=prompt) if prompt else None

    def add(self, messages: Iterable[Message]) -> None:
        """Put messages behind the others."""
        self._messages += copy.deepcopy(list(messages))
        if self._limit is not None:
            self._messages = _kept(self._messages, self._limit)

    def clear(self, *, keep_system: bool) -> None:
        """Forget every message, but instructions if they are to be kept."""
        self._messages = [one for one in self._messages if keep_system and one.role in INSTRUCTIONS]
        if not keep_system:
            self._prompt = None


def as_message(message: MessageLike) -> Message:
    """A message of whatever form.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        found = message_dicts([message])
        return Message.from_dict(found[0])
    except (TypeError, ValueError) as exc:
        raise ConfigurationError(f"not a message: {exc}", {"message": type(message).__name__}) from exc


def open_calls(messages: Sequence[Message]) -> list[ToolCall]:
    """The tool calls at the end of a conversation that no message answers yet."""
    answered = set()
    for message in reversed(messages):
        if message.role == MessageRole.TOOL:
            answered.add(message.tool_call_id)
        else:
            return [call for call in message.tool_calls or () if call.id not in answered]
    return []


def answers_to_open_calls(messages: Sequence[Message]) -> list[Message]:
    """What must stand before the next user's message: servers refuse a conversation with unanswered calls."""
    return [Message(role=MessageRole.TOOL, tool_call_id=call.id, content=NOT_RUN) for call in open_calls(messages)]


def _kept(messages: list[Message], limit: int) -> list[Message]:
    """Instructions, and of the rest the last whole turns; a turn begins with a user's message."""
    rest = [index for index, message in enumerate(messages) if message.role not in INSTRUCTIONS]
    if len(rest) <= limit:
        return messages
    begins = [index for index in rest if messages[index].role == MessageRole.USER]
    fitting = [index for index in begins if index >= rest[-limit]]
    first = min(fitting) if fitting else max(begins, default=0)
    return [one for index, one in enumerate(messages) if index >= first or one.role in INSTRUCTIONS]
