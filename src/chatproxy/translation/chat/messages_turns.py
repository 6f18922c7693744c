"""A chat client's messages as the system prompt and the turns of a Messages request.

Rule: turns alternate, a tool's results open the user's turn, and nothing empty is sent: the API refuses all else.
Source: Anthropic API reference, "Messages", parameters ``system`` and ``messages``.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Any

import msgspec

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_MESSAGES, Json, Losses
from chatproxy.translation.chat import conversation
from chatproxy.translation.chat.messages_media import blocks_of, marked, text_blocks

_READ = {role: keys | {"cache_control"} for role, keys in conversation.READ.items()}
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]+")
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
        self._calls: dict[str, conversation.Call] = {}
        self._results = 0
        self.system: list[Json] = []
        self.turns: list[Json] = []

    def read(self, body: Json) -> None:
        """Take every message of the request."""
        at, role = "messages", ""
        for at, role, message in conversation.messages_of(body):
            self._losses.add_rest(message, _READ[role], at, NOT_ON_MESSAGES)
            if role == "assistant":
                self._say(role, self._assistant(message, at), at)
            elif role == "tool":
                self._result(message, at)
            elif role == "user":
                self._say(role, self._content(message, at), at)
            else:
                self._instructions(message, at)
        if not self.turns:
            raise checks.unsupported_content("messages", "the handler's API wants something beside instructions")
        if role == "assistant":
            self._losses.add(at, "changed", "the model goes on from it instead of answering it")

    def _instructions(self, message: Json, at: str) -> None:
        if self.turns:
            self._losses.add(at, "changed", "moved to the front: instructions stand before the conversation")
        self.system += self._content(message, at)

    def _assistant(self, message: Json, at: str) -> list[Json]:
        said = conversation.said_by(message, at)
        blocks = self._thinking(message, at)
        for kind, words in said:
            if kind == "refusal":
                self._losses.add(f"{at}.refusal", "changed", "sent as text")
            blocks += text_blocks(words)
        for call in conversation.calls_of(message, at):
            self._calls[call.id] = call
            blocks.append({"type": "tool_use", "id": self._id(call), "name": call.name, "input": _input_of(call)})
        return marked(blocks, message)

    def _thinking(self, message: Json, at: str) -> list[Json]:
        parts = conversation.thinking_blocks_of(message, at)
        if not parts and conversation.reasoning_of(message, at):
            self._losses.add(f"{at}.reasoning_content", "dropped", "Messages takes only signed reasoning")
        blocks: list[Json] = []
        for part in parts:
            if part.kind == "redacted_thinking":
                blocks.append({"type": part.kind, "data": part.fields["data"]})
            elif part.fields.get("signature"):
                blocks.append({key: part.fields[key] for key in ("type", "thinking", "signature")})
            else:
                self._losses.add(part.at, "dropped", "Messages takes only signed reasoning")
        return blocks

    def _result(self, message: Json, at: str) -> None:
        call = conversation.answered_by(message, at, self._calls)
        content = conversation.content_of(message, at)
        block: Json = {"type": "tool_result", "tool_use_id": self._id(call)}
        if isinstance(content, str):
            if content.strip():
                block["content"] = content
        elif blocks := blocks_of(content, self._losses):
            block["content"] = blocks
        self._say("user", marked([block], message), at)

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

    def _content(self, message: Json, at: str) -> list[Json]:
        content = conversation.content_of(message, at)
        blocks = text_blocks(content) if isinstance(content, str) else blocks_of(content, self._losses)
        return marked(blocks, message)

    def _id(self, call: conversation.Call) -> str:
        """The call's id, or one made of it where it has characters the API refuses."""
        if _PLAIN_ID.fullmatch(call.id):
            return call.id
        self._losses.add(f"{call.at.partition('.tool_calls')[0]}.tool_calls", "changed", "the id has odd characters")
        return f"toolu_{blake2b(call.id.encode('utf-8', 'surrogatepass'), digest_size=12).hexdigest()}"


def _input_of(call: conversation.Call) -> Any:
    """A call's arguments as an object; a custom call's text as its only field."""
    if call.is_custom:
        return {"input": call.written}
    if not call.written.strip():
        return {}
    try:
        found = _decode(call.written)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as exc:
        raise checks.wrong_value(call.at, "expected a JSON object, found what is no JSON") from exc
    if not isinstance(found, dict):
        raise checks.wrong_value(call.at, f"expected a JSON object, found {call.written[:40]!r}")
    return found
