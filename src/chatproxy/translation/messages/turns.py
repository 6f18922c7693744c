"""The conversation of a Messages request, as chat messages.

Rule: consecutive messages of one role are one turn, as the Messages API itself takes them; an assistant's turn is one
chat message, a user's turn is its tool results, then at most one user message.
Source: Anthropic API reference, ``MessageParam``; OpenAI API reference, "Create chat completion", ``messages``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.hub import Turn
from chatproxy.translation.messages.media import USER_KINDS, block_text, parts_of, text_part
from chatproxy.translation.messages.tools import ToolNames

_ROLES = ("user", "assistant", "system")
_MESSAGE_KEYS = frozenset({"role", "content"})
_THINKING_KEYS = frozenset({"type", "thinking", "signature"})
_CALL_KEYS = frozenset({"type", "id", "name", "input", "caller"})
_RESULT_KEYS = frozenset({"type", "tool_use_id", "content", "is_error"})

# Blocks that only Anthropic's own tools make or read, and those that stand for something kept on its servers.
_HOSTED = frozenset({
    "server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "code_execution_tool_result",
    "bash_code_execution_tool_result", "text_editor_code_execution_tool_result", "tool_search_tool_result",
    "advisor_tool_result", "mcp_tool_use", "mcp_tool_result", "mcp_tool_listing", "tool_reference", "browser_state",
    "tool_addition", "tool_removal", "fallback",
})  # fmt: skip
_KEPT_THERE: Mapping[str, str] = {
    "container_upload": "files are kept with another service",
    "compaction": "chat has no compacted turns",
}
_USER_BLOCKS = (*USER_KINDS, "tool_result")
_ASSISTANT_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")
_RESULT_IS_BELOW = "(The result is in the user message that follows.)"

_encode = msgspec.json.Encoder().encode


def _blocks(content: Any, at: str, allowed: tuple[str, ...], losses: Losses) -> Iterator[tuple[str, Json, str]]:
    """Kind, block and path of each block that chat can carry."""
    for block, at_block in checks.want_objects(content, at):
        kind = checks.want_text(block, "type", at_block)
        if kind in _HOSTED:
            losses.add(at_block, "dropped", f"{kind} blocks: {NOT_ON_CHAT}")
        elif kind in _KEPT_THERE:
            raise checks.unsupported_content(f"{at_block}.type", _KEPT_THERE[kind])
        else:
            yield checks.want_word(block, "type", allowed, at_block), block, at_block


class _UserTurn(msgspec.Struct):
    """What a user's turn holds so far."""

    origin: str
    results: list[Json] = []
    attachments: list[Json] = []  # of tool results
    parts: list[Json] = []

    def messages(self) -> list[Json]:
        parts = self.attachments + self.parts
        if not parts:
            return self.results
        content = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
        return [*self.results, {"role": "user", "content": content}]


class _AssistantTurn(Turn):
    """What an assistant's turn holds so far; texts side by side are pieces of one."""

    texts: list[str] = msgspec.field(default_factory=list)
    last: str = ""  # which of the lists was added to last

    def messages(self) -> list[Json]:
        return [self.message("\n\n".join(self.texts))]


class Conversation:
    """Walks the messages once.

    Args:
        hub: chat is only on the way to a surface that knows signatures of reasoning.

    Attributes:
        messages: chat messages.
        origins: for each of them, the client's path it came from, for example ``messages[2]``.
    """

    __slots__ = ("_call_ids", "_hub", "_losses", "_names", "_turn", "messages", "origins")

    def __init__(self, losses: Losses, names: ToolNames, *, hub: bool) -> None:
        self._losses = losses
        self._names = names
        self._hub = hub
        self._turn: _UserTurn | _AssistantTurn | None = None
        self._call_ids: set[str] = set()
        self.messages: list[Json] = []
        self.origins: list[str] = []

    def instruct(self, value: Any, at: str = "system") -> None:
        """Add a system prompt, string or text blocks, as one text."""
        content = "" if value is None else checks.want_content(value, at)
        if not isinstance(content, str):
            blocks = _blocks(content, at, ("text",), self._losses)
            content = "\n\n".join([block_text(block, where, self._losses) for _, block, where in blocks])
        if content:
            self._add({"role": "system", "content": content}, at.removesuffix(".content"))

    def read(self, value: Any) -> None:
        """Add what ``messages`` holds."""
        if not checks.want_list(value, "messages"):
            raise checks.empty("messages")
        for message, at in checks.want_objects(value, "messages"):
            self._read(message, at)
        self._end_turn()
        if self.messages and self.messages[-1]["role"] == "assistant":
            reason = "a chat model may begin anew instead of going on with this turn"
            self._losses.add(self.origins[-1], "changed", reason)

    def _read(self, message: Json, at: str) -> None:
        role = checks.want_word(message, "role", _ROLES, at)
        self._losses.add_rest(message, _MESSAGE_KEYS, at, NOT_ON_CHAT)
        content = checks.want_content(message.get("content"), f"{at}.content")
        if role == "system":
            self._end_turn()
            self.instruct(content, f"{at}.content")
        elif role == "user":
            self._user(content, at)
        else:
            self._assistant(content, at)

    def _end_turn(self) -> None:
        if self._turn is not None:
            for message in self._turn.messages():
                self._add(message, self._turn.origin)
            self._turn = None

    def _add(self, message: Json, origin: str) -> None:
        self.messages.append(message)
        self.origins.append(origin)

    def _user(self, content: str | list[Any], at: str) -> None:
        turn = self._turn
        if not isinstance(turn, _UserTurn):
            self._end_turn()
            turn = self._turn = _UserTurn(at)
        if isinstance(content, str):
            turn.parts.append(text_part(content))
            return
        if not content:
            raise checks.empty(f"{at}.content")
        for kind, block, where in _blocks(content, f"{at}.content", _USER_BLOCKS, self._losses):
            if kind == "tool_result":
                self._tool_result(turn, block, where)
            else:
                turn.parts += parts_of(kind, block, where, self._losses)

    def _tool_result(self, turn: _UserTurn, block: Json, at: str) -> None:
        self._losses.add_rest(block, _RESULT_KEYS, at, NOT_ON_CHAT)
        call_id = checks.want_text(block, "tool_use_id", at)
        if call_id not in self._call_ids:
            wanted = "expected the id of a tool_use block in an earlier assistant message"
            raise checks.wrong_value(f"{at}.tool_use_id", f"{wanted}, found {call_id[:80]!r}")
        if block.get("is_error"):
            self._losses.add(f"{at}.is_error", "dropped", NOT_ON_CHAT)
        if turn.parts:
            self._losses.add(at, "changed", "chat takes tool results before what the user says")
        text = "" if block.get("content") is None else self._result_text(turn, block["content"], f"{at}.content")
        turn.results.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def _result_text(self, turn: _UserTurn, value: Any, at: str) -> str:
        """The text of a tool result; what is no text goes to the user message that follows."""
        content = checks.want_content(value, at)
        if isinstance(content, str):
            return content
        texts: list[str] = []
        attached = len(turn.attachments)
        for kind, block, where in _blocks(content, at, USER_KINDS, self._losses):
            for part in parts_of(kind, block, where, self._losses):
                if part["type"] == "text":
                    texts.append(part["text"])
                else:
                    self._losses.add(where, "changed", "chat's tool results are text; moved to a user message")
                    turn.attachments.append(part)
        return _RESULT_IS_BELOW if not texts and len(turn.attachments) > attached else "\n".join(texts)

    def _assistant(self, content: str | list[Any], at: str) -> None:
        turn = self._turn
        if not isinstance(turn, _AssistantTurn):
            self._end_turn()
            turn = self._turn = _AssistantTurn(at)
        if isinstance(content, str):
            self._text(turn, content, at)
            return
        for kind, block, where in _blocks(content, f"{at}.content", _ASSISTANT_BLOCKS, self._losses):
            if kind == "text":
                self._text(turn, block_text(block, where, self._losses), where)
            elif kind == "tool_use":
                self._call(turn, block, where)
            else:
                self._thinking(turn, kind, block, where)

    def _text(self, turn: _AssistantTurn, text: str, at: str) -> None:
        if turn.last == "text":
            turn.texts[-1] += text
            return
        if turn.texts or turn.calls:
            self._losses.add(at, "changed", "a chat message holds reasoning, then one text, then calls")
        turn.texts.append(text)
        turn.last = "text"

    def _call(self, turn: _AssistantTurn, block: Json, at: str) -> None:
        self._losses.add_rest(block, _CALL_KEYS, at, NOT_ON_CHAT)
        call_id, name = checks.want_text(block, "id", at), self._names.of(block, at)
        arguments = _encode(checks.want_object(block.get("input"), f"{at}.input")).decode()
        turn.calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
        turn.last = "call"
        self._call_ids.add(call_id)

    def _thinking(self, turn: _AssistantTurn, kind: str, block: Json, at: str) -> None:
        """Reasoning is carried as text; what proves it to Anthropic's servers only between two translations."""
        turn.last = "thinking"
        if kind == "redacted_thinking":
            data = checks.want_text(block, "data", at)
            if self._hub:
                turn.thinking.append({"type": kind, "data": data})
            else:
                self._losses.add(at, "dropped", f"encrypted reasoning: {NOT_ON_CHAT}")
            return
        self._losses.add_rest(block, _THINKING_KEYS, at, NOT_ON_CHAT)
        text = checks.optional_text(block, "thinking", at)
        signature = checks.optional_text(block, "signature", at) or None
        if text:
            turn.reasoning.append(text)
        if self._hub:
            turn.thinking.append({"type": kind, "thinking": text, "signature": signature})
        elif not text:
            self._losses.add(at, "dropped", "reasoning without a text")
        elif signature is not None:
            self._losses.add(f"{at}.signature", "dropped", f"signatures of reasoning: {NOT_ON_CHAT}", once=True)
