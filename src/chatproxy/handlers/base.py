"""What handlers share: ids, and the shapes of a chat completion and of its chunks.

Rule: plain data in, plain dicts out; no I/O and no request here.
Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from secrets import token_hex
from typing import Any

Json = dict[str, Any]


def make_id(prefix: str, *parts: str) -> str:
    """An id that is the same for the same parts, for example ``chatcmpl-6c1f…`` (24 hexadecimal digits).

    Without parts it is random.
    """
    if not parts:
        return prefix + token_hex(12)
    return prefix + blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def completion(
    choices: str | Sequence[Mapping[str, Any]],
    *,
    model: str,
    completion_id: str | None = None,
    created: int | None = None,
    usage: Mapping[str, Any] | None = None,
    **extra: Any,
) -> Json:
    """A ``chat.completion`` object.

    Args:
        choices: the answer's text, or choices as `choice` makes them.
        completion_id: None makes a random one.
        created: Unix seconds; None is now.
        usage: as `usage_object` makes it; None leaves it out.
        extra: more fields, for example ``system_fingerprint``.

    Example:
        ``Completed(completion("Hello!", model=request.model))``
    """
    listed = [choice(message(choices))] if isinstance(choices, str) else list(choices)
    made = _head("chat.completion", model=model, completion_id=completion_id, created=created)
    return _finished(made, listed, usage, extra)


def chunk(
    choices: str | Sequence[Mapping[str, Any]] = (),
    *,
    model: str,
    completion_id: str | None = None,
    created: int | None = None,
    usage: Mapping[str, Any] | None = None,
    **extra: Any,
) -> Json:
    """A ``chat.completion.chunk`` object: one event of a stream; all of one stream share id and ``created``.

    Args:
        choices: a piece of the first choice's text, choices as `delta` makes them, or none for a usage chunk.

    Example:
        ``yield chunk("Hel", model=request.model, completion_id=my_id)``
    """
    listed = [delta({"content": choices})] if isinstance(choices, str) else list(choices)
    made = _head("chat.completion.chunk", model=model, completion_id=completion_id, created=created)
    return _finished(made, listed, usage, extra)


def message(content: str | None, *, tool_calls: Sequence[Mapping[str, Any]] = ()) -> Json:
    """An assistant's message, with every field OpenAI always sends."""
    made: Json = {"role": "assistant", "content": content, "refusal": None, "annotations": []}
    if tool_calls:
        made["tool_calls"] = list(tool_calls)
    return made


def choice(
    said: Mapping[str, Any], *, index: int = 0, finish_reason: str = "stop", logprobs: Mapping[str, Any] | None = None
) -> Json:
    """One choice of a buffered reply, around what `message` makes."""
    return {"index": index, "message": dict(said), "logprobs": logprobs, "finish_reason": finish_reason}


def delta(
    said: Mapping[str, Any],
    *,
    index: int = 0,
    finish_reason: str | None = None,
    logprobs: Mapping[str, Any] | None = None,
) -> Json:
    """One choice of a chunk: ``said`` is ``{"role": …}``, ``{"content": …}``, ``{"tool_calls": […]}`` or empty."""
    return {"index": index, "delta": dict(said), "logprobs": logprobs, "finish_reason": finish_reason}


def usage_object(prompt_tokens: int, completion_tokens: int) -> Json:
    """A ``usage`` object with its details, all in tokens."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _head(kind: str, *, model: str, completion_id: str | None, created: int | None) -> Json:
    return {
        "id": completion_id or make_id("chatcmpl-"),
        "object": kind,
        "created": int(time.time()) if created is None else created,
        "model": model,
    }


def _finished(made: Json, choices: list[Any], usage: Mapping[str, Any] | None, extra: Mapping[str, Any]) -> Json:
    made["choices"] = choices
    if usage is not None:
        made["usage"] = dict(usage)
    made.update(extra)
    return made
