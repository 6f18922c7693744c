"""Changing a conversation on Responses: its instructions, its tools, and the turn that a tool loop adds.

Source: OpenAI API reference, "Create a model response" and guide "Function calling".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.types.chat_turns import call_made, is_system, joined
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.walk import objects


def own_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function tool in the flat form; without ``strict`` it is not strict, as on chat."""
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool if isinstance(tool, dict) else dict(tool)
    own = {key: value for key, value in tool.items() if key != "function"}
    own.update((key, value) for key, value in function.items() if value is not None)
    own.setdefault("parameters", {"type": "object", "properties": {}, "additionalProperties": False})
    own.setdefault("strict", False)
    return own


def instruct(request: Any, prompt: str, behavior: str) -> None:
    """Join a system prompt with ``instructions``, or with the first system item where there are none."""
    own = request.get("instructions")
    items = request.get("input")
    items = items if isinstance(items, list) else []
    position = next((i for i, item in enumerate(items) if is_system(item)), None)
    if behavior == "override":
        request["instructions"] = prompt
        if position is not None:
            request["input"] = [item for item in items if not is_system(item)]
    elif own or position is None:
        if not own:
            request["instructions"] = prompt
        elif behavior in {"prepend", "append"}:
            request["instructions"] = joined(own, prompt, behavior, part_type="input_text")
    elif behavior in {"prepend", "append"}:
        item = items[position]
        content = joined(item.get("content"), prompt, behavior, part_type="input_text")
        items[position] = {**item, "content": content}


def calls_of(reply: Any) -> list[ToolCall]:
    """Function calls of a response's output."""
    return [
        call_made(item["call_id"], item.get("name"), item.get("arguments"))
        for _, item in objects(reply.get("output"))
        if item.get("type") == "function_call" and isinstance(item.get("call_id"), str)
    ]


def answer_calls(request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
    """Append the reply's output and the results of its calls."""
    items = [dict(item) for _, item in objects(reply.get("output"))]
    outputs = [
        {"type": "function_call_output", "call_id": call_id, "output": _output(result.content)}
        for call_id, result in results.items()
    ]
    request.messages.extend([*items, *outputs])


def _output(content: str | list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    return content if isinstance(content, str) else [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """A content part of a ``tool`` message as one of a call's output; any other part as it is."""
    kind = part.get("type")
    inner = part.get(kind) if isinstance(kind, str) else None
    if kind == "text":
        return {**part, "type": "input_text"}
    if kind == "image_url":
        own = {"image_url": inner} if isinstance(inner, str) else _renamed(inner, "url", "image_url")
        return {"type": "input_image", "detail": "auto", **own}
    if kind == "file" and isinstance(inner, dict):
        return {"type": "input_file", **inner}
    return part


def _renamed(value: Any, old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: item for key, item in value.items()} if isinstance(value, dict) else {}
