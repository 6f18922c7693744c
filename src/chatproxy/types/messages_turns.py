"""Changing an Anthropic conversation: its system prompt, its tools, and the turns that a tool loop adds.

Source: Anthropic API reference, "Create a Message": ``system``, ``tools``, and blocks ``tool_use`` and ``tool_result``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy.types.chat_turns import call_made, is_system, joined
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.walk import objects


def own_tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A chat function tool as one of Anthropic's; its other fields (``cache_control``, …) stay."""
    function = tool.get("function")
    if tool.get("type") != "function" or not isinstance(function, Mapping):
        return tool if isinstance(tool, dict) else dict(tool)
    parameters = function.get("parameters")
    made = {key: value for key, value in function.items() if key != "parameters"}
    made["input_schema"] = {"type": "object", "properties": {}} if parameters is None else parameters
    return {**{key: value for key, value in tool.items() if key not in {"type", "function"}}, **made}


def instruct(request: Any, prompt: str, behavior: str) -> None:
    """Join a system prompt with the field ``system``; see `ChatRequest.instruct`.

    Messages of role ``system`` count as one that the request has, and ``override`` takes them out.
    """
    own = request.get("system")
    messages = request.get("messages")
    has_message = isinstance(messages, list) and any(is_system(message) for message in messages)
    if behavior == "override":
        request["system"] = prompt
        if has_message:
            request["messages"] = [message for message in messages if not is_system(message)]
    elif behavior in {"prepend", "append"}:
        request["system"] = joined(own, prompt, behavior)
    elif not own and not has_message:
        request["system"] = prompt


def calls_of(reply: Any) -> list[ToolCall]:
    """The calls in a reply that a client is to run: its blocks ``tool_use``."""
    return [
        call_made(block["id"], block.get("name"), block.get("input"))
        for _, block in objects(reply.get("content"))
        if block.get("type") == "tool_use" and isinstance(block.get("id"), str)
    ]


def answer_calls(request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
    """Append the assistant's turn and one of the user with the results of its calls."""
    content = reply.get("content")
    said = [_sayable(block) for block in content] if isinstance(content, list) else content
    request.messages.append({"role": "assistant", "content": said})
    blocks = [_result_block(call_id, result) for call_id, result in results.items()]
    if blocks:
        request.messages.append({"role": "user", "content": blocks})


def _sayable(block: Any) -> Any:
    """A block as it can be said again: what a model wrote in place of an object is no input, and is shown as such.

    Source: Anthropic documentation, "Fine-grained tool streaming", invalid JSON.
    """
    if not isinstance(block, dict) or block.get("type") != "tool_use" or isinstance(block.get("input"), dict):
        return block
    written = block.get("input")
    made = call_made("", "", written)
    return {**block, "input": made.arguments if made.malformed is None else {"INVALID_JSON": str(written)}}


def _result_block(call_id: str, result: ToolResult) -> dict[str, Any]:
    content = result.content
    said = content if isinstance(content, str) else [_block_of(part) for part in content]
    block = {"type": "tool_result", "tool_use_id": call_id, "content": said}
    return {**block, "is_error": True} if result.is_error else block


def _block_of(part: dict[str, Any]) -> dict[str, Any]:
    """The block for one of chat's content parts; what is none of them stays as it is."""
    image = part.get("image_url")
    url = image.get("url") if isinstance(image, dict) else image
    if part.get("type") != "image_url" or not isinstance(url, str):
        return part
    head, is_inline, data = url.partition(";base64,")
    if is_inline and head.startswith("data:"):
        media_type = head.removeprefix("data:").partition(";")[0]
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    return {"type": "image", "source": {"type": "url", "url": url}}
