"""Turns of Anthropic's Messages as chat messages; see `forms`.

Source: Anthropic API reference, ``MessageParam``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy_platform.sessions.parts import Json, assistant, function_call, plain


def message_groups(turns: list[Any]) -> list[tuple[list[Any], list[Json]]]:
    """Each turn with its messages: a user's is the results of tools, each a message, and then what the user says."""
    return [([turn], _messages(turn)) for turn in turns]


def _messages(turn: Any) -> list[Json]:
    if not isinstance(turn, dict):
        return [{"role": "unknown", "content": turn}]
    role, content = turn.get("role", "user"), turn.get("content")
    if not isinstance(content, list):
        return [{"role": role, "content": content}]
    if role == "assistant":
        return [_said(content)]
    results = [block for block in content if _kind(block) == "tool_result"]
    others = [_part(block) for block in content if _kind(block) != "tool_result"]
    made: list[Json] = [
        {"role": "tool", "tool_call_id": block.get("tool_use_id"), "content": _content(block.get("content"))}
        for block in results
    ]
    return [*made, {"role": role, "content": plain(others)}] if others or not made else made


def _said(content: list[Any]) -> Json:
    texts, reasoning = [], []
    calls: list[Json] = []
    for block in content:
        kind = _kind(block)
        if kind == "text" and isinstance(block.get("text"), str):
            texts.append(block["text"])
        elif kind == "thinking" and isinstance(block.get("thinking"), str):
            reasoning.append(block["thinking"])
        elif kind == "tool_use":
            arguments = msgspec.json.encode(block.get("input")).decode()
            calls.append(function_call(block.get("id"), block.get("name"), arguments))
    return assistant(texts, calls, reasoning)


def _content(content: Any) -> Any:
    return plain([_part(block) for block in content]) if isinstance(content, list) else content or ""


def _part(block: Any) -> Any:
    kind = _kind(block)
    source = block.get("source") if isinstance(block, dict) else None
    if kind == "text":
        return {"type": "text", "text": block.get("text")}
    if kind not in {"image", "document"} or not isinstance(source, dict):
        return block
    url = _url(source)
    if url is None:
        return block
    if kind == "image":
        return {"type": "image_url", "image_url": {"url": url}}
    is_inline = url.startswith("data:")
    name = {"filename": block["title"]} if isinstance(block.get("title"), str) else {}
    return {"type": "file", "file": {"file_data" if is_inline else "file_url": url, **name}}


def _url(source: Json) -> str | None:
    if source.get("type") == "base64" and isinstance(source.get("data"), str):
        return f"data:{source.get('media_type', 'application/octet-stream')};base64,{source['data']}"
    url = source.get("url")
    return url if isinstance(url, str) else None


def _kind(block: Any) -> Any:
    return block.get("type") if isinstance(block, dict) else None
