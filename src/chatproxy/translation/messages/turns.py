"""The conversation of a Messages request, as chat messages.

Rule: consecutive messages of one role are one turn, as the Messages API itself takes them; an assistant's turn is one
chat message, a user's turn is its tool results, then at most one user message.
Source: Anthropic API reference, ``MessageParam``; OpenAI API reference, "Create chat completion", ``messages``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.messages.checks import (
    missing,
    optional_text,
    record_rest,
    unsupported,
    want_list,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)
from chatproxy.translation.messages.media import block_text, document_parts, image_part, search_result_text, text_part

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
_USER_BLOCKS = ("text", "image", "document", "search_result", "tool_result")
_ASSISTANT_BLOCKS = ("text", "thinking", "redacted_thinking", "tool_use")
_RESULT_BLOCKS = ("text", "image", "document", "search_result")
_SYSTEM_BLOCKS = ("text",)
_RESULT_IS_BELOW = "(The result is in the user message that follows.)"

_encode = msgspec.json.Encoder().encode


class Turns(NamedTuple):
    """A conversation as chat has it.

    Attributes:
        messages: chat messages.
        origins: for each of them, the client's path it came from, for example ``messages[2]``.
    """

    messages: list[Json]
    origins: list[str]


def read_turns(value: Any, turns: Turns, losses: Losses, *, hub: bool) -> None:
    """Add the chat messages for ``messages`` to ``turns``.

    Raises:
        InvalidRequest: a message or block is none the API takes, or one that chat cannot carry (400).
    """
    if value is None:
        raise missing("messages")
    if not want_list(value, "messages"):
        raise wrong_value("messages", "must have at least one message, found none.")
    reader = _Reader(turns, losses, hub=hub)
    for i, entry in enumerate(value):
        reader.read(want_object(entry, f"messages[{i}]"), f"messages[{i}]")
    reader.end_turn()
    if turns.messages and turns.messages[-1]["role"] == "assistant":
        losses.add(turns.origins[-1], "changed", "a chat model may begin anew instead of going on with this turn")


def instructions(value: Any, at: str, losses: Losses) -> str:
    """A system prompt, string or text blocks, as one text."""
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(at, "a string or an array of text blocks", value)
    blocks = _blocks(value, at, _SYSTEM_BLOCKS, losses)
    return "\n\n".join([block_text(block, where, losses) for _, block, where in blocks])


def _blocks(content: list[Any], at: str, allowed: tuple[str, ...], losses: Losses) -> Iterator[tuple[str, Json, str]]:
    """Kind, block and path of each block that chat can carry.

    Raises:
        InvalidRequest: a block must not stand here, or stands for what only Anthropic's servers hold (400).
    """
    for i, entry in enumerate(content):
        where = f"{at}[{i}]"
        block = want_object(entry, where)
        kind = want_text(block, "type", where)
        if kind in allowed:
            yield kind, block, where
        elif kind in _HOSTED:
            losses.add(where, "dropped", f"chat has no {kind} blocks")
        elif kind in _KEPT_THERE:
            raise unsupported(f"{where}.type", _KEPT_THERE[kind], code="unsupported_content")
        else:
            raise wrong_value(f"{where}.type", f"must be one of {', '.join(allowed)} here, found {kind[:40]!r}.")


class _UserTurn:
    """What a user's turn holds so far."""

    __slots__ = ("attachments", "origin", "parts", "results")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.results: list[Json] = []
        self.attachments: list[Json] = []  # of tool results
        self.parts: list[Json] = []

    def messages(self) -> list[Json]:
        parts = self.attachments + self.parts
        if not parts:
            return self.results
        content = parts[0]["text"] if len(parts) == 1 and parts[0]["type"] == "text" else parts
        return [*self.results, {"role": "user", "content": content}]


class _AssistantTurn:
    """What an assistant's turn holds so far; texts side by side are pieces of one."""

    __slots__ = ("calls", "last", "origin", "reasoning", "texts", "thinking_blocks")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.last = ""  # which of the lists was added to last
        self.reasoning: list[str] = []
        self.texts: list[str] = []
        self.calls: list[Json] = []
        self.thinking_blocks: list[Json] = []

    def messages(self) -> list[Json]:
        content = "\n\n".join(self.texts)
        message: Json = {"role": "assistant", "content": None if self.calls and not content else content}
        if self.reasoning:
            message["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.thinking_blocks:
            message["thinking_blocks"] = self.thinking_blocks
        if self.calls:
            message["tool_calls"] = self.calls
        return [message]


class _Reader:
    """Walks the messages once."""

    __slots__ = ("_call_ids", "_hub", "_losses", "_turn", "_turns")

    def __init__(self, turns: Turns, losses: Losses, *, hub: bool) -> None:
        self._turns = turns
        self._losses = losses
        self._hub = hub
        self._turn: _UserTurn | _AssistantTurn | None = None
        self._call_ids: set[str] = set()

    def read(self, message: Json, at: str) -> None:
        role = want_text(message, "role", at)
        if role not in _ROLES:
            raise wrong_value(f"{at}.role", f"must be one of {', '.join(_ROLES)}, found {role[:40]!r}.")
        record_rest(message, _MESSAGE_KEYS, at, self._losses)
        content, where = message.get("content"), f"{at}.content"
        if content is None:
            raise missing(where)
        if role == "system":
            self.end_turn()
            if text := instructions(content, where, self._losses):
                self._add({"role": "system", "content": text}, at)
        elif not isinstance(content, str | list):
            raise wrong_type(where, "a string or an array of blocks", content)
        elif role == "user":
            self._user(content, at)
        else:
            self._assistant(content, at)

    def end_turn(self) -> None:
        """Nothing more comes for the turn at hand."""
        if self._turn is not None:
            for message in self._turn.messages():
                self._add(message, self._turn.origin)
            self._turn = None

    def _add(self, message: Json, origin: str) -> None:
        self._turns.messages.append(message)
        self._turns.origins.append(origin)

    # -- user -----------------------------------------------------------------------------------------------------

    def _user(self, content: str | list[Any], at: str) -> None:
        turn = self._turn
        if not isinstance(turn, _UserTurn):
            self.end_turn()
            turn = self._turn = _UserTurn(at)
        if isinstance(content, str):
            turn.parts.append(text_part(content))
            return
        if not content:
            raise wrong_value(f"{at}.content", "must have at least one block, found none.")
        for kind, block, where in _blocks(content, f"{at}.content", _USER_BLOCKS, self._losses):
            if kind == "tool_result":
                self._tool_result(turn, block, where)
            else:
                turn.parts += self._parts(kind, block, where)

    def _parts(self, kind: str, block: Json, at: str) -> list[Json]:
        if kind == "text":
            return [text_part(block_text(block, at, self._losses))]
        if kind == "image":
            return [image_part(block, at, self._losses)]
        if kind == "document":
            return document_parts(block, at, self._losses)
        return [text_part(search_result_text(block, at, self._losses))]

    def _tool_result(self, turn: _UserTurn, block: Json, at: str) -> None:
        record_rest(block, _RESULT_KEYS, at, self._losses)
        call_id = want_text(block, "tool_use_id", at)
        if call_id not in self._call_ids:
            shown = f"must be the id of a tool_use block in an earlier assistant message, found {call_id[:80]!r}."
            raise wrong_value(f"{at}.tool_use_id", shown)
        if block.get("is_error"):
            self._losses.add(f"{at}.is_error", "dropped", "chat does not mark results as errors")
        if turn.parts:
            self._losses.add(at, "changed", "chat takes tool results before what the user says")
        text = self._result_text(turn, block.get("content"), f"{at}.content")
        turn.results.append({"role": "tool", "tool_call_id": call_id, "content": text})

    def _result_text(self, turn: _UserTurn, content: Any, at: str) -> str:
        """The text of a tool result; what is no text goes to the user message that follows."""
        if content is None or isinstance(content, str):
            return content or ""
        if not isinstance(content, list):
            raise wrong_type(at, "a string or an array of blocks", content)
        texts: list[str] = []
        attached = len(turn.attachments)
        for kind, block, where in _blocks(content, at, _RESULT_BLOCKS, self._losses):
            for part in self._parts(kind, block, where):
                if part["type"] == "text":
                    texts.append(part["text"])
                else:
                    self._losses.add(where, "changed", "chat's tool results are text; moved to a user message")
                    turn.attachments.append(part)
        if not texts and len(turn.attachments) > attached:
            return _RESULT_IS_BELOW
        return "\n".join(texts)

    # -- assistant ------------------------------------------------------------------------------------------------

    def _assistant(self, content: str | list[Any], at: str) -> None:
        turn = self._turn
        if not isinstance(turn, _AssistantTurn):
            self.end_turn()
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
        record_rest(block, _CALL_KEYS, at, self._losses)
        call_id, name = want_text(block, "id", at), want_text(block, "name", at)
        if "input" not in block:
            raise missing(f"{at}.input")
        arguments = _encode(want_object(block["input"], f"{at}.input")).decode()
        turn.calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})
        turn.last = "call"
        self._call_ids.add(call_id)

    def _thinking(self, turn: _AssistantTurn, kind: str, block: Json, at: str) -> None:
        """Reasoning is carried as text; what proves it to Anthropic's servers only between two translations."""
        turn.last = "thinking"
        if kind == "redacted_thinking":
            if self._hub:
                turn.thinking_blocks.append({"type": kind, "data": want_text(block, "data", at)})
            else:
                self._losses.add(at, "dropped", "chat cannot carry encrypted reasoning")
            return
        record_rest(block, _THINKING_KEYS, at, self._losses)
        text = optional_text(block, "thinking", at)
        signature = optional_text(block, "signature", at) or None
        if text:
            turn.reasoning.append(text)
        if self._hub:
            turn.thinking_blocks.append({"type": kind, "thinking": text, "signature": signature})
        elif not text:
            self._losses.add(at, "dropped", "chat cannot carry reasoning without a text")
        elif signature is not None:
            self._losses.add("signature", "dropped", "chat cannot carry signatures of reasoning")
