"""Changing a chat conversation: its system prompt, and the turn that a tool loop adds.

Source: OpenAI API reference, "Create chat completion", messages of role ``system``, ``assistant`` and ``tool``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.walk import objects


def instruct(request: Any, prompt: str, behavior: str) -> None:
    """Join a system prompt with the messages' own; see `ChatRequest.instruct`."""
    messages = request.messages
    position = next((i for i, message in enumerate(messages) if is_system(message)), None)
    if behavior == "override":
        request.messages = [{"role": "system", "content": prompt}, *(m for m in messages if not is_system(m))]
    elif position is None:
        messages.insert(0, {"role": "system", "content": prompt})
    elif behavior in {"prepend", "append"}:
        message = messages[position]
        messages[position] = {**message, "content": joined(message.get("content"), prompt, behavior)}


def is_system(message: Any) -> bool:
    """Whether a message instructs the model."""
    return isinstance(message, dict) and message.get("role") in {"system", "developer"}


def joined(content: Any, prompt: str, behavior: str, *, part_type: str = "text") -> Any:
    """A system prompt before or after what is there, text or parts."""
    if isinstance(content, list):
        part = {"type": part_type, "text": prompt}
        return [part, *content] if behavior == "prepend" else [*content, part]
    own = content if isinstance(content, str) else ""
    parts = [prompt, own] if behavior == "prepend" else [own, prompt]
    return "\n\n".join(part for part in parts if part)


def calls_of(reply: Any) -> list[ToolCall]:
    """Function calls of a completion's first choice."""
    for _, choice in objects(reply.get("choices")):
        message = choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        return [made for _, call in objects(calls) if (made := _call(call)) is not None]
    return []


def _call(call: dict[str, Any]) -> ToolCall | None:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(call.get("id"), str):
        return None
    return ToolCall(id=call["id"], name=str(function.get("name", "")), arguments=decode_arguments(function))


def decode_arguments(function: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call; none at all where the model wrote something else than a JSON object."""
    try:
        value = msgspec.json.decode(function.get("arguments") or "{}")
    except (msgspec.DecodeError, TypeError, UnicodeEncodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def answer_calls(request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
    """Append the assistant's message and the results of its calls."""
    for _, choice in objects(reply.get("choices")):
        request.messages.append(dict(choice.get("message") or {}))
        break
    for call_id, result in results.items():
        request.messages.append({"role": "tool", "tool_call_id": call_id, "content": result.content})
