"""From the events of an Anthropic message to the message, as it can be said to the model again.

Rule: pieces are kept and joined once, so that a long text costs no more than it has letters; nothing is shared with the
events, which others may change before the message is used.
Source: Anthropic API reference, "Streaming messages" and ``RawContentBlockDelta``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from chatproxy.errors import InvalidRequest, UpstreamError
from chatproxy.types.body import MAX_DEPTH, check_json

Json = dict[str, Any]
_Pieces = dict[str, list[Any]]
_encode, _decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode


class MessagesAssembly:
    """Blocks in the order of their begin, filled by their deltas."""

    __slots__ = ("_blocks", "_message", "_pieces")

    def __init__(self) -> None:
        self._message: Json = {}
        self._blocks: list[tuple[Json, _Pieces]] = []  # as it began, and the pieces of its fields
        self._pieces: dict[int, _Pieces] = {}  # of the block that has this index now

    @property
    def usage(self) -> Json | None:
        """Token counts that were said so far."""
        usage = self._message.get("usage")
        return usage if isinstance(usage, dict) else None

    def add(self, event: Mapping[str, Any]) -> None:
        """See `Assembly`."""
        kind = event.get("type")
        if kind == "content_block_delta":
            self.extend(event)
        elif kind == "content_block_start":
            self._begin(index_of(event), event.get("content_block"))
        elif kind == "message_start" and not self._message:
            self._message = own(event.get("message"))
            content = self._message.get("content")
            for index, block in enumerate(content if isinstance(content, list) else ()):
                self._begin(index, block)
        elif kind == "message_delta":
            others = {key: value for key, value in event.items() if key not in {"type", "delta", "usage"}}
            usage = _later(self.usage, event.get("usage"))
            self._message.update({**own(others), **own(event.get("delta"))})
            if usage is not None:
                self._message["usage"] = usage

    def extend(self, event: Mapping[str, Any]) -> None:
        """Take a ``content_block_delta``; most events are one, so that it does little."""
        index, delta = event.get("index"), event.get("delta")
        pieces = self._pieces.get(index if type(index) is int else 0)
        if pieces is None:
            pieces = self._begin(index_of(event), {})
        for key, value in delta.items() if isinstance(delta, dict) else ():
            if isinstance(value, str):
                if key in pieces:
                    pieces[key].append(value)
                elif key != "type":
                    pieces[key] = [value]
            elif key == "citation":
                pieces.setdefault(key, []).append(own(value))

    def result(self, model: str) -> Json:
        """See `Assembly`."""
        blocks = [_filled(block, pieces) for block, pieces in self._blocks]
        return {"type": "message", "role": "assistant", "model": model, **self._message, "content": blocks}

    def _begin(self, index: int, block: Any) -> _Pieces:
        pieces: _Pieces = {}
        self._blocks.append((own(block), pieces))
        self._pieces[index] = pieces
        return pieces


def index_of(event: Mapping[str, Any]) -> int:
    """The index of an event's block; the first one's where it says none."""
    index = event.get("index")
    return index if type(index) is int else 0


def own(value: Any) -> Json:
    """A copy of an object, however deep; empty where the value is none.

    Raises:
        UpstreamError: it nests too deep to be written again (502, code ``upstream_invalid_json``).
    """
    if not isinstance(value, Mapping):
        return {}
    copied = dict(value)
    try:
        for key, inner in copied.items():
            if inner and isinstance(inner, dict | list):
                copied[key] = _decode(_encode(inner))
    except RecursionError as exc:
        raise UpstreamError("The upstream sent an answer nested too deep.", code="upstream_invalid_json") from exc
    return copied


def _filled(block: Json, pieces: Mapping[str, list[Any]]) -> Json:
    """A content block with what its deltas said."""
    made = {**block}
    for key, values in pieces.items():
        begun = made.get(key)
        if key == "citation":
            cited = made.get("citations")
            made["citations"] = [*(cited if isinstance(cited, list) else ()), *values]
        elif key == "partial_json":
            made["input"] = _input_in("".join(values)) if any(values) else made.get("input", {})
        elif key == "signature":  # it comes whole: Anthropic's clients, too, keep the last one
            made[key] = values[-1]
        else:
            made[key] = (begun if isinstance(begun, str) else "") + "".join(values)
    return made


def _input_in(text: str) -> Any:
    """A call's input; the text itself where it is cut off or nested too deep, so that the call shows as malformed."""
    try:
        if text.count("[") + text.count("{") > MAX_DEPTH:
            check_json(text.encode())
        return _decode(text)
    except (msgspec.DecodeError, RecursionError, InvalidRequest):
        return text


def _later(usage: Json | None, more: Any) -> Json | None:
    """Token counts of a message after another event: totals, and those that it does not say again stay."""
    if not isinstance(more, Mapping):
        return usage
    known = usage or {}
    return {**known, **{key: value for key, value in own(more).items() if value or not known.get(key)}}
