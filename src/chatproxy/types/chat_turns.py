"""Changing a chat conversation: its system prompt, and the turn that a tool loop adds.

Source: OpenAI API reference, "Create chat completion", messages of role ``system``, ``assistant`` and ``tool``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest
from chatproxy.types.body import check_json
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
    return call_made(call["id"], function.get("name"), function.get("arguments"))


def call_made(call_id: str, name: Any, written: Any) -> ToolCall:
    """A call with the arguments that a model wrote: JSON text, or an object where the surface has those."""
    arguments = written if isinstance(written, dict) else _arguments_in(written)
    malformed = None if arguments is not None else str(written)
    return ToolCall(id=call_id, name=str(name or ""), arguments=arguments or {}, malformed=malformed)


def _arguments_in(written: Any) -> dict[str, Any] | None:
    """Arguments out of JSON text, where nothing is an empty object; None where it holds no object."""
    try:
        data = (written or "{}").encode()
        check_json(data)
        value = msgspec.json.decode(data)
    except (AttributeError, InvalidRequest, UnicodeEncodeError):
        return None
    return value if isinstance(value, dict) else None


def answer_calls(request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
    """Append the assistant's message, the results of its calls, and one message that shows their media."""
    for _, choice in objects(reply.get("choices")):
        request.messages.append(_sayable(choice.get("message") or {}))
        break
    shown: list[Any] = []
    for call_id, result in results.items():
        message, media = tool_message(call_id, result)
        request.messages.append(message)
        shown += media
    if shown:
        request.messages.append({"role": "user", "content": shown})


def tool_message(call_id: str, result: ToolResult) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A result as a message of role ``tool``, which can hold text only, and its other parts for one of the user.

    Source: OpenAI API reference, "Create chat completion", "Tool message", ``content``.
    """
    message: dict[str, Any] = {"role": "tool", "tool_call_id": call_id, "content": result.content}
    if isinstance(result.content, str) or all(part.get("type") == "text" for part in result.content):
        return message, []
    said = [part for part in result.content if part.get("type") == "text"]
    media = [part for part in result.content if part.get("type") != "text"]
    message["content"] = [*said, {"type": "text", "text": "[What this call returned beside text is shown below.]"}]
    return message, [{"type": "text", "text": f"[Returned by the tool call {call_id}:]"}, *media]


def _sayable(message: dict[str, Any]) -> dict[str, Any]:
    """A turn as it can be said again: templates of some servers read the arguments, which must be JSON objects."""
    made = dict(message)
    if isinstance(calls := made.get("tool_calls"), list):
        made["tool_calls"] = [_sayable_call(call) for call in calls]
    return made


def _sayable_call(call: Any) -> Any:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or _arguments_in(function.get("arguments")) is not None:
        return call
    text = str(function.get("arguments")).encode("utf-8", "replace").decode()
    written = msgspec.json.encode({"INVALID_JSON": text}).decode()
    return {**call, "function": {**function, "arguments": written}}
