"""The messages of a request: checked as OpenAI checks them, and what the answer is made from.

Source: OpenAI API reference, "Create chat completion", ``messages``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.handlers.demo.faults import empty, missing, want_list, want_object, want_one_of, want_text, wrong_type
from chatproxy.handlers.demo.tokens import count_tokens

_ROLES = ("system", "developer", "user", "assistant", "tool", "function")
_PARTS = {
    "system": ("text",),
    "developer": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
    "tool": ("text",),
    "function": ("text",),
}
_CALLED_AS = {"function": "arguments", "custom": "input"}


class ToolAnswer(msgspec.Struct, frozen=True):
    """What a tool answered, with the tool's name."""

    name: str
    text: str


class Conversation(msgspec.Struct, frozen=True):
    """What the answer is made from.

    Attributes:
        text: of the last user message; empty where there is none.
        instructions: of the first system or developer message.
        attachments: how many parts other than text the last user message has, by part type.
        tool_answers: those the conversation ends with; empty where it ends otherwise.
        tokens: of every text.
    """

    text: str = ""
    instructions: str = ""
    attachments: dict[str, int] = {}
    tool_answers: list[ToolAnswer] = []
    tokens: int = 0


class _Reader:
    """Walks the messages once and keeps what the answer needs."""

    def __init__(self) -> None:
        self.text = self.instructions = ""
        self.attachments: dict[str, int] = {}
        self.tool_answers: list[ToolAnswer] = []
        self.tokens = 0
        self.open_calls: dict[str, str] = {}  # id to name, of calls that no tool message answered yet
        self.open_at = ""
        self.instructing_role = ""

    def read(self, message: dict[str, Any], at: str) -> None:
        role = want_one_of(message["role"], _ROLES, f"{at}.role") if "role" in message else None
        if role is None:
            raise missing(f"{at}.role")
        if role != "tool":
            self.check_calls_answered()
            self.tool_answers = []
        by_role: dict[str, Callable[[dict[str, Any], str], None]] = {
            "user": self._user, "assistant": self._assistant, "tool": self._tool,
            "system": self._instructions, "developer": self._instructions, "function": self._function,
        }  # fmt: skip
        by_role[role](message, at)

    def check_calls_answered(self) -> None:
        if self.open_calls:
            ids = ", ".join(self.open_calls)
            raise InvalidRequest(
                f"An assistant message with 'tool_calls' must be followed by a tool message for each: {ids[:200]}.",
                code="invalid_value",
                param=self.open_at,
            )

    def _instructions(self, message: dict[str, Any], at: str) -> None:
        role = message["role"]
        self.instructing_role = self.instructing_role or role
        if role != self.instructing_role:
            raise InvalidRequest(
                f"A conversation has 'system' or 'developer' messages, not both; the first here is '"
                f"{self.instructing_role}'.",
                code="invalid_value",
                param=f"{at}.role",
            )
        text, _ = self._content(message, at)
        self.instructions = self.instructions or text

    def _user(self, message: dict[str, Any], at: str) -> None:
        self.text, self.attachments = self._content(message, at)

    def _function(self, message: dict[str, Any], at: str) -> None:
        name = want_text(message, "name", at)
        text, _ = self._content(message, at)
        self.tool_answers = [ToolAnswer(name, text)]

    def _assistant(self, message: dict[str, Any], at: str) -> None:
        calls = message.get("tool_calls")
        if calls is not None:
            self._calls(want_list(calls, f"{at}.tool_calls"), f"{at}.tool_calls")
        if message.get("content") is not None:
            self._content(message, at)
        elif not any(message.get(key) is not None for key in ("tool_calls", "function_call", "refusal", "audio")):
            raise missing(f"{at}.content")

    def _calls(self, calls: list[Any], at: str) -> None:
        self.open_at = at
        for i, entry in enumerate(calls):
            where = f"{at}[{i}]"
            call = want_object(entry, where)
            kind = want_one_of(call.get("type", "function"), tuple(_CALLED_AS), f"{where}.type")
            called = want_object(call.get(kind), f"{where}.{kind}")
            name = want_text(called, "name", f"{where}.{kind}")
            self.tokens += count_tokens(want_text(called, _CALLED_AS[kind], f"{where}.{kind}"))
            self.open_calls[want_text(call, "id", where)] = name

    def _tool(self, message: dict[str, Any], at: str) -> None:
        call_id = want_text(message, "tool_call_id", at)
        if call_id not in self.open_calls:
            raise InvalidRequest(
                f"A tool message must answer a call in the assistant message before it; none has id {call_id[:80]!r}.",
                code="invalid_value",
                param=f"{at}.tool_call_id",
            )
        text, _ = self._content(message, at)
        self.tool_answers.append(ToolAnswer(self.open_calls.pop(call_id), text))

    def _content(self, message: dict[str, Any], at: str) -> tuple[str, dict[str, int]]:
        """Text and attachments of a message whose content must be there."""
        where = f"{at}.content"
        if "content" not in message:
            raise missing(where)
        content = message["content"]
        if isinstance(content, str):
            self.tokens += count_tokens(content)
            return content, {}
        if not isinstance(content, list):
            raise wrong_type(where, "a string or an array of parts", content)
        if not content:
            raise empty(where)
        return self._parts(content, _PARTS[message["role"]], where)

    def _parts(self, parts: list[Any], allowed: tuple[str, ...], at: str) -> tuple[str, dict[str, int]]:
        texts: list[str] = []
        attachments: dict[str, int] = {}
        for i, part in enumerate(parts):
            where = f"{at}[{i}]"
            kind = want_one_of(want_object(part, where).get("type"), allowed, f"{where}.type")
            if kind in {"text", "refusal"}:
                texts.append(want_text(part, kind, where))
                self.tokens += count_tokens(texts[-1])
            else:
                _check_attachment(part, kind, where)
                attachments[kind] = attachments.get(kind, 0) + 1
        return "\n".join(texts), attachments


def _check_attachment(part: dict[str, Any], kind: str, at: str) -> None:
    if kind not in part:
        raise missing(f"{at}.{kind}")
    held = want_object(part[kind], f"{at}.{kind}")
    if kind == "image_url":
        want_text(held, "url", f"{at}.{kind}")
    elif kind == "input_audio":
        want_text(held, "data", f"{at}.{kind}")
        want_text(held, "format", f"{at}.{kind}")
    elif not any(isinstance(held.get(key), str) for key in ("file_id", "file_data")):
        raise missing(f"{at}.file.file_id")


def read_conversation(messages: Any) -> Conversation:
    """Check the ``messages`` field and gather what an answer needs.

    Raises:
        InvalidRequest: a message is not as OpenAI wants it; ``param`` is its path, for example ``messages[2].role``.
    """
    if messages is None:
        raise missing("messages")
    reader = _Reader()
    for i, message in enumerate(want_list(messages, "messages")):
        reader.read(want_object(message, f"messages[{i}]"), f"messages[{i}]")
    reader.check_calls_answered()
    return Conversation(
        reader.text, reader.instructions, reader.attachments, reader.tool_answers, max(1, reader.tokens)
    )
