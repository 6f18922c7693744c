"""The messages of a conversation, for both clients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self, cast

from chatproxy_sdk._core.leniency import sound_message
from chatproxy_sdk.records import Record


class MessageRole(StrEnum):
    """Who speaks."""

    SYSTEM = "system"
    DEVELOPER = "developer"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


_ROLES = {role.value: role for role in MessageRole}


@dataclass
class FunctionCall(Record):
    """What an assistant wants to be called; ``arguments`` is JSON text as the model wrote it."""

    name: str = ""
    arguments: str = ""


@dataclass
class ToolCall(Record):
    """One call that an assistant asks for."""

    id: str = ""
    type: str = "function"
    function: FunctionCall = field(default_factory=FunctionCall)

    def to_dict(self) -> dict[str, Any]:
        """As it is sent; a call of another type has no ``function``."""
        found = super().to_dict()
        if self.type != "function" and not self.function.name:
            del found["function"]
        return found


@dataclass
class Message(Record):
    """One message of a conversation.

    Attributes:
        role: a ``MessageRole``, or another name that a server uses.
        content: text, or parts (``{"type": "text", …}``, ``{"type": "image_url", …}``); None beside tool calls.
        tool_calls: what an assistant asks for.
        tool_call_id: on a tool's message, the call it answers.
    """

    role: str = MessageRole.USER
    content: str | list[Any] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None

    def __post_init__(self) -> None:
        self.role = _ROLES.get(self.role, self.role)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The message that a JSON object stands for; calls are taken as servers of all kinds write them."""
        return super().from_dict(sound_message(data))

    @property
    def text(self) -> str:
        """Its text; that of parts one after the other."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content or ()
        return "".join(
            part["text"] for part in parts if isinstance(part, Mapping) and isinstance(part.get("text"), str)
        )

    def to_dict(self) -> dict[str, Any]:
        """As it is sent; an assistant's ``content`` stands there even if it is None."""
        found = super().to_dict()
        if self.role == MessageRole.ASSISTANT:
            found.setdefault("content", self.content)
        return found


ChatMessage = Message
MessageLike = Message | Mapping[str, Any] | str


def message_dicts(messages: Iterable[MessageLike] | MessageLike) -> list[dict[str, Any]]:
    """Messages as they are sent: objects, mappings, and plain texts, which are a user's.

    Raises:
        TypeError: one is none of the three.
    """
    found: Iterable[MessageLike] = (
        (messages,) if isinstance(messages, Message | Mapping | str) else cast("Iterable[MessageLike]", messages)
    )
    return [_message_dict(message) for message in found]


def _message_dict(message: MessageLike) -> dict[str, Any]:
    if isinstance(message, Message):
        return message.to_dict()
    if isinstance(message, str):
        return {"role": "user", "content": message}
    if isinstance(message, Mapping):
        return dict(message)
    raise TypeError(f"a message must be a Message, a mapping or a text, found {type(message).__name__}")
