"""What an answer says, whatever its bytes: two answers that read the same say the same and are equally complete.

Rule: off the clock; a reader gives None for what it cannot read, and never raises.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

import msgspec

Reader = Callable[[bytes], object]
Json = dict[str, Any]

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def reader(surface: str, *, stream: bool) -> Reader:
    """Return what reads a surface's answers."""
    read = (_STREAMS if stream else _BODIES)[surface]

    def guarded(body: bytes) -> object:
        try:
            return read(body)
        except (msgspec.DecodeError, LookupError, TypeError, AttributeError):
            return None

    return guarded


def _chat(body: bytes) -> object:
    return _decode(body)["choices"][0]["message"]["content"]


def _completion(body: bytes) -> object:
    choice = _decode(body)["choices"][0]
    return choice["text"], choice["finish_reason"]


def _response(body: bytes) -> object:
    return _said_by_response(_decode(body))


def _message(body: bytes) -> object:
    found = _decode(body)
    return "".join(block["text"] for block in found["content"]), found["stop_reason"], _tokens(found["usage"])


def _chat_stream(stream: bytes) -> object:
    """The joined content, and whether ``[DONE]`` came."""
    text = ""
    for chunk in _events(stream):
        text += "".join(choice.get("delta", {}).get("content") or "" for choice in chunk.get("choices") or ())
    return text, _is_done(stream)


def _completion_stream(stream: bytes) -> object:
    """The joined text, what it ended for, and whether ``[DONE]`` came."""
    choices = [choice for chunk in _events(stream) for choice in chunk["choices"]]
    reasons = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(choice["text"] for choice in choices), reasons, _is_done(stream)


def _response_stream(stream: bytes) -> object:
    """The joined deltas, the last response, the order of event types, and whether no number is missing."""
    events = list(_events(stream))
    deltas = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    numbers = [event["sequence_number"] for event in events]
    is_gapless = numbers == list(range(len(events)))
    return deltas, _said_by_response(events[-1]["response"]), _order(events), is_gapless


def _message_stream(stream: bytes) -> object:
    """The joined deltas, what the message ended for, its tokens and the order of event types."""
    events = [event for event in _events(stream) if event["type"] != "ping"]
    deltas = "".join(event["delta"]["text"] for event in events if event["type"] == "content_block_delta")
    end = [event for event in events if event["type"] == "message_delta"][-1]
    tokens = _tokens({**events[0]["message"]["usage"], **end["usage"]})
    return deltas, end["delta"]["stop_reason"], tokens, _order(events)


def _said_by_response(response: Json) -> object:
    parts = [part for item in response["output"] for part in item["content"]]
    return "".join(part["text"] for part in parts), response["status"], _tokens(response["usage"])


def _tokens(usage: Json) -> tuple[int, int]:
    return usage["input_tokens"], usage["output_tokens"]


def _order(events: Iterable[Json]) -> list[str]:
    """The types of events, those that repeat once."""
    return [kind for kind, _ in groupby(event["type"] for event in events)]


def _events(stream: bytes) -> Iterable[Json]:
    for line in stream.splitlines():
        data = line.removeprefix(b"data:").strip()
        if data and data != b"[DONE]" and line.startswith(b"data:"):
            yield _decode(data)


def _is_done(stream: bytes) -> bool:
    return any(line.removeprefix(b"data:").strip() == b"[DONE]" for line in stream.splitlines())


_BODIES: Mapping[str, Reader] = {
    "chat": _chat,
    "completions": _completion,
    "responses": _response,
    "messages": _message,
}
_STREAMS: Mapping[str, Reader] = {
    "chat": _chat_stream,
    "completions": _completion_stream,
    "responses": _response_stream,
    "messages": _message_stream,
}
