"""Messages in the conventions' form: what a model was asked, what it was told, and what it answered, on every surface.

Rule: a request's conversation is taken apart entry by entry, so that of a long one only what is shown is decoded.
Source: OpenTelemetry GenAI conventions, ``gen_ai.input.messages``, ``gen_ai.output.messages`` and
``gen_ai.system_instructions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chatproxy.types import ChatResponse, Layout
from chatproxy_otel.content.media import Part
from chatproxy_otel.content.parts import chat_calls, decoded, parts_of, response_part, text_part, thoughts

Message = dict[str, Any]

UNFINISHED = "error"
"""``finish_reason`` of an answer that gave none: it broke off."""
LEFT = "incomplete"
"""``finish_reason`` of an answer whose client left before its end, which is no error."""
_FINISH = {"tool_calls": "tool_call", "function_call": "tool_call"}
_INSTRUCTIONS = ("instructions", "instruction", "system")
_OTHERS = ("messages", "input", "prompt", "query", "documents", "suffix")
_TOOL_TYPES = ("function_call", "custom_tool_call", "reasoning", "item_reference")

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder().decode


class Asked:
    """A request's parts, still as JSON.

    Attributes:
        lead: messages that instruct, at the begin of the conversation.
        rest: all others, in order.
    """

    def __init__(self, data: bytes, layout: Layout) -> None:
        self._body = _fields(data)
        own = layout.messages_key
        conversation = self._list(own) if own else []
        end = next((at for at, entry in enumerate(conversation) if not _instructs(entry)), len(conversation))
        self.lead: Sequence[Any] = conversation[:end]
        others = [entry for key in _OTHERS if key != own for entry in self._list(key)]
        self.rest: Sequence[Any] = [*others, *conversation[end:]]

    def instructions(self) -> list[Part]:
        """What instructs the model beside the conversation."""
        return [part for key in _INSTRUCTIONS for part in parts_of(self._field(key))]

    def tools(self) -> list[dict[str, Any]]:
        """The tools that are offered, as they stand in the request."""
        found = [self._field("tools"), self._field("functions")]
        return [tool for tools in found if isinstance(tools, list) for tool in tools if isinstance(tool, dict)]

    def _field(self, key: str) -> Any:
        return _value(self._body[key]) if key in self._body else None

    def _list(self, key: str) -> list[Any]:
        """A field's entries: undecoded those of a list; what is none is one entry."""
        raw = self._body.get(key)
        if raw is None:
            return []
        if bytes(memoryview(raw)[:1]) != b"[":
            value = _value(raw)
            if isinstance(value, dict) and isinstance(value.get("variables"), dict):
                return [{"role": "user", "content": list(value["variables"].values())}]
            return [] if value is None else [value]
        entries = _entries(raw)
        if entries and bytes(memoryview(entries[0])[:1]).isdigit():
            return [f"({len(entries)} tokens)"]
        return list(entries)


def message_of(entry: Any) -> Message | None:
    """What an entry of a conversation says: a message, an item, a text, or any of them as JSON; None: nothing."""
    entry = _value(entry) if isinstance(entry, msgspec.Raw) else entry
    try:
        if isinstance(entry, dict):
            made = _item(entry) if _is_item(entry) else _message(entry)
        else:
            made = {"role": "user", "parts": parts_of(entry)}
    except RecursionError:
        return {"role": "user", "parts": [{"type": "unreadable"}]}
    return made if made["parts"] else None


def merged(messages: Iterable[Message]) -> list[Message]:
    """Messages in which calls that a model made at once, one item each, are one turn."""
    made: list[Message] = []
    for message in messages:
        if made and _only_calls(made[-1]) and _only_calls(message):
            made[-1] = {**message, "parts": [*made[-1]["parts"], *message["parts"]]}
        else:
            made.append(message)
    return made


def answered(body: Mapping[str, Any], layout: Layout) -> list[Message]:
    """A buffered reply's messages: one for each choice; none where no model wrote it."""
    if isinstance(body.get("choices"), list):
        return [_choice(choice) for choice in body["choices"] if isinstance(choice, dict)]
    content = body.get("output") if layout.surface == "responses" else body.get("content")
    if not isinstance(content, str | list):
        return []
    reasons = ChatResponse(body, layout=layout).finish_reasons
    reason = "error" if body.get("status") == "failed" else reasons[0] if reasons else None
    parts = [part for item in content for part in _output(item)] if isinstance(content, list) else parts_of(content)
    details = body.get("stop_details")
    return [_said([*parts, *parts_of(details.get("explanation"))] if isinstance(details, dict) else parts, reason)]


def _choice(choice: Mapping[str, Any]) -> Message:
    message = choice.get("message")
    reason = choice.get("finish_reason")
    if isinstance(message, dict):
        return {**_said(_parts(message), reason), "role": _role(message, "assistant")}
    return _said(parts_of(choice.get("text")), reason)


def _said(parts: list[Part], reason: Any) -> Message:
    reason = reason if isinstance(reason, str) else UNFINISHED
    return {"role": "assistant", "parts": parts, "finish_reason": _FINISH.get(reason, reason)}


def _output(item: Any) -> list[Part]:
    """An output item, or a content block."""
    is_message = isinstance(item, dict) and item.get("type") == "message"
    return parts_of(item.get("content")) if is_message else parts_of(item)


def _message(message: dict[str, Any]) -> Message:
    role = _role(message, "user")
    parts = _parts(message) if "role" in message or "content" in message else parts_of(message)
    if role in ("tool", "function"):
        role, parts = "tool", [response_part(message.get("tool_call_id"), message.get("content"))]
    elif parts and all(part["type"] == "tool_call_response" for part in parts):
        role = "tool"  # on Messages a user's message carries what tools answered
    name = message.get("name")
    return {"role": role, "parts": parts, **({"name": name} if isinstance(name, str) else {})}


def _parts(message: dict[str, Any]) -> list[Part]:
    """All that a message says, of any surface."""
    parts = [*thoughts(message), *parts_of(message.get("content"))]
    if isinstance(message.get("refusal"), str):
        parts += parts_of(message["refusal"])
    audio = message.get("audio")
    if isinstance(audio, dict):
        parts += parts_of({**audio, "type": "audio"})
        if isinstance(audio.get("transcript"), str):
            parts.append(text_part(audio["transcript"]))
    return [*parts, *chat_calls(message)]


def _item(item: dict[str, Any]) -> Message:
    """An item of Responses, or a content part that stands where a message should."""
    kind, parts = item["type"], parts_of(item)
    if parts and parts[0]["type"] == "tool_call_response":
        return {"role": "tool", "parts": parts}
    is_model = kind in _TOOL_TYPES or kind.endswith("_call")
    return {"role": _role(item, "assistant" if is_model else "user"), "parts": parts}


def _is_item(entry: Mapping[str, Any]) -> bool:
    kind = entry.get("type")
    return isinstance(kind, str) and kind != "message" and ("role" not in entry or kind in _TOOL_TYPES)


def _role(holder: Mapping[str, Any], otherwise: str) -> str:
    role = holder.get("role")
    return role if isinstance(role, str) else otherwise


def _instructs(entry: Any) -> bool:
    if not isinstance(entry, msgspec.Raw):
        return False
    data = bytes(entry)
    if b'"system"' not in data and b'"developer"' not in data:
        return False
    value = decoded(data.decode())
    return isinstance(value, dict) and value.get("role") in ("system", "developer")


def _only_calls(message: Message) -> bool:
    return message["role"] == "assistant" and all(part["type"] == "tool_call" for part in message["parts"])
