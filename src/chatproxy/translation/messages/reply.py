"""A chat completion as a Message.

Rule: blocks stand in the order reasoning, text, refusal, calls; the stream of the same answer gives the same blocks.
Source: Anthropic API reference, ``Message``; OpenAI API reference, "The chat completion object".
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Json, Losses

# A model's arguments that are no JSON object are kept under this key, the one Anthropic's guide to fine-grained tool
# streaming names for it.
INVALID_JSON = "INVALID_JSON"

_REASONS = {"length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use", "function_call": "tool_use"}
_TIERS = {"default": "standard", "priority": "priority", "fast": "priority"}
_CONSUMED = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "obfuscation"})
_NOT_CARRIED = ("annotations", "audio", "function_call")

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """What a reply needs to know of its request."""

    model: str = ""
    stop_sequences: tuple[str, ...] = ()


class Ending(NamedTuple):
    """Why generation stopped, as chat says it.

    Attributes:
        finish_reason: chat's own field.
        matched: the stop sequence met, which vLLM names in the choice's ``stop_reason``.
    """

    finish_reason: Any = None
    matched: Any = None


def to_message(body: Json, asked: Asked, losses: Losses) -> Json:
    """The Message for a buffered chat completion.

    Raises:
        UpstreamError: the reply has no choice to take (502, code ``upstream_invalid_response``).
    """
    choice = _first_choice(body, losses)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise UpstreamError("The upstream's reply has no message.", code="upstream_invalid_response")
    record_not_carried(message, losses)
    content = [*thinking_blocks(message), *_texts(message)]
    calls = list(_calls(message, losses))
    ending = stop_fields(
        Ending(choice.get("finish_reason"), choice.get("stop_reason")),
        asked,
        has_calls=bool(calls),
        has_refusal=bool(said(message.get("refusal"))),
    )
    usage = usage_of(body.get("usage"), losses)
    if tier := _TIERS.get(str(body.get("service_tier"))):
        usage["service_tier"] = tier
    return {**skeleton(body, asked), "content": content + calls, **ending, "usage": usage}


def skeleton(body: Json, asked: Asked) -> Json:
    """A Message without content, from a completion or from the first chunk of a stream."""
    message_id, model = body.get("id"), body.get("model")
    if not (isinstance(message_id, str) and message_id.startswith("msg_")):
        message_id = f"msg_{secrets.token_hex(12)}"
    return {
        "id": message_id,
        "type": "message",
        "role": "assistant",
        "model": model if isinstance(model, str) and model else asked.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
        **{key: value for key, value in body.items() if key not in _CONSUMED},
    }


def stop_fields(ending: Ending, asked: Asked, *, has_calls: bool, has_refusal: bool) -> Json:
    """``stop_reason``, ``stop_sequence`` and ``stop_details``.

    An answer with calls that ended of itself stops for ``tool_use`` whatever the upstream calls it: some say ``stop``,
    and a client would not run the tools then.
    """
    finish, matched = ending
    reason = _REASONS.get(finish, "end_turn") if isinstance(finish, str) else "end_turn"
    sequence = None
    if has_refusal:
        reason = "refusal"
    elif has_calls and reason == "end_turn":
        reason = "tool_use"
    elif reason == "end_turn" and isinstance(matched, str) and matched in asked.stop_sequences:
        reason, sequence = "stop_sequence", matched
    details = {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None
    return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}


def usage_of(value: Any, losses: Losses) -> Json:
    """Chat's ``usage`` as Anthropic's, whose input tokens leave out those read from or written to the cache."""
    if not isinstance(value, dict):
        losses.add("usage", "added", "no token counts came; all are 0")
        value = {}
    inputs, outputs = value.get("prompt_tokens_details"), value.get("completion_tokens_details")
    read = _count(inputs, "cached_tokens")
    written = _count(inputs, "cache_write_tokens") or _count(inputs, "cache_creation_tokens")
    usage: Json = {
        "input_tokens": max(0, _count(value, "prompt_tokens") - read - written),
        "output_tokens": _count(value, "completion_tokens"),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
    if thinking := _count(outputs, "reasoning_tokens"):
        usage["output_tokens_details"] = {"thinking_tokens": thinking}
    return usage


def said(content: Any) -> str:
    """The text of a content field: a string, or parts of which those with a text count."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "".join(text for text in texts if isinstance(text, str))


def reasoning_of(message: Mapping[str, Any]) -> str:
    """The reasoning of a message or delta, under either of its two names."""
    for key in ("reasoning_content", "reasoning"):
        text = message.get(key)
        if isinstance(text, str) and text:
            return text
    return ""


def thinking_blocks(message: Mapping[str, Any]) -> list[Json]:
    """Reasoning as blocks: the signed ones where there are some, else the plain text."""
    given = message.get("thinking_blocks")
    blocks = [block for entry in given if (block := thinking_block(entry))] if isinstance(given, list) else []
    text = reasoning_of(message)
    if text and not any(block.get("thinking") for block in blocks):
        blocks.insert(0, {"type": "thinking", "thinking": text, "signature": ""})
    return blocks


def thinking_block(entry: Any) -> Json | None:
    """One of chat's ``thinking_blocks`` as a content block; None where it is none."""
    if not isinstance(entry, dict):
        return None
    if entry.get("type") == "redacted_thinking":
        return {"type": "redacted_thinking", "data": str(entry.get("data") or "")}
    text, signature = said(entry.get("thinking")), said(entry.get("signature"))
    return {"type": "thinking", "thinking": text, "signature": signature} if text or signature else None


def arguments_of(function: Mapping[str, Any]) -> str:
    """A call's arguments or a piece of them as JSON text; some servers give the object itself."""
    arguments = function.get("arguments")
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else _encode(arguments).decode()


def tool_input(arguments: str) -> Json | None:
    """Arguments as an object; None where they are none."""
    if not arguments.strip():
        return {}
    try:
        value = _decode(arguments)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def call_id(value: Any) -> str:
    """The upstream's id of a call, or a new one."""
    return value if isinstance(value, str) and value else f"toolu_{secrets.token_hex(12)}"


def record_not_carried(message: Mapping[str, Any], losses: Losses) -> None:
    """Put on record what a message or delta holds that no block can."""
    for key in _NOT_CARRIED:
        if message.get(key):
            losses.add(f"content.{key}", "dropped", "a Message has no such block")
    parts = message.get("content")
    if isinstance(parts, list) and not all(isinstance(part, dict) and "text" in part for part in parts):
        losses.add("content", "dropped", "a part of the reply is no text")


def _first_choice(body: Json, losses: Losses) -> Json:
    choices = body.get("choices")
    found = [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []
    if not found:
        raise UpstreamError("The upstream's reply has no choices.", code="upstream_invalid_response")
    first = next((choice for choice in found if not choice.get("index")), found[0])
    if len(found) > 1:
        losses.add("choices[1]", "dropped", "a Message is one choice")
    return first


def _texts(message: Json) -> Iterator[Json]:
    for key in ("content", "refusal"):
        if text := said(message.get(key)):
            yield {"type": "text", "text": text}


def _calls(message: Json, losses: Losses) -> Iterator[Json]:
    calls = message.get("tool_calls")
    for i, call in enumerate(calls if isinstance(calls, list) else ()):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            losses.add(f"content.tool_calls[{i}]", "dropped", "it is no function call")
            continue
        arguments = arguments_of(function)
        value = tool_input(arguments)
        if value is None:
            losses.add(f"content.tool_calls[{i}].input", "changed", f"no JSON object; kept under {INVALID_JSON}")
            value = {INVALID_JSON: arguments}
        yield {"type": "tool_use", "id": call_id(call.get("id")), "name": said(function.get("name")), "input": value}


def _count(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, dict) else None
    return found if type(found) is int and found >= 0 else 0
