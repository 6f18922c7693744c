"""OpenAI's shapes, strict: an unknown, missing or mistyped field fails.

Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    pass


class Function(Shape):
    name: str
    arguments: str


class Custom(Shape):
    name: str
    input: str


class Call(Shape):
    id: str
    type: Literal["function", "custom"]
    function: Function | None = None
    custom: Custom | None = None


class Message(Shape):
    role: Literal["assistant"]
    content: str | None
    refusal: str | None
    annotations: list[Any]
    tool_calls: list[Call] = []


class TopLogprob(Shape):
    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    top_logprobs: list[TopLogprob]


class Logprobs(Shape):
    content: list[TokenLogprob] | None
    refusal: None


class Choice(Shape):
    index: int
    message: Message
    logprobs: Logprobs | None
    finish_reason: Finish


class PromptDetails(Shape):
    cached_tokens: int
    audio_tokens: int


class CompletionDetails(Shape):
    reasoning_tokens: int
    audio_tokens: int
    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(Shape):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails
    completion_tokens_details: CompletionDetails


class Completion(Shape):
    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    service_tier: str
    system_fingerprint: str


class FunctionDelta(Shape):
    arguments: str
    name: msgspec.UnsetType | str = msgspec.UNSET


class CustomDelta(Shape):
    input: str
    name: msgspec.UnsetType | str = msgspec.UNSET


class CallDelta(Shape):
    index: int
    id: msgspec.UnsetType | str = msgspec.UNSET
    type: msgspec.UnsetType | Literal["function", "custom"] = msgspec.UNSET
    function: FunctionDelta | None = None
    custom: CustomDelta | None = None


class Delta(Shape):
    role: msgspec.UnsetType | Literal["assistant"] = msgspec.UNSET
    content: msgspec.UnsetType | str | None = msgspec.UNSET
    refusal: msgspec.UnsetType | str | None = msgspec.UNSET
    tool_calls: msgspec.UnsetType | list[CallDelta] = msgspec.UNSET


class ChunkChoice(Shape):
    index: int
    delta: Delta
    logprobs: Logprobs | None
    finish_reason: Finish | None


class Chunk(Shape):
    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    choices: list[ChunkChoice]
    service_tier: str
    system_fingerprint: str
    usage: msgspec.UnsetType | Usage | None = msgspec.UNSET


def read_completion(body: dict[str, Any]) -> Completion:
    return msgspec.convert(body, Completion)


def read_chunks(events: list[dict[str, Any]]) -> list[Chunk]:
    return msgspec.convert(events, list[Chunk])


def merged(events: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """What a client makes of a stream: for each choice its text, calls, logprobs and finish reason."""
    read_chunks(events)
    choices: dict[int, dict[str, Any]] = {}
    for part in (part for event in events for part in event["choices"]):
        made = choices.setdefault(part["index"], {"content": None, "calls": {}, "logprobs": [], "finish": None})
        assert made["finish"] is None, "nothing follows a finish"
        delta = part["delta"]
        if delta.get("content") is not None:
            made["content"] = (made["content"] or "") + delta["content"]
        made["logprobs"] += (part["logprobs"] or {}).get("content") or []
        made["finish"] = part["finish_reason"]
        for call in delta.get("tool_calls", ()):
            _add(made["calls"], call)
    return choices


def _add(calls: dict[int, dict[str, str]], call: dict[str, Any]) -> None:
    held = call.get("function") or call["custom"]
    piece = held["arguments"] if "function" in call else held["input"]
    if "id" in call:
        assert call["index"] == len(calls), "calls are numbered in order"
        calls[call["index"]] = {"id": call["id"], "type": call["type"], "name": held["name"], "arguments": ""}
    calls[call["index"]]["arguments"] += piece


def told(body: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """The same, of a buffered reply."""
    read_completion(body)
    return {
        choice["index"]: {
            "content": choice["message"]["content"],
            "calls": dict(enumerate(map(_call, choice["message"].get("tool_calls", ())))),
            "logprobs": (choice["logprobs"] or {}).get("content") or [],
            "finish": choice["finish_reason"],
        }
        for choice in body["choices"]
    }


def _call(call: dict[str, Any]) -> dict[str, str]:
    held = call.get("function") or call["custom"]
    arguments = held["arguments"] if "function" in call else held["input"]
    return {"id": call["id"], "type": call["type"], "name": held["name"], "arguments": arguments}
