"""How texts of chat completions, and of legacy ones, end: in a stream's events and where an answer is filtered.

Source: OpenAI API reference, "The chat completion chunk object", ``finish_reason``, and "The completion object".
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from chatproxy.types.endings_pieces import heading, piece
from chatproxy.types.text import Channel, Text
from chatproxy.types.usage import Usage
from chatproxy.types.walk import objects

Json = dict[str, Any]
_FILTERED = "content_filter"


def ends(data: Json, channel: Channel) -> bool:
    """Whether the channel's choice has its finish reason here."""
    choices = data.get("choices")
    if isinstance(choices, list):
        for position, choice in enumerate(choices):
            if not isinstance(choice, dict) or choice.get("finish_reason") is None:
                continue
            if _number(choice, position) == channel[0]:
                return True
    return False


def again(data: Json, text: Text, value: str) -> Json:
    """A chunk whose one choice has one text."""
    choice: Json = data["choices"][text.path[1]]
    own: Json = piece(choice, text.path[2:], value)
    own["index"] = text.index
    for said in (own.get("delta"), own.get("message")):
        if isinstance(said, dict) and isinstance(said.get("tool_calls"), list):
            said["tool_calls"] = [_call(call, text.channel[1]) for call in said["tool_calls"]]
    if "logprobs" in choice:
        own["logprobs"] = None
    own["finish_reason"] = None
    return heading(data, choices=[own], **({} if data.get("usage") is None else {"usage": None}))


class ChatProgress:
    """`Progress` of a stream of chunks.

    Args:
        kind: ``object`` of its chunks.
    """

    __slots__ = ("_has_usage", "_is_open", "_kind", "_last")

    def __init__(self, kind: str = "chat.completion.chunk") -> None:
        self._kind = kind
        self._last: Json | None = None
        self._is_open: dict[int, bool] = {}
        self._has_usage = False

    def take(self, data: Json) -> None:
        """See `Progress`."""
        self._last = data
        choices = data.get("choices")
        if isinstance(choices, list):
            for position, choice in enumerate(choices):
                if isinstance(choice, dict):
                    number = _number(choice, position)
                    if choice.get("finish_reason") is not None:
                        self._is_open[number] = False
                    elif number not in self._is_open:
                        self._is_open[number] = True
        if data.get("usage") is not None:
            self._has_usage = True

    def filtered(self, message: str, usage: Usage | None, model: str) -> list[Json]:
        """See `Progress`; every choice that is open says the message and ends."""
        has_begun = bool(self._is_open)
        open_ones = [number for number, is_open in self._is_open.items() if is_open] if has_begun else [0]
        made = [self._chunk([self._said(number, message, has_begun=has_begun)], model) for number in open_ones]
        if has_begun and not message:
            made.clear()
        made += [self._chunk([self._ended(number)], model) for number in open_ones]
        if usage is not None and not self._has_usage:
            made.append({**self._chunk([], model), "usage": usage_object(usage)})
            self._has_usage = True
        self._is_open = {**self._is_open, **dict.fromkeys(open_ones, False)}
        return made

    def _chunk(self, choices: list[Json], model: str) -> Json:
        if self._last is not None:
            return heading(self._last, choices=choices, **({"usage": None} if "usage" in self._last else {}))
        prefix = "chatcmpl-" if self._kind.startswith("chat") else "cmpl-"
        head = {"id": prefix + secrets.token_hex(12), "object": self._kind, "created": int(time.time()), "model": model}
        self._last = head
        return {**head, "choices": choices}

    def _said(self, number: int, message: str, *, has_begun: bool) -> Json:
        if not self._kind.startswith("chat"):
            return {"index": number, "text": message, "logprobs": None, "finish_reason": None}
        begun = {} if has_begun else {"role": "assistant"}
        return {"index": number, "delta": {**begun, "content": message}, "finish_reason": None}

    def _ended(self, number: int) -> Json:
        if not self._kind.startswith("chat"):
            return {"index": number, "text": "", "logprobs": None, "finish_reason": _FILTERED}
        return {"index": number, "delta": {}, "finish_reason": _FILTERED}


def filter_choices(body: Any, message: str, *, is_chat: bool) -> None:
    """Make a buffered reply one whose every choice was filtered; what is not known here leaves with its texts."""
    numbers = [_number(choice, position) for position, choice in objects(body.get("choices"))]
    spoken = {"role": "assistant", "content": message, "refusal": None}
    said: Json = {"message": spoken} if is_chat else {"text": message}
    body["choices"] = [
        {"index": number, **said, "logprobs": None, "finish_reason": _FILTERED} for number in numbers or [0]
    ]
    keep_scalars(body, but=("choices", "usage"))


def keep_scalars(body: Any, *, but: tuple[str, ...]) -> None:
    """Remove a reply's fields that hold objects or lists, save some."""
    for key in list(body):
        if key not in but and isinstance(body[key], dict | list):
            del body[key]


def usage_object(usage: Usage) -> Json:
    """Token counts in chat's form."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def _number(choice: Mapping[str, Any], position: int) -> int:
    index = choice.get("index")
    return index if type(index) is int else position


def _call(call: Any, number: str | int) -> Any:
    """A piece of a call as it comes after the first: its place and its text."""
    if not isinstance(call, dict):
        return call
    return {"index": number, **{key: value for key, value in call.items() if key not in {"index", "type"}}}
