"""Items of the responses surface as chat messages; see `forms`.

Source: OpenAI API reference, "Create a model response" (``input`` and ``output``).
"""

from __future__ import annotations

from typing import Any

from chatproxy_platform.sessions.parts import Json, assistant, function_call, plain

_ANSWERS = ("_output", "_response")
_TEXTS = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})


def item_groups(items: list[Any]) -> list[tuple[list[Any], list[Json]]]:
    """Each item with its message; what a model said in a row (reasoning, messages, calls) is one."""
    groups: list[tuple[list[Any], list[Json]]] = []
    said: list[Any] = []
    for item in items:
        if _is_said(item):
            said.append(item)
            continue
        if said:
            groups.append((said, [_turn(said)]))
            said = []
        groups.append(([item], [_message(item)]))
    if said:
        groups.append((said, [_turn(said)]))
    return groups


def _is_said(item: Any) -> bool:
    """Whether a model made the item."""
    if not isinstance(item, dict):
        return False
    kind = item.get("type", "message")
    if kind == "message":
        return item.get("role") == "assistant"
    return isinstance(kind, str) and kind != "item_reference" and not kind.endswith(_ANSWERS)


def _message(item: Any) -> Json:
    if not isinstance(item, dict):
        return {"role": "unknown", "content": item}
    kind = item.get("type", "message")
    if kind == "message":
        return {"role": item.get("role", "user"), "content": _content(item.get("content"))}
    if "call_id" in item:
        return {"role": "tool", "tool_call_id": item["call_id"], "content": _content(item.get("output"))}
    return {"role": "user", "content": [item]}


def _turn(items: list[Any]) -> Json:
    texts, reasoning, refusals = [], [], []
    calls: list[Json] = []
    for item in items:
        kind = item.get("type", "message")
        if kind == "message":
            texts += _texts(item.get("content"))
            refusals += [part["refusal"] for part in _parts(item.get("content")) if "refusal" in part]
        elif kind == "reasoning":
            reasoning += _texts(item.get("content")) or _texts(item.get("summary"))
        elif kind == "function_call":
            calls.append(function_call(item.get("call_id"), item.get("name"), item.get("arguments") or ""))
        elif kind == "custom_tool_call":
            custom = {"name": item.get("name"), "input": item.get("input") or ""}
            calls.append({"id": item.get("call_id"), "type": "custom", "custom": custom})
    return assistant(texts, calls, reasoning, refusal="\n".join(map(str, refusals)))


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content] if content else []
    return [part["text"] for part in _parts(content) if isinstance(part.get("text"), str)]


def _parts(content: Any) -> list[Json]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _content(content: Any) -> Any:
    return plain([_part(part) for part in content]) if isinstance(content, list) else content


def _part(part: Any) -> Any:
    kind = part.get("type") if isinstance(part, dict) else None
    if kind in _TEXTS:
        return {"type": "text", "text": part.get("text")}
    if kind == "input_image" and part.get("image_url"):
        detail = {"detail": part["detail"]} if part.get("detail") else {}
        return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
    if kind == "input_file":
        return {"type": "file", "file": {key: value for key, value in part.items() if key != "type"}}
    return part
