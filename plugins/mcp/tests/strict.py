"""What OpenAI and Anthropic refuse in a conversation with tools.

Source: their error messages, e.g. "An assistant message with 'tool_calls' must be followed by tool messages responding
to each 'tool_call_id'.", "No tool call found for function call output with call_id …" and "`tool_use` ids were found
without `tool_result` blocks immediately after".
"""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
_CONTROLS = ("mcp_servers", "allowed_tools", "mcp_progress")
_ITEMS = {"message", "function_call", "function_call_output", "reasoning", "item_reference"}


def fault_of(surface: str, body: Json) -> str | None:
    """The first fault of a request; None: it is accepted."""
    if left := [name for name in _CONTROLS if name in body]:
        return f"Unrecognized request argument supplied: {left[0]}"
    for tool in body.get("tools") or ():
        function = tool.get("function", tool)
        kind = tool.get("type", "custom")
        if kind not in {"function", "custom"} or not _NAME.fullmatch(str(function.get("name"))):
            return f"Invalid tool: {tool}"
    names = [tool.get("function", tool)["name"] for tool in body.get("tools") or ()]
    if len(names) != len(set(names)):
        return "tools: Tool names must be unique."
    if surface == "responses":
        if "previous_response_id" in body:
            return "Previous response not found; the gateway keeps conversations itself."
        return _items(body["input"] if isinstance(body["input"], list) else [])
    return _messages(body["messages"]) if surface == "messages" else _chat(body["messages"])


def _chat(messages: list[Json]) -> str | None:
    open_ids: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_ids:
                return f"tool_call_id '{message['tool_call_id']}' does not follow its call"
            open_ids.remove(message["tool_call_id"])
            continue
        if open_ids:
            return f"tool calls without tool messages after them: {open_ids}"
        calls = message.get("tool_calls")
        if calls == [] or (calls is None and message.get("content") is None):
            return f"an empty message of the {message['role']}"
        open_ids = [call["id"] for call in calls or ()]
    return f"tool calls without tool messages after them: {open_ids}" if open_ids else None


def _items(items: list[Json]) -> str | None:
    calls: set[str] = set()
    answered: set[str] = set()
    for item in items:
        kind = item.get("type", "message")
        if kind not in _ITEMS:
            return f"Invalid value: '{kind}'."
        if kind == "function_call":
            if item["call_id"] in calls:
                return f"Duplicate function call with call_id {item['call_id']}."
            calls.add(item["call_id"])
        if kind == "function_call_output":
            if item["call_id"] not in calls:
                return f"No tool call found for function call output with call_id {item['call_id']}."
            if item["call_id"] in answered:
                return f"Duplicate output for call_id {item['call_id']}."
            answered.add(item["call_id"])
    if calls - answered:
        return f"No tool output found for function call {sorted(calls - answered)}."
    return None


def _messages(messages: list[Json]) -> str | None:
    open_ids: set[str] = set()
    for message in messages:
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if set(results) != open_ids or len(results) != len(open_ids):
            return f"tool_use ids {sorted(open_ids)} are followed by tool_result blocks {results}"
        if results and any(block["type"] != "tool_result" for block in blocks[: len(results)]):
            return "tool_result blocks must come first"
        if message["content"] in ([], ""):
            return "content must not be empty"
        open_ids = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return f"tool_use ids {sorted(open_ids)} without tool_result blocks" if open_ids else None
