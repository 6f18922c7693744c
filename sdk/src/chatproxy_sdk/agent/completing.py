"""What a completion must have to be of use, whether it came whole or in chunks.

Rule: no I/O here.
Source: OpenAI API reference, "The chat completion object".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chatproxy_sdk.completions import Assembly
from chatproxy_sdk.messages import Message
from chatproxy_sdk.types import ChatCompletionResponse

STRICT = {"id": str, "object": str, "created": int, "model": str, "choices": list}
STRICT_CHOICE = {"index": int, "message": dict, "finish_reason": str}


def buffered(body: Mapping[str, Any], *, strict: bool) -> ChatCompletionResponse:
    """The completion that an answer's body holds.

    Raises:
        ValueError: it lacks a choice with a message, or, if strict, anything that OpenAI's schema requires.
    """
    if strict:
        _check(body)
    choices = body.get("choices")
    if not isinstance(choices, list) or not choices:
        raise ValueError("the answer has no choices")
    return _complete_calls(ChatCompletionResponse.from_dict(body))


def streamed(assembly: Assembly, *, strict: bool) -> ChatCompletionResponse:
    """The completion that a stream's chunks added up to.

    Raises:
        ValueError: none of them had a choice; or, if strict, they lacked what OpenAI's schema requires.
    """
    if not assembly.choices:
        raise ValueError("the answer has no choices")
    missing = [name for name in ("id", "created", "model", "finish_reason") if not assembly.metadata.get(name)]
    if strict and missing:
        raise ValueError(f"the stream lacks {', '.join(missing)}")
    return _complete_calls(assembly.response())


def message_of(completion: ChatCompletionResponse) -> Message:
    """The message of the first choice."""
    return min(completion.choices, key=lambda choice: choice.index).message


def text_of(message: Message) -> str:
    """What a message says; a refusal where it says nothing else."""
    return message.text or message.refusal or ""


def _complete_calls(completion: ChatCompletionResponse) -> ChatCompletionResponse:
    """Give calls what servers want to see again in the next request: an id, and arguments that are JSON."""
    for choice in completion.choices:
        for number, call in enumerate(choice.message.tool_calls or ()):
            call.id = call.id or f"call_{number}"
            call.function.arguments = call.function.arguments or "{}"
    return completion


def _check(body: Mapping[str, Any]) -> None:
    _check_fields(body, STRICT, "the answer")
    for number, choice in enumerate(body["choices"]):
        if not isinstance(choice, dict):
            raise ValueError(f"choices[{number}] must be an object, found {type(choice).__name__}")  # noqa: TRY004
        _check_fields(choice, STRICT_CHOICE, f"choices[{number}]")


def _check_fields(found: Mapping[str, Any], wanted: Mapping[str, type], where: str) -> None:
    for name, kind in wanted.items():
        if name not in found:
            raise ValueError(f"{where} lacks {name!r}, which strict_parsing wants")
        if not isinstance(found[name], kind):
            raise ValueError(f"{name!r} of {where} must be {kind.__name__}, found {type(found[name]).__name__}")  # noqa: TRY004
