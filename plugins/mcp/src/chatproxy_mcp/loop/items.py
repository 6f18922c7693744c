"""Items: OpenAI's ``mcp_*`` items of the responses surface, into what any model understands and out of it.

A client that offers a tool of type ``mcp`` gets such items and sends them back; no upstream knows those of the gateway.
Source: OpenAI API reference, "Create a model response": items ``mcp_list_tools``, ``mcp_call``,
``mcp_approval_request`` and ``mcp_approval_response``; guide "Connectors and MCP servers".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from chatproxy import ChatRequest, ToolCall
from chatproxy_mcp.calling.caller import Called
from chatproxy_mcp.catalogue.names import offered_name
from chatproxy_mcp.tool import Tool

Json = dict[str, Any]
_SURFACE = "responses"
_CALL, _REQUEST = "mcp_", "mcpr_"
_encode = msgspec.json.Encoder().encode


def call_item(call: ToolCall, tool: Tool, label: str, called: Called | None, approval: str | None = None) -> Json:
    """A call, as it begins (``called`` None) or as it ended."""
    failed = called is not None and called.error is not None
    return {
        "type": "mcp_call",
        "id": _CALL + call.id,
        "approval_request_id": approval,
        "arguments": _encode(call.arguments).decode(),
        "error": _error(called.error or "") if called is not None and failed else None,
        "name": tool.name,
        "output": called.output if called is not None and not failed else None,
        "server_label": label,
        "status": "in_progress" if called is None else "failed" if failed else "completed",
    }


def request_item(call: ToolCall, tool: Tool, label: str) -> Json:
    """A call that waits for the client's word."""
    return {
        "type": "mcp_approval_request",
        "id": _REQUEST + call.id,
        "arguments": _encode(call.arguments).decode(),
        "name": tool.name,
        "server_label": label,
    }


def request_id(call_id: str) -> str:
    """The id of the item by which the client was asked about a call."""
    return _REQUEST + call_id


def list_item(response_id: str, label: str, tools: Iterable[Tool]) -> Json:
    """The tools of a server."""
    return {
        "type": "mcp_list_tools",
        "id": f"mcpl_{response_id}_{label}",
        "server_label": label,
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": tool.parameters,
                "annotations": tool.annotations or None,
            }
            for tool in tools
        ],
        "error": None,
    }


def listed_in(request: ChatRequest) -> set[str]:
    """The servers whose tools the client has been shown, by their labels."""
    if request.layout.surface != _SURFACE or not request.mentions("input", b"mcp_list_tools"):
        return set()
    items = request.messages
    return {str(item.get("server_label")) for item in items if _type_of(item) == "mcp_list_tools"}


def translate(request: ChatRequest, names: Mapping[str, str]) -> None:
    """Put calls and their results in place of the items that a client sent back.

    Args:
        names: by a server's label: what the gateway calls it.
    """
    if request.layout.surface != _SURFACE or not request.mentions("input", b"mcp_"):
        return
    items = request.messages
    if not any(_type_of(item).startswith("mcp_") for item in items):
        return
    run = {_asked(item): item for item in items if _type_of(item) == "mcp_call"}
    answered = {_asked(item) for item in items if _type_of(item) == "mcp_approval_response"} - {""}
    made: list[Json] = []
    for item in items:
        made += _translated(item, names, run, answered)
    request.messages = made


def leave_out_lone_reasoning(request: ChatRequest) -> None:
    """Leave out reasoning whose call was hidden, which a client sends back with nothing behind it.

    OpenAI refuses such a conversation: "Item 'rs_…' of type 'reasoning' was provided without its required following
    item."
    """
    if not (request.mentions("input", b"reasoning") or request.mentions("input", b"rs_")):
        return
    items = request.messages
    kept = [item for item, after in zip(items, [*items[1:], None], strict=True) if not _is_alone(item, after)]
    if len(kept) < len(items):
        request.messages = kept


def _is_alone(item: Any, after: Any) -> bool:
    if not _is_reasoning(item):
        return False
    return after is None or _is_reasoning(after) or (isinstance(after, dict) and after.get("role") == "user")


def _is_reasoning(item: Any) -> bool:
    """Whether an item is reasoning, or refers to some."""
    if _type_of(item) == "item_reference":
        return str(item.get("id")).startswith("rs_")
    return _type_of(item) == "reasoning"


def _translated(item: Json, names: Mapping[str, str], run: Mapping[str, Json], answered: set[str]) -> list[Json]:
    kind = _type_of(item)
    if not kind.startswith("mcp_"):
        return [item]
    item_id = str(item.get("id"))
    if kind == "mcp_call":
        if _asked(item) in answered:
            return []  # said where it was asked for
        call_id = item_id.removeprefix(_CALL)
        return [_function_call(item, call_id, names), _output(call_id, _said(item))]
    if kind == "mcp_approval_request" and item_id in answered:
        return [_function_call(item, item_id.removeprefix(_REQUEST), names)]
    if kind == "mcp_approval_response":
        asked = _asked(item)
        call_id = asked.removeprefix(_REQUEST)
        if asked and asked in run:
            return [_output(call_id, _said(run[asked]))]
        word = {"approve": item.get("approve") is True, "reason": item.get("reason")}
        return [_output(call_id, _encode(word).decode())]
    return []


def _function_call(item: Json, call_id: str, names: Mapping[str, str]) -> Json:
    label = str(item.get("server_label"))
    name = offered_name(names.get(label, label), str(item.get("name")))
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": str(item.get("arguments") or "{}")}


def _output(call_id: str, output: str) -> Json:
    return {"type": "function_call_output", "call_id": call_id, "output": output}


def _error(message: str) -> Json:
    """A failure as OpenAI's items have it; the same for all kinds, since the model is told of them in one way."""
    return {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": message}]}


def _said(item: Json) -> str:
    """What the model is told of a call that was run; an error may be a text or one of several objects."""
    error = item.get("error")
    if error is None:
        return str(item.get("output") or "")
    if isinstance(error, dict):
        content = error.get("content")
        parts = content if isinstance(content, list) else []
        texts = [part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str)]
        error = "\n".join(texts) or error.get("message") or error
    return error if isinstance(error, str) else _encode(error).decode()


def _asked(item: Json) -> str:
    """The id of the item by which the client was asked; empty where there is none."""
    asked = item.get("approval_request_id")
    return asked if isinstance(asked, str) else ""


def _type_of(item: Any) -> str:
    kind = item.get("type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else ""
