"""Contents of messages: texts and parts, as chat has them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
INSTRUCTING = frozenset({"system", "developer"})


def text_of(content: Any) -> str:
    """A content's text: itself, or that of its parts."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))


def plain(parts: list[Any]) -> Any:
    """Parts as a content: one text is the text itself."""
    if len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return parts


def assistant(texts: list[str], calls: list[Json], reasoning: list[str], *, refusal: str = "") -> Json:
    """A chat message of what a model said in a row."""
    message: Json = {"role": "assistant", "content": "\n\n".join(texts) if texts else None if calls else ""}
    if refusal:
        message["refusal"] = refusal
    if reasoning:
        message["reasoning_content"] = "\n\n".join(reasoning)
    if calls:
        message["tool_calls"] = calls
    return message


def function_call(call_id: Any, name: Any, arguments: str) -> Json:
    """A call in chat's form."""
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
