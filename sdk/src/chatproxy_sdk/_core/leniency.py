"""What other servers mean: JSON that is nearly a completion's, put into the form that OpenAI's has.

Only what cannot be read as it came is brought here, so that this costs nothing where a server keeps to the form.

Rule: no I/O here. What is passed in is not changed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

# The JSON name of what a delta has besides its known fields; no server sends a field of that name.
UNKNOWN = "chatproxy-sdk:unknown"
_DELTA_TEXTS = ("role", "refusal", "reasoning_content")
_CHUNK_TEXTS = ("id", "model", "system_fingerprint", "service_tier")
_DELTA_FIELDS = {*_DELTA_TEXTS, "content", "tool_calls"}


def decoded(data: bytes) -> Any:
    """JSON as other languages write it too: with a byte order mark, NaN, or half of a surrogate pair in a text.

    Raises:
        ValueError, RecursionError: it is no JSON even so.
    """
    return json.loads(data)


def writable(value: Any) -> Any:
    """The same JSON value with texts that UTF-8 has: pairs of surrogates are joined, lone ones are replaced."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {writable(name): writable(one) for name, one in value.items()}
    return [writable(one) for one in value] if isinstance(value, list) else value


def error_in(data: Any) -> Any:
    """The error that a JSON object tells of, in any of the ways in which servers do; None where it does not."""
    if not isinstance(data, Mapping) or data.get("choices"):
        return None
    if error := data.get("error"):
        return error
    is_error = "error" in {data.get("object"), data.get("type")} if _are_texts(data, "object", "type") else False
    has_code = isinstance(data.get("message"), str) and any(_is_error_code(data.get(one)) for one in ("code", "status"))
    return data if is_error or has_code else None


def sound_chunk(data: Any) -> dict[str, Any]:
    """A chunk as its decoder takes it; a whole completion becomes one chunk.

    Raises:
        ValueError: it cannot be told what is meant.
    """
    if not isinstance(data, dict):
        raise ValueError(f"expected an object, found {type(data).__name__}")  # noqa: TRY004 - the server is at fault
    choices = data.get("choices")
    if choices is not None and not isinstance(choices, list):
        raise ValueError("expected an array at `$.choices`")
    found: dict[str, Any] = {name: _text(data.get(name)) for name in _CHUNK_TEXTS}
    found["created"] = _number(data.get("created"))
    found["choices"] = None if choices is None else [_choice_part(choice) for choice in choices]
    found["usage"] = data["usage"] if isinstance(data.get("usage"), dict) else None
    found["error"] = data.get("error") or error_in(data)
    return found


def sound_choice(choice: Any) -> Any:
    """A choice of a buffered completion as its class takes it; what is beyond help is left as it is."""
    if not isinstance(choice, dict):
        return choice
    found = {name: value for name, value in choice.items() if name != "index" or value is not None}
    return {**found, "message": sound_message(found["message"])} if "message" in found else found


def sound_message(message: Any) -> Any:
    """A message as its class takes it; what is beyond help is left as it is."""
    if not isinstance(message, Mapping):
        return message
    found = {name: value for name, value in message.items() if name != "role" or value is not None}
    if isinstance(calls := found.pop("tool_calls", None), (list, tuple)):
        # Sent back, an empty list is refused by servers that would have sent none.
        return {**found, "tool_calls": [_sound_call(call) for call in calls]} if calls else found
    return found if calls is None else {**found, "tool_calls": calls}


def _sound_call(call: Any) -> Any:
    if not isinstance(call, Mapping):
        return call
    found = {name: value for name, value in call.items() if value is not None}
    if isinstance(found.get("id"), int):
        found["id"] = str(found["id"])
    return {**found, "function": _function(found["function"])} if isinstance(found.get("function"), Mapping) else found


def _choice_part(choice: Any) -> dict[str, Any]:
    if not isinstance(choice, dict):
        raise ValueError("expected an object at `$.choices[...]`")  # noqa: TRY004 - the server is at fault
    delta = choice.get("delta")
    delta = choice.get("message") if delta is None else delta
    return {
        "index": _index(choice.get("index"), 0),
        "delta": _delta(delta) if isinstance(delta, dict) else None,
        "finish_reason": _text(choice.get("finish_reason")),
    }


def _delta(delta: dict[str, Any]) -> dict[str, Any]:
    calls = delta.get("tool_calls") or []
    found: dict[str, Any] = {name: _text(delta.get(name)) for name in _DELTA_TEXTS}
    unknown = {name: value for name, value in delta.items() if name not in _DELTA_FIELDS and value is not None}
    return {
        **found,
        "content": _content(delta.get("content")),
        "tool_calls": [_call_part(call, place) for place, call in enumerate(calls)] or None,
        UNKNOWN: unknown or None,
    }


def _call_part(call: Any, place: int) -> dict[str, Any]:
    if not isinstance(call, dict):
        raise ValueError("expected an object at `$.choices[...].delta.tool_calls[...]`")  # noqa: TRY004
    function = call.get("function")
    return {
        "index": _index(call.get("index"), place),
        "id": _text(call.get("id")),
        "type": _text(call.get("type")),
        "function": _function(function) if isinstance(function, dict) else None,
    }


def _function(function: Mapping[str, Any]) -> dict[str, Any]:
    """A called function, or a piece of one; arguments that came as an object are written as JSON text."""
    found = {name: value for name, value in function.items() if value is not None}
    if "arguments" in found and not isinstance(found["arguments"], str):
        found["arguments"] = msgspec.json.encode(found["arguments"]).decode()
    return found


def _content(content: Any) -> str | None:
    if not isinstance(content, list):
        return _text(content)
    parts = [part.get("text") for part in content if isinstance(part, dict)]
    return "".join(part for part in parts if isinstance(part, str))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float)):
        return str(value)
    raise ValueError(f"expected a text, found {type(value).__name__}")


def _index(value: Any, default: int) -> int:
    if value is None:
        return default
    if isinstance(value, (int, float, str)):
        return int(value)
    raise ValueError(f"expected a number, found {type(value).__name__}")


def _number(value: Any) -> float | None:
    try:
        return value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        return None


def _is_error_code(value: Any) -> bool:
    return str(value).isdecimal() and 400 <= int(value) <= 599


def _are_texts(data: Mapping[str, Any], *names: str) -> bool:
    return all(isinstance(data.get(name), str | None) for name in names)
