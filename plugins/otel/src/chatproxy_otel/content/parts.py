"""Parts of messages in the conventions' form, from what stands in a message or an item of any surface.

Rule: one table by the part's type for all surfaces, since servers read each other's. What no rule knows is shown by its
texts alone. Signatures and encrypted data are left out. Nothing is cleaned here.
Source: OpenTelemetry GenAI conventions, schemas of input and output messages.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chatproxy_otel.content.media import Part, media_parts

MAX_PARTS = 1_000
_TEXT_KEYS = ("text", "content", "refusal", "value", "transcript", "title", "context", "output")
_OPAQUE = frozenset({
    "encrypted_content", "encrypted_index", "encrypted_stdout", "signature", "b64_json", "partial_image_b64", "data",
})  # fmt: skip
_CONTENT = frozenset({
    "text", "input_text", "output_text", "refusal", "document", "search_result", "image", "image_url", "input_image",
    "computer_screenshot", "input_audio", "audio", "file", "input_file", "video_url",
})  # fmt: skip
_decode = msgspec.json.Decoder().decode


def parts_of(content: Any) -> list[Part]:
    """Parts of a message's content: a text, an object, or a list of both."""
    if isinstance(content, str):
        return [text_part(content)] if content else []
    if isinstance(content, dict):
        return part_of(content)
    if isinstance(content, list):
        return [part for item in content[:MAX_PARTS] if not isinstance(item, list) for part in parts_of(item)]
    return []


def part_of(part: dict[str, Any]) -> list[Part]:
    """What one content part, block or item becomes; most become one part."""
    kind = part.get("type")
    if not isinstance(kind, str):
        return _unknown(part)
    known = _KINDS.get(kind)
    if known is not None:
        return known(part)
    if kind.endswith("tool_result"):
        return _server_response(part, part.get("tool_use_id"), part.get("content"))
    if kind.endswith("_call"):
        return _server_call(part)
    if kind.endswith("_call_output"):
        return [response_part(_id_of(part), part.get("output"))]
    return media_parts(part) or _unknown(part)


def text_part(text: str) -> Part:
    """A text."""
    return {"type": "text", "content": text}


def reasoning_part(text: str) -> Part:
    """What a model thought."""
    return {"type": "reasoning", "content": text}


def call_part(call_id: Any, name: Any, arguments: Any) -> Part:
    """A call of a tool."""
    name = name if isinstance(name, str) else ""
    return {"type": "tool_call", "id": _text(call_id), "name": name, "arguments": arguments}


def response_part(call_id: Any, content: Any) -> Part:
    """What a tool answered: a text or another JSON value as it is, content parts in the conventions' form."""
    items = [content] if isinstance(content, dict) else content
    is_content = isinstance(items, list) and all(
        isinstance(item, dict) and item.get("type") in _CONTENT for item in items
    )
    response = parts_of(items) if is_content else content
    return {"type": "tool_call_response", "id": _text(call_id), "response": response}


def chat_calls(message: Mapping[str, Any]) -> list[Part]:
    """The calls that a message of chat carries beside its content."""
    calls = message.get("tool_calls")
    found = (
        [_chat_call(call) for call in calls[:MAX_PARTS] if isinstance(call, dict)] if isinstance(calls, list) else []
    )
    function = message.get("function_call")
    if isinstance(function, dict):
        found.append(call_part(None, function.get("name"), decoded(function.get("arguments"))))
    return found


def decoded(arguments: Any) -> Any:
    """Arguments as JSON; the text itself where it is none, or is cut off."""
    if not isinstance(arguments, str) or not arguments:
        return arguments
    try:
        return _decode(arguments)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return arguments


def thoughts(holder: Mapping[str, Any]) -> list[Part]:
    """Reasoning that stands beside a message's content; servers say the same in several fields at once."""
    said = [holder[key] for key in ("reasoning_content", "reasoning", "thinking") if isinstance(holder.get(key), str)]
    for key in ("reasoning_details", "thinking_blocks"):
        found = [text for text in map(_thought, _objects(holder.get(key))) if text]
        if found and "".join(found) not in said:
            said += found
    return [reasoning_part(text) for text in dict.fromkeys(said) if text]


def _thought(part: Mapping[str, Any]) -> str:
    return next((part[key] for key in ("text", "summary", "thinking") if isinstance(part.get(key), str)), "")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value[:MAX_PARTS] if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _id_of(part: Mapping[str, Any]) -> Any:
    return part.get("call_id") or part.get("tool_use_id") or part.get("id")


def _plain(key: str) -> Callable[[dict[str, Any]], list[Part]]:
    """A part whose text stands in one field; should that hold more than a text, what it holds."""
    return lambda part: parts_of(part.get(key))


def _think(key: str) -> Callable[[dict[str, Any]], list[Part]]:
    return lambda part: [reasoning_part(part[key])] if isinstance(part.get(key), str) and part[key] else []


def _reasoning(item: dict[str, Any]) -> list[Part]:
    """An item of Responses: its summary, and its text where the upstream shows that."""
    said = [*_objects(item.get("summary")), *_objects(item.get("content"))]
    return [reasoning_part(part["text"]) for part in said if isinstance(part.get("text"), str) and part["text"]]


def _chat_call(call: dict[str, Any]) -> Part:
    function = call.get("function")
    if isinstance(function, dict):
        return call_part(call.get("id"), function.get("name"), decoded(function.get("arguments")))
    custom = call.get("custom")
    custom = custom if isinstance(custom, dict) else call
    return call_part(call.get("id"), custom.get("name"), custom.get("input"))


def _called(item: dict[str, Any]) -> list[Part]:
    """A call of a function has ``arguments``, one of a custom tool or of Messages ``input``."""
    arguments = decoded(item["arguments"]) if "arguments" in item else item.get("input")
    return [call_part(_id_of(item), item.get("name"), arguments)]


def _client_call(item: dict[str, Any]) -> list[Part]:
    """A call of a tool that the API knows and the client runs."""
    said = {key: item[key] for key in ("action", "actions", "operation") if key in item}
    return [call_part(_id_of(item), item["type"].removesuffix("_call"), said)]


def _answered(key: str) -> Callable[[dict[str, Any]], list[Part]]:
    return lambda item: [response_part(_id_of(item), item.get(key))]


def _server_call(item: dict[str, Any]) -> list[Part]:
    """A call that the provider runs itself, with all that it shows of it."""
    kind, name = item["type"].removesuffix("_call"), item.get("name")
    name = name if isinstance(name, str) else kind
    left_out = {"id", "call_id", "type", "name"} | ({"result"} if kind == "image_generation" else set())
    shown = _without_opaque({key: value for key, value in item.items() if key not in left_out}, 0)
    call = {"type": name if kind.endswith("_use") else kind, **shown}
    return [{"type": "server_tool_call", "id": _text(_id_of(item)), "name": name, "server_tool_call": call}]


def _server_response(item: dict[str, Any], call_id: Any, content: Any) -> list[Part]:
    shown = {"type": item["type"].removesuffix("_tool_result"), "content": _without_opaque(content, 0)}
    return [{"type": "server_tool_call_response", "id": _text(call_id), "server_tool_call_response": shown}]


def _without_opaque(value: Any, depth: int) -> Any:
    if depth > 8:  # deeper than any result of a provider's tool
        return "…"
    if isinstance(value, dict):
        return {key: _without_opaque(item, depth + 1) for key, item in value.items() if key not in _OPAQUE}
    if isinstance(value, list):
        return [_without_opaque(item, depth + 1) for item in value[:MAX_PARTS]]
    return value


def _document(part: dict[str, Any]) -> list[Part]:
    """A document or a search result: its title and its texts, or what is said of its file."""
    source = part.get("source")
    texts = [text_part(part[key]) for key in ("title", "context") if isinstance(part.get(key), str)]
    if isinstance(source, dict) and source.get("type") in ("text", "content"):
        return [*texts, *parts_of(source.get("data") or source.get("content"))]
    return [*texts, *(parts_of(part.get("content")) or media_parts(part))]


def _unknown(part: dict[str, Any]) -> list[Part]:
    """The texts of a part that no rule knows, as a part of its own type."""
    kind = part.get("type")
    texts = [part[key] for key in _TEXT_KEYS if isinstance(part.get(key), str)]
    if not isinstance(kind, str):
        return [text_part(text) for text in texts]
    return [{"type": kind, "content": "\n".join(texts)} if texts else {"type": kind}]


_KINDS: Mapping[str, Callable[[dict[str, Any]], list[Part]]] = {
    **dict.fromkeys(("text", "input_text", "output_text"), _plain("text")),
    "refusal": _plain("refusal"),
    "summary_text": _think("text"),
    "reasoning_text": _think("text"),
    "thinking": _think("thinking"),
    "redacted_thinking": lambda part: [],
    "reasoning": _reasoning,
    "document": _document,
    "search_result": _document,
    **dict.fromkeys(("tool_use", "function_call", "custom_tool_call"), _called),
    **dict.fromkeys(("computer_call", "local_shell_call", "shell_call", "apply_patch_call"), _client_call),
    "tool_result": _answered("content"),
    "server_tool_use": _server_call,
    "mcp_tool_use": _server_call,
    "item_reference": lambda part: [],
}
