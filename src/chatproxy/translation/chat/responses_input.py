"""A chat client's messages as the input items of a Responses request.

Rule: every message becomes zero or more items, in order; what has no place in an item is put on record.
Source: OpenAI API reference, "Create a model response", parameter ``input``.
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation import checks
from chatproxy.translation.base import NOT_ON_RESPONSES, Json, Losses
from chatproxy.translation.chat import conversation
from chatproxy.translation.media import audio_of

_MARK = "prompt_cache_breakpoint"
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
        self._calls: dict[str, conversation.Call] = {}
        self.items: list[Json] = []
        self.origins: list[str] = []

    def read(self, body: Json) -> None:
        """Take every message of the request."""
        for at, role, message in conversation.messages_of(body):
            self._losses.add_rest(message, conversation.READ[role], at, NOT_ON_RESPONSES)
            if role == "assistant":
                self._assistant(message, at)
            elif role == "tool":
                self._tool(message, at)
            else:
                self._message(role, self._content(message, at))
            self.origins += [at] * (len(self.items) - len(self.origins))

    def _message(self, role: str, content: str | list[Json]) -> None:
        self.items.append({"type": "message", "role": role, "content": content})

    def _assistant(self, message: Json, at: str) -> None:
        said = conversation.said_by(message, at)
        self._reasoning(message, at)
        if len(said) == 1 and said[0][0] == "text":
            self._message("assistant", said[0][1])
        elif said:
            self._message("assistant", [_said_part(*one) for one in said])
        elif message.get("content") is not None and not message.get("tool_calls"):
            self._message("assistant", "")
        for call in conversation.calls_of(message, at):
            self._calls[call.id] = call
            kind, key = ("custom_tool_call", "input") if call.is_custom else ("function_call", "arguments")
            self.items.append({"type": kind, "call_id": call.id, "name": call.name, key: call.written})

    def _reasoning(self, message: Json, at: str) -> None:
        blocks = conversation.thinking_blocks_of(message, at)
        for block in blocks:
            self._reasoning_block(block)
        text = conversation.reasoning_of(message, at)
        if text and not blocks:
            self.items.append(_reasoning_item(text))

    def _reasoning_block(self, block: conversation.Part) -> None:
        text = block.fields["thinking"] if block.kind == "thinking" else ""
        seal = block.fields.get("signature") if block.kind == "thinking" else block.fields["data"]
        opened = unsealed(seal) if seal else None
        item = _reasoning_item(text)
        if opened is not None:
            item_id, item["encrypted_content"] = opened
            if item_id:
                item["id"] = item_id
        elif not text:
            self._losses.add(block.at, "dropped", "another model's redacted thinking, which the handler cannot read")
            return
        elif seal:
            self._losses.add(f"{block.at}.signature", "dropped", "another model's, which the handler cannot read")
        self.items.append(item)

    def _tool(self, message: Json, at: str) -> None:
        call = conversation.answered_by(message, at, self._calls)
        output = self._content(message, at)
        if isinstance(output, list) and len(output) == 1 and output[0]["type"] == "input_text":
            output = output[0]["text"]
        kind = "custom_tool_call_output" if call.is_custom else "function_call_output"
        self.items.append({"type": kind, "call_id": call.id, "output": output})

    def _content(self, message: Json, at: str) -> str | list[Json]:
        content = conversation.content_of(message, at)
        return content if isinstance(content, str) else [self._part(part) for part in content]

    def _part(self, part: conversation.Part) -> Json:
        conversation.record_rest(part, _MARK, self._losses, NOT_ON_RESPONSES)
        made = _content_part(part)
        if part.fields.get(_MARK) is not None:
            made[_MARK] = part.fields[_MARK]
        return made


def _reasoning_item(text: str) -> Json:
    return {"type": "reasoning", "summary": [{"type": "summary_text", "text": text}] if text else []}


def _said_part(kind: str, words: str) -> Json:
    if kind == "refusal":
        return {"type": "refusal", "refusal": words}
    return {"type": "output_text", "text": words, "annotations": []}


def _content_part(part: conversation.Part) -> Json:
    if part.kind == "text":
        return {"type": "input_text", "text": checks.want_text(part.fields, "text", part.at)}
    if part.kind == "image_url":
        image = conversation.image_of(part)
        return {"type": "input_image", "image_url": image.url, "detail": image.detail or "auto"}
    if part.kind == "file":
        return {"type": "input_file", **conversation.file_of(part)[0]}
    if part.kind == "input_audio":
        return {"type": "input_audio", "input_audio": audio_of(part.fields, part.at)}
    raise checks.unsupported_content(f"{part.at}.type", "the handler's API takes no video")
