"""Reading how a response ended and what it cost, whole or from a stream's events.

Source: OpenAI API reference, "The response object" and "Responses, streaming events".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import msgspec

from chatproxy.types.tally import decode_event, stream_error
from chatproxy.types.usage import Usage, usage_of_chat
from chatproxy.types.walk import objects

_CALLS = frozenset({"function_call", "custom_tool_call"})
_TEXT = "response.output_text.delta"
_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_REASONS = {"max_output_tokens": "length", "max_tokens": "length"}


class _Event(msgspec.Struct, gc=False):
    type: str
    delta: str | None = None
    sequence_number: int | None = None


_decode_peek = msgspec.json.Decoder(_Event).decode


class ResponsesTally:
    """`Tally` of a response's events.

    Attributes:
        sequence_number: of the last event; counted where the events have none.
    """

    __slots__ = ("characters", "finish_reasons", "is_over", "sequence_number", "usage")
    done_is_end: ClassVar[bool] = False

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.finish_reasons: list[str] = []
        self.characters = 0
        self.is_over = False
        self.sequence_number = -1

    @property
    def may_end(self) -> bool:
        """The response's last event has come."""
        return self.is_over

    def add(self, data: bytes) -> bool:
        """See `Tally.add`; there is always more to an event than token counts."""
        try:
            event = _decode_peek(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            self._take(decode_event(data))
            return True
        kind = event.type
        if kind == _TEXT:
            self.characters += len(event.delta or "")
        elif kind in _ENDS or not kind.startswith("response."):
            self._take(decode_event(data))
            return True
        number = event.sequence_number
        self.sequence_number = self.sequence_number + 1 if number is None else number
        return True

    def _take(self, event: dict[str, Any]) -> None:
        """Look at an event that ends the stream or has an unusual shape."""
        kind, number = event.get("type"), event.get("sequence_number")
        if kind == _TEXT and isinstance(event.get("delta"), str):
            self.characters += len(event["delta"])
        if isinstance(kind, str) and kind in _ENDS:
            self._end(kind, event)
        elif kind == "error" or (event.get("error") is not None and not str(kind).startswith("response.")):
            error = event.get("error")
            plain = {key: event.get(key) for key in ("message", "code")}
            raise stream_error(error if isinstance(error, dict | str) else plain)
        # an event that failed does not count: the one that takes its place has its number
        self.sequence_number = number if type(number) is int else self.sequence_number + 1

    def _end(self, kind: str, event: dict[str, Any]) -> None:
        self.usage = usage_of_response(event) or self.usage
        if kind == "response.failed":
            response = event.get("response")
            raise stream_error(response.get("error") if isinstance(response, dict) else None)
        self.finish_reasons.extend(finish_reasons_of(event))
        self.is_over = True


def usage_of_response(body: Any) -> Usage | None:
    """Token counts of a response, or of an event that carries one."""
    return usage_of(_response_in(body).get("usage"))


def usage_of(value: Any) -> Usage | None:
    """Read the ``usage`` object of a response, also in chat's words; None where it is absent or no object."""
    if not isinstance(value, Mapping):
        return None
    if "input_tokens" not in value and "output_tokens" not in value:
        return usage_of_chat(value)
    prompt, completion = _count(value, "input_tokens"), _count(value, "output_tokens")
    details = value.get("input_tokens_details")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=completion,
        total_tokens=_count(value, "total_tokens") or prompt + completion,
        cached_tokens=_count(details, "cached_tokens"),
        cache_write_tokens=_count(details, "cache_write_tokens") or _count(details, "cache_creation_input_tokens"),
        reasoning_tokens=_count(value.get("output_tokens_details"), "reasoning_tokens"),
    )


def finish_reasons_of(body: Any) -> list[str]:
    """Why a response ended, in chat's words; nothing where it has not, or failed."""
    response = _response_in(body)
    details = response.get("incomplete_details")
    status = response.get("status")
    if status is None:
        status = _implied_status(body, response)
    types = (item.get("type") for _, item in objects(response.get("output")))
    return reasons(status, types, details.get("reason") if isinstance(details, dict) else None)


def reasons(status: Any, item_types: Iterable[Any], incomplete_reason: Any) -> list[str]:
    """The finish reason that a response's status stands for."""
    if status == "completed":
        return ["tool_calls" if any(kind in _CALLS for kind in item_types if isinstance(kind, str)) else "stop"]
    if status == "incomplete":
        reason = incomplete_reason if isinstance(incomplete_reason, str) else "length"
        return [_REASONS.get(reason, reason)]
    return []


def _count(value: Any, key: str) -> int:
    found = value.get(key) if isinstance(value, Mapping) else None
    return found if type(found) is int and found >= 0 else 0


def _response_in(body: Any) -> Mapping[str, Any]:
    response = body.get("response")
    if isinstance(response, dict):
        return response
    found: Mapping[str, Any] = body
    return found


def _implied_status(body: Any, response: Mapping[str, Any]) -> str | None:
    """The status of a response that does not say it: that of its event, or completed where it has an output."""
    kind = body.get("type")
    if isinstance(kind, str):
        return kind.removeprefix("response.") if kind in _ENDS else None
    return "completed" if isinstance(response.get("output"), list) and response.get("error") is None else None
