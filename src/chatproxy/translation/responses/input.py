"""Input items of the Responses API as chat messages.

Rule: what a model said in a row (reasoning, message, calls) is one assistant message; nothing is put out of order,
but for images in a tool's result, which chat takes from a user only.
Source: OpenAI API reference, "Create a model response" (``input``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.responses.content import input_content, instruction_content, others, output_parts, plain
from chatproxy.translation.responses.reasoning import read_reasoning
from chatproxy.translation.responses.shapes import (
    missing,
    unsupported_content,
    want_object,
    want_text,
    wrong_type,
    wrong_value,
)

_MESSAGE_KEYS = frozenset({"type", "role", "content", "id", "status", "phase"})
_CALL_KEYS = frozenset(
    {"type", "id", "status", "call_id", "name", "arguments", "input", "namespace", "caller", "async"}
)
_FORGOTTEN = frozenset({"web_search_call", "file_search_call", "mcp_list_tools"})
_HOSTED = frozenset(
    {
        *("computer_call", "computer_call_output", "code_interpreter_call", "image_generation_call"),
        *("local_shell_call", "local_shell_call_output", "shell_call", "shell_call_output"),
        *("apply_patch_call", "apply_patch_call_output", "tool_search_call", "tool_search_output"),
        *("mcp_call", "mcp_approval_request", "mcp_approval_response", "program", "program_output"),
        *("additional_tools", "configuration_update", "compaction", "compaction_trigger"),
    }
)


def messages_of(value: Any, losses: Losses, *, instructions: str | None, hub: bool) -> list[Json]:
    """The chat messages of a request.

    Args:
        value: the request's ``input``.
        hub: also carry signed reasoning, as ``thinking_blocks``.

    Raises:
        InvalidRequest: a wrong item, an orphan tool result, or an item that chat cannot carry (400).
    """
    messages: list[Json] = [] if instructions is None else [{"role": "system", "content": instructions}]
    if isinstance(value, str):
        messages.append({"role": "user", "content": value})
        return messages
    if value is None:
        raise missing("input")
    if not isinstance(value, list):
        raise wrong_type("input", "a string or an array of items", value)
    conversation = _Conversation(messages, losses, hub=hub)
    for i, item in enumerate(value):
        conversation.add(want_object(item, f"input[{i}]"), f"input[{i}]")
    conversation.flush()
    return messages


class _Turn:
    """What a model said in a row."""

    __slots__ = ("calls", "extra", "parts", "reasoning", "thinking")

    def __init__(self) -> None:
        self.parts: list[Json] = []
        self.reasoning: list[str] = []
        self.thinking: list[Json] = []
        self.calls: list[Json] = []
        self.extra: Json = {}

    def message(self) -> Json:
        content = None if self.calls and not self.parts else plain(self.parts)
        message = {"role": "assistant", "content": content, **self.extra}
        if self.reasoning:
            message["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.thinking:
            message["thinking_blocks"] = self.thinking
        if self.calls:
            message["tool_calls"] = self.calls
        return message


class _Conversation:
    """Adds one item after the other to the messages."""

    __slots__ = ("_call_ids", "_hub", "_losses", "_media", "_messages", "_turn")

    def __init__(self, messages: list[Json], losses: Losses, *, hub: bool) -> None:
        self._messages = messages
        self._losses = losses
        self._hub = hub
        self._turn: _Turn | None = None
        self._media: list[Json] = []
        self._call_ids: set[str] = set()

    def add(self, item: Json, param: str) -> None:
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference" if "id" in item else None
        add = _ITEMS.get(kind) if isinstance(kind, str) else None
        if add is not None:
            add(self, item, param)
        elif kind is None:
            raise missing(f"{param}.type")
        elif not isinstance(kind, str):
            raise wrong_type(f"{param}.type", "a string", kind)
        elif kind in _FORGOTTEN:
            self._losses.add(param, "dropped", f"chat completions have no '{kind}' items")
        elif kind in _HOSTED:
            raise unsupported_content(param, f"a model behind chat completions cannot be given '{kind}' items.")
        else:
            raise wrong_value(f"{param}.type", f"expected one of {_WANTED}, found '{kind[:40]}'.")

    def flush(self) -> None:
        """End the model's turn and the tools' results."""
        if self._turn is not None:
            self._messages.append(self._turn.message())
            self._turn = None
        if self._media:
            self._messages.append({"role": "user", "content": self._media})
            self._media = []

    def message(self, item: Json, param: str) -> None:
        role = item.get("role")
        if role == "assistant":
            self._assistant(item, param)
        elif role in ("user", "system", "developer"):
            self.flush()
            read = input_content if role == "user" else instruction_content
            content = read(item.get("content"), f"{param}.content", self._losses)
            self._messages.append({"role": role, "content": content, **others(item, _MESSAGE_KEYS)})
        elif role is None:
            raise missing(f"{param}.role")
        elif isinstance(role, str):
            wanted = "'user', 'assistant', 'system' or 'developer'"
            raise wrong_value(f"{param}.role", f"expected {wanted}, found '{role[:40]}'.")
        else:
            raise wrong_type(f"{param}.role", "a string", role)

    def _assistant(self, item: Json, param: str) -> None:
        turn = self._open()
        turn.parts += output_parts(item.get("content"), f"{param}.content", self._losses)
        turn.extra |= others(item, _MESSAGE_KEYS)
        if item.get("phase") is not None:
            self._losses.add(f"{param}.phase", "dropped", "messages of chat completions have no phase")

    def reasoning(self, item: Json, param: str) -> None:
        text, thinking = read_reasoning(item, param, self._losses, hub=self._hub)
        if text is not None or thinking is not None:
            turn = self._open()
            if text is not None:
                turn.reasoning.append(text)
            if thinking is not None:
                turn.thinking.append(thinking)

    def function_call(self, item: Json, param: str) -> None:
        function = {"name": want_text(item, "name", param), "arguments": want_text(item, "arguments", param)}
        self._call(item, param, {"type": "function", "function": function})

    def custom_call(self, item: Json, param: str) -> None:
        custom = {"name": want_text(item, "name", param), "input": want_text(item, "input", param)}
        self._call(item, param, {"type": "custom", "custom": custom})

    def _call(self, item: Json, param: str, call: Json) -> None:
        call_id = want_text(item, "call_id", param)
        for key in ("namespace", "caller", "async"):
            if item.get(key):
                self._losses.add(f"{param}.{key}", "dropped", "calls on chat completions have none")
        self._call_ids.add(call_id)
        self._open().calls.append({"id": call_id, **call, **others(item, _CALL_KEYS)})

    def output(self, item: Json, param: str) -> None:
        call_id = want_text(item, "call_id", param)
        if call_id not in self._call_ids:
            raise wrong_value(f"{param}.call_id", f"no call with the id '{call_id[:80]}' comes before this output.")
        if self._turn is not None:
            self.flush()
        content = input_content(item.get("output"), f"{param}.output", self._losses)
        if not isinstance(content, str):
            content = self._texts(content, f"{param}.output")
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _texts(self, parts: list[Json], param: str) -> str | list[Json]:
        """The texts of a tool's result; what else there is waits for a message of the user's after the results."""
        texts = []
        for i, part in enumerate(parts):
            if part["type"] == "text":
                texts.append(part)
            else:
                self._media.append(part)
                self._losses.add(f"{param}[{i}]", "changed", "sent as a user's, since results hold text only")
        return plain(texts)

    def reference(self, item: Json, param: str) -> None:
        shown = str(item.get("id"))[:80]
        raise unsupported_content(param, f"items cannot be referred to here; send the item '{shown}' itself.")

    def _open(self) -> _Turn:
        if self._turn is None:
            self.flush()
            self._turn = _Turn()
        return self._turn


_ITEMS: Mapping[str, Callable[[_Conversation, Json, str], None]] = {
    "message": _Conversation.message,
    "reasoning": _Conversation.reasoning,
    "function_call": _Conversation.function_call,
    "function_call_output": _Conversation.output,
    "custom_tool_call": _Conversation.custom_call,
    "custom_tool_call_output": _Conversation.output,
    "item_reference": _Conversation.reference,
}
_WANTED = ", ".join(f"'{kind}'" for kind in _ITEMS)
