"""A chat client's messages as the input items of a Responses request.

Rule: every message becomes zero or more items, in order; what has no place in an item is put on record.
Source: OpenAI API reference, "Create a model response", parameter ``input``.
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.checks import (
    TEXT_ONLY,
    Call,
    Part,
    answered_by,
    calls_of,
    content_of,
    messages_of,
    note_unread,
    reasoning_of,
    said_by,
    thinking_blocks_of,
    unsupported_content,
    want_object,
    want_text,
)
from chatproxy.translation.chat.media import check_base64, file_data_of, image_of

_USER_PARTS = frozenset({"text", "image_url", "file", "input_audio", "video_url"})
_TOOL_PARTS = frozenset({"text", "image_url", "file"})
_READ_BY_ROLE = {
    "assistant": frozenset(
        {"role", "content", "refusal", "tool_calls", "audio", "function_call", "annotations"}
        | {"reasoning_content", "reasoning", "thinking_blocks"}
    ),
    "tool": frozenset({"role", "content", "tool_call_id"}),
}
_READ = frozenset({"role", "content"})
_OWN_ID = "rs_"


def sealed(item_id: Any, encrypted: str) -> str:
    """A reasoning item's encrypted content as a signature; the API wants it back under the same id."""
    kept = item_id if isinstance(item_id, str) and item_id.startswith(_OWN_ID) and ":" not in item_id else _OWN_ID
    return f"{kept}:{encrypted}"


def unsealed(signature: str) -> tuple[str, str] | None:
    """Id, maybe empty, and encrypted content; None for a signature that no Responses handler made."""
    item_id, colon, encrypted = signature.partition(":")
    if not colon or not item_id.startswith(_OWN_ID):
        return None
    return ("" if item_id == _OWN_ID else item_id), encrypted


class InputItems:
    """Reads messages one after the other.

    Attributes:
        items: what Responses gets.
        origins: for each item the path of its message, ``messages[2]``.
    """

    __slots__ = ("_calls", "_losses", "items", "origins")

    def __init__(self, losses: Losses) -> None:
        self._losses = losses
        self._calls: dict[str, Call] = {}
        self.items: list[Json] = []
        self.origins: list[str] = []

    def read(self, body: Json) -> None:
        """Take every message of the request.

        Raises:
            InvalidRequest: a message is not as OpenAI wants it, or cannot be carried (400).
        """
        for at, role, message in messages_of(body):
            note_unread(self._losses, message, _READ_BY_ROLE.get(role, _READ), at)
            if role == "assistant":
                self._assistant(message, at)
            elif role == "tool":
                self._tool(message, at)
            else:
                kinds = _USER_PARTS if role == "user" else TEXT_ONLY
                content = self._content(message, at, kinds)
                self.items.append({"type": "message", "role": role, "content": content})
            self.origins += [at] * (len(self.items) - len(self.origins))

    def _assistant(self, message: Json, at: str) -> None:
        said = said_by(message, at)
        self._reasoning(message, at)
        if len(said) == 1 and said[0][0] == "text":
            self.items.append({"type": "message", "role": "assistant", "content": said[0][1]})
        elif said:
            self.items.append({"type": "message", "role": "assistant", "content": [_said_part(*one) for one in said]})
        elif message.get("content") is not None and not message.get("tool_calls"):
            self.items.append({"type": "message", "role": "assistant", "content": ""})
        for call in calls_of(message, at):
            self._calls[call.id] = call
            self.items.append(_call_item(call))

    def _reasoning(self, message: Json, at: str) -> None:
        blocks = thinking_blocks_of(message, at)
        for block in blocks:
            self._reasoning_block(block)
        text = reasoning_of(message, at)
        if text and not blocks:
            self.items.append({"type": "reasoning", "summary": [{"type": "summary_text", "text": text}]})

    def _reasoning_block(self, block: Part) -> None:
        text = block.fields["thinking"] if block.kind == "thinking" else ""
        seal = block.fields.get("signature") if block.kind == "thinking" else block.fields["data"]
        opened = unsealed(seal) if seal else None
        item: Json = {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}
        if opened is not None:
            item_id, item["encrypted_content"] = opened
            if item_id:
                item["id"] = item_id
        elif not text:
            self._losses.add(block.at, "dropped", "the handler cannot read another model's redacted thinking")
            return
        elif seal:
            self._losses.add(f"{block.at}.signature", "dropped", "the handler cannot read another model's signature")
        self.items.append(item)

    def _tool(self, message: Json, at: str) -> None:
        call = answered_by(message, at, self._calls)
        output = self._content(message, at, _TOOL_PARTS)
        if isinstance(output, list) and len(output) == 1 and output[0]["type"] == "input_text":
            output = output[0]["text"]
        kind = "custom_tool_call_output" if call.is_custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call.id, "output": output})

    def _content(self, message: Json, at: str, kinds: frozenset[str]) -> str | list[Json]:
        content = content_of(message, at, kinds)
        return content if isinstance(content, str) else [self._part(part) for part in content]

    def _part(self, part: Part) -> Json:
        note_unread(self._losses, part.fields, ("type", part.kind, "prompt_cache_breakpoint"), part.at)
        made = _content_part(part)
        if part.fields.get("prompt_cache_breakpoint") is not None:
            made["prompt_cache_breakpoint"] = part.fields["prompt_cache_breakpoint"]
        return made


def _said_part(kind: str, words: str) -> Json:
    if kind == "refusal":
        return {"type": "refusal", "refusal": words}
    return {"type": "output_text", "text": words, "annotations": []}


def _call_item(call: Call) -> Json:
    if call.is_custom:
        return {"type": "custom_tool_call", "call_id": call.id, "name": call.name, "input": call.written}
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.written}


def _content_part(part: Part) -> Json:
    if part.kind == "text":
        return {"type": "input_text", "text": want_text(part.fields, "text", part.at)}
    if part.kind == "image_url":
        image = image_of(part)
        return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}
    if part.kind == "file":
        return _file(part)
    if part.kind == "input_audio":
        at = f"{part.at}.input_audio"
        audio = want_object(part.fields.get("input_audio"), at)
        check_base64(want_text(audio, "data", at), f"{at}.data")
        want_text(audio, "format", at)
        return {"type": "input_audio", "input_audio": audio}
    raise unsupported_content(f"{part.at}.type", "Responses takes no video")


def _file(part: Part) -> Json:
    at = f"{part.at}.file"
    held = want_object(part.fields.get("file"), at)
    file_data_of(held, at)
    made: Json = {"type": "input_file"}
    for key in ("file_data", "file_id", "filename"):
        if held.get(key) is not None:
            made[key] = want_text(held, key, at)
    if "file_data" not in made and "file_id" not in made:
        want_text(held, "file_data", at)
    return made
