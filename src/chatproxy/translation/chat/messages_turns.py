"""A chat client's messages as the system prompt and the turns of a Messages request.

Rule: turns alternate, a tool's results open the user's turn, and nothing empty is sent: the API refuses all else.
Source: Anthropic API reference, "Messages", parameters ``system`` and ``messages``.
"""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Any

import msgspec

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    TEXT_ONLY,
    Call,
    Part,
    answered_by,
    calls_of,
    content_of,
    messages_of,
    note_unread,
    reasoning_of,
    said_by,
    thinking_blocks_of,
    unsupported_content,
    wrong_value,
)
from chatproxy.translation.chat.messages_media import block_of

_USER_PARTS = frozenset({"text", "image_url", "file", "input_audio", "video_url"})
_TOOL_PARTS = frozenset({"text", "image_url", "file"})
_READ_BY_ROLE = {
    "assistant": frozenset(
        {"role", "content", "refusal", "tool_calls", "audio", "function_call", "cache_control"}
        | {"reasoning_content", "reasoning", "thinking_blocks"}
    ),
    "tool": frozenset({"role", "content", "tool_call_id", "cache_control"}),
}
_READ = frozenset({"role", "content", "cache_control"})
_decode = msgspec.json.Decoder().decode


class Turns:
    """Reads messages one after the other.

    Attributes:
        system: text blocks.
        turns: what Messages gets.
    """

    __slots__ = ("_calls", "_losses", "_results", "system", "turns")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._calls: dict[str, Call] = {}
        self._results = 0
        self.system: list[Json] = []
        self.turns: list[Json] = []

    def read(self, body: Json) -> None:
        """Take every message of the request.

        Raises:
            InvalidRequest: a message is not as OpenAI wants it, or cannot be carried (400).
        """
        at, role = "messages", ""
        for at, role, message in messages_of(body):
            note_unread(self._losses, message, _READ_BY_ROLE.get(role, _READ), at)
            if role == "assistant":
                self._say(role, self._assistant(message, at), at)
            elif role == "tool":
                self._result(message, at)
            elif role == "user":
                self._say(role, self._content(message, at, _USER_PARTS), at)
            else:
                self._instructions(message, at)
        if not self.turns:
            raise unsupported_content("messages", "the handler's API wants something beside instructions")
        if role == "assistant":
            self._losses.add(at, "changed", "the model goes on from it instead of answering it")

    def _instructions(self, message: Json, at: str) -> None:
        if self.turns:
            self._losses.add(at, "changed", "moved to the front: instructions stand before the conversation")
        self.system += self._content(message, at, TEXT_ONLY)

    def _assistant(self, message: Json, at: str) -> list[Json]:
        said = said_by(message, at)
        blocks = self._thinking(message, at)
        for kind, words in said:
            if kind == "refusal":
                self._losses.add(f"{at}.refusal", "changed", "sent as text")
            blocks += _text_block(words)
        for call in calls_of(message, at):
            self._calls[call.id] = call
            blocks.append({"type": "tool_use", "id": self._id(call), "name": call.name, "input": _input_of(call)})
        return _marked(blocks, message)

    def _thinking(self, message: Json, at: str) -> list[Json]:
        parts = thinking_blocks_of(message, at)
        if not parts and reasoning_of(message, at):
            self._losses.add(f"{at}.reasoning_content", "dropped", "the handler's API takes only signed reasoning")
        blocks: list[Json] = []
        for part in parts:
            if part.kind == "redacted_thinking":
                blocks.append({"type": part.kind, "data": part.fields["data"]})
            elif part.fields.get("signature"):
                blocks.append({key: part.fields[key] for key in ("type", "thinking", "signature")})
            else:
                self._losses.add(part.at, "dropped", "the handler's API takes only signed reasoning")
        return blocks

    def _result(self, message: Json, at: str) -> None:
        call = answered_by(message, at, self._calls)
        content = content_of(message, at, _TOOL_PARTS)
        block: Json = {"type": "tool_result", "tool_use_id": self._id(call)}
        if isinstance(content, str):
            if content.strip():
                block["content"] = content
        elif blocks := self._blocks(content):
            block["content"] = blocks
        self._say("user", _marked([block], message), at)

    def _say(self, role: str, blocks: list[Json], at: str) -> None:
        """Add to the last turn where it is of the same role, else begin a new one."""
        if not blocks:
            self._losses.add(at, "dropped", "there is nothing in it")
            return
        if not self.turns or self.turns[-1]["role"] != role:
            self._results = 0
            self.turns.append({"role": role, "content": []})
        content = self.turns[-1]["content"]
        if blocks[0]["type"] == "tool_result":
            content.insert(self._results, blocks[0])
            self._results += 1
        else:
            content += blocks

    def _content(self, message: Json, at: str, kinds: Collection[str]) -> list[Json]:
        content = content_of(message, at, kinds)
        blocks = _text_block(content) if isinstance(content, str) else self._blocks(content)
        return _marked(blocks, message)

    def _blocks(self, parts: list[Part]) -> list[Json]:
        blocks: list[Json] = []
        for part in parts:
            note_unread(self._losses, part.fields, ("type", part.kind, "cache_control"), part.at)
            block = block_of(part, self._losses)
            if block is not None:
                blocks += _marked([block], part.fields)
        return blocks

    def _id(self, call: Call) -> str:
        """The call's id, or one made of it where it has characters the API refuses."""
        if call.id.isascii() and call.id.replace("_", "").replace("-", "").isalnum():
            return call.id
        self._losses.add(f"{call.at.partition('.tool_calls')[0]}.tool_calls", "changed", "the id has odd characters")
        return f"toolu_{blake2b(call.id.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _text_block(text: str) -> list[Json]:
    return [{"type": "text", "text": text}] if text.strip() else []


def _marked(blocks: list[Json], holder: Json) -> list[Json]:
    """The blocks, the last of them with the cache mark that some chat clients set on messages and parts."""
    if holder.get("cache_control") is not None and blocks:
        return [*blocks[:-1], {**blocks[-1], "cache_control": holder["cache_control"]}]
    return blocks


def _input_of(call: Call) -> Any:
    """A call's arguments as an object; a custom call's text as its only field.

    Raises:
        InvalidRequest: the arguments are no JSON object (400).
    """
    if call.is_custom:
        return {"input": call.written}
    if not call.written.strip():
        return {}
    try:
        found = _decode(call.written)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
        raise wrong_value(call.at, "expected a JSON object, found what is no JSON") from exc
    if not isinstance(found, dict):
        raise wrong_value(call.at, f"expected a JSON object, found {call.written[:40]!r}")
    return found
