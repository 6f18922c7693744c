"""Input items of the Responses API as chat messages.

Rule: what a model said in a row (reasoning, message, calls) is one assistant message; nothing is put out of order,
but for images in a tool's result, which chat takes from a user only.
Source: OpenAI API reference, "Create a model response" (``input``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import msgspec

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_CHAT, Json, Losses
from chatproxy.translation.hub import Turn
from chatproxy.translation.responses.content import input_content, instruction_content, others, output_parts, plain
from chatproxy.translation.responses.reasoning import read_reasoning

_ROLES = ("user", "assistant", "system", "developer")
_MESSAGE_KEYS = frozenset({"type", "role", "content", "id", "status", "phase"})
_NOT_OF_CALLS = ("namespace", "caller", "async")
_CALL_KEYS = frozenset({"type", "id", "status", "call_id", "name", "arguments", "input", *_NOT_OF_CALLS})
_FORGOTTEN = frozenset({"web_search_call", "file_search_call", "mcp_list_tools"})
_HOSTED = frozenset({
    "computer_call", "computer_call_output", "code_interpreter_call", "image_generation_call", "local_shell_call",
    "local_shell_call_output", "shell_call", "shell_call_output", "apply_patch_call", "apply_patch_call_output",
    "tool_search_call", "tool_search_output", "mcp_call", "mcp_approval_request", "mcp_approval_response", "program",
    "program_output", "additional_tools", "configuration_update", "compaction", "compaction_trigger",
})  # fmt: skip


class _Turn(Turn):
    """What a model said in a row; ``extra`` are keys that OpenAI does not know."""

    parts: list[Json] = msgspec.field(default_factory=list)
    extra: Json = msgspec.field(default_factory=dict)


class Conversation:
    """Adds one item after the other to the messages.

    Args:
        hub: also carry signed reasoning, as ``thinking_blocks``.

    Attributes:
        messages: chat messages.
        origins: for each of them, the client's path it came from, for example ``input[2]``.
    """

    __slots__ = ("_call_ids", "_hub", "_instructing", "_losses", "_media", "_turn", "messages", "origins")

    def __init__(self, losses: Losses, *, hub: bool) -> None:
        self._losses = losses
        self._hub = hub
        self._turn: _Turn | None = None
        self._media: list[Json] = []
        self._call_ids: set[str] = set()
        self._instructing = ""  # the role of items that instruct
        self.messages: list[Json] = []
        self.origins: list[str] = []

    def read(self, body: Json) -> None:
        """Take instructions and input of a request."""
        instructions = checks.optional_text(body, "instructions", "")
        if instructions:
            self._add({"role": "system", "content": instructions}, "instructions")
        content = checks.want_content(body.get("input"), "input")
        if isinstance(content, str):
            self._add({"role": "user", "content": content}, "input")
            return
        for item, at in checks.want_objects(content, "input"):
            self._read(item, at)
        self._flush("input")
        if instructions and self._instructing:
            self.messages[0]["role"] = self._instructing

    def _add(self, message: Json, at: str) -> None:
        self.messages.append(message)
        self.origins.append(at)

    def _read(self, item: Json, at: str) -> None:
        if item.get("type") is None and ("role" in item or "id" in item):
            kind = "message" if "role" in item else "item_reference"
        else:
            kind = checks.want_text(item, "type", at)
        if kind in _FORGOTTEN:
            self._losses.add(at, "dropped", f"'{kind}' items: {NOT_ON_CHAT}")
        elif kind in _HOSTED:
            raise checks.unsupported_content(at, f"a model behind chat completions cannot be given '{kind}' items")
        else:
            self._ITEMS[checks.one_of(self._ITEMS, kind, f"{at}.type")](self, item, at)

    def _flush(self, at: str) -> None:
        """End the model's turn and the tools' results."""
        if self._turn is not None:
            turn = self._turn
            self._add({**turn.extra, **turn.message(plain(turn.parts))}, turn.origin)
            self._turn = None
        if self._media:
            self._add({"role": "user", "content": self._media}, at)
            self._media = []

    def _message(self, item: Json, at: str) -> None:
        role = checks.want_word(item, "role", _ROLES, at)
        if role == "assistant":
            self._assistant(item, at)
            return
        self._flush(at)
        if role != "user":
            self._instructing = checks.same_role(self._instructing, role, at)
        read = input_content if role == "user" else instruction_content
        content = read(item.get("content"), f"{at}.content", self._losses)
        self._add({"role": role, "content": content, **others(item, _MESSAGE_KEYS)}, at)

    def _assistant(self, item: Json, at: str) -> None:
        turn = self._open(at)
        turn.parts += output_parts(item.get("content"), f"{at}.content", self._losses)
        turn.extra |= others(item, _MESSAGE_KEYS)
        if item.get("phase") is not None:
            self._losses.add(f"{at}.phase", "dropped", NOT_ON_CHAT)

    def _reasoning(self, item: Json, at: str) -> None:
        text, thinking = read_reasoning(item, at, self._losses, hub=self._hub)
        if text:
            self._open(at).reasoning.append(text)
        if thinking is not None:
            self._open(at).thinking.append(thinking)

    def _function_call(self, item: Json, at: str) -> None:
        function = {"name": checks.want_text(item, "name", at), "arguments": checks.want_text(item, "arguments", at)}
        self._call(item, at, {"type": "function", "function": function})

    def _custom_call(self, item: Json, at: str) -> None:
        custom = {"name": checks.want_text(item, "name", at), "input": checks.want_text(item, "input", at)}
        self._call(item, at, {"type": "custom", "custom": custom})

    def _call(self, item: Json, at: str, call: Json) -> None:
        call_id = checks.want_text(item, "call_id", at)
        for key in _NOT_OF_CALLS:
            if item.get(key):
                self._losses.add(f"{at}.{key}", "dropped", NOT_ON_CHAT)
        self._call_ids.add(call_id)
        self._open(at).calls.append({"id": call_id, **call, **others(item, _CALL_KEYS)})

    def _output(self, item: Json, at: str) -> None:
        call_id = checks.want_text(item, "call_id", at)
        if call_id not in self._call_ids:
            raise checks.wrong_value(f"{at}.call_id", f"no call with the id {call_id[:80]!r} comes before this output")
        if self._turn is not None:
            self._flush(at)
        content = input_content(item.get("output"), f"{at}.output", self._losses)
        if not isinstance(content, str):
            content = self._texts(content, f"{at}.output")
        self._add({"role": "tool", "tool_call_id": call_id, "content": content}, at)

    def _texts(self, parts: list[Json], at: str) -> str | list[Json]:
        """The texts of a tool's result; what else there is waits for a message of the user's after the results."""
        texts = []
        for i, part in enumerate(parts):
            if part["type"] == "text":
                texts.append(part)
            else:
                self._media.append(part)
                self._losses.add(f"{at}[{i}]", "changed", "chat's tool results are text; moved to a user message")
        return plain(texts)

    def _reference(self, item: Json, at: str) -> None:
        shown = str(item.get("id"))[:80]
        raise checks.unsupported_content(at, f"items cannot be referred to here; send the item '{shown}' itself")

    def _open(self, at: str) -> _Turn:
        if self._turn is None:
            self._flush(at)
            self._turn = _Turn(at)
        return self._turn

    _ITEMS: ClassVar[Mapping[str, Callable[[Conversation, Json, str], None]]] = {
        "message": _message,
        "reasoning": _reasoning,
        "function_call": _function_call,
        "function_call_output": _output,
        "custom_tool_call": _custom_call,
        "custom_tool_call_output": _output,
        "item_reference": _reference,
    }
