"""A chat stream as the events of a Message.

Rule: what a chunk says is passed on with that chunk; only what must wait waits: a call behind another one, and the
end of the message until the token counts are in.
Source: Anthropic API reference, "Streaming messages"; OpenAI API reference, "The chat completion chunk object".
"""

from __future__ import annotations

from typing import Any

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.messages.blocks import Blocks
from chatproxy.translation.messages.reply import (
    Asked,
    Ending,
    arguments_of,
    reasoning_of,
    record_not_carried,
    said,
    skeleton,
    stop_fields,
    thinking_block,
    usage_of,
)

_PLAIN = frozenset({"content", "role"})
_KNOWN = frozenset({"content", "role", "refusal", "reasoning_content", "reasoning", "tool_calls", "thinking_blocks"})


class MessageStream:
    """Reads the chunks of one stream; see `Translation.event` and `Translation.finish`."""

    __slots__ = ("_asked", "_blocks", "_ending", "_has_refusal", "_has_started", "_losses", "_usage")

    def __init__(self, asked: Asked, losses: Losses) -> None:
        self._asked = asked
        self._losses = losses
        self._blocks = Blocks(losses)
        self._ending = Ending()
        self._usage: Json | None = None
        self._has_started = self._has_refusal = False

    def event(self, data: Json) -> list[Json]:
        """What the next chunk makes; an open text goes on without a look at all else."""
        index = self._blocks.live_text
        if index >= 0 and (text := _plain_text(data)) is not None:
            return [{"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}]
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        events = [] if self._has_started else [self._start(data)]
        choices = data.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict):
                continue
            if choice.get("index"):
                self._losses.add("choices[1]", "dropped", "a Message is one choice")
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self._delta(delta, events)
            if choice.get("finish_reason") is not None:
                self._ending = Ending(choice["finish_reason"], choice.get("stop_reason"))
        return events

    def finish(self) -> list[Json]:
        """The end of the last block, ``message_delta`` and ``message_stop``."""
        events = [] if self._has_started else [self._start({})]
        events += self._blocks.close()
        ending = stop_fields(self._ending, self._asked, has_calls=self._blocks.has_calls, has_refusal=self._has_refusal)
        events.append({"type": "message_delta", "delta": ending, "usage": usage_of(self._usage, self._losses)})
        events.append({"type": "message_stop"})
        return events

    def _start(self, data: Json) -> Json:
        self._has_started = True
        usage = usage_of(self._usage or {}, self._losses)
        return {"type": "message_start", "message": {**skeleton(data, self._asked), "usage": usage}}

    def _delta(self, delta: Json, events: list[Json]) -> None:
        blocks = self._blocks
        if reasoning := reasoning_of(delta):
            events += blocks.say("thinking", reasoning)
        if delta.get("thinking_blocks"):
            self._thinking(delta["thinking_blocks"], events)
        if text := said(delta.get("content")):
            events += blocks.say("text", text)
        if refusal := said(delta.get("refusal")):
            self._has_refusal = True
            events += blocks.say("refusal", refusal)
        if delta.get("tool_calls"):
            self._calls(delta["tool_calls"], events)
        if not delta.keys() <= _KNOWN or isinstance(delta.get("content"), list):
            record_not_carried(delta, self._losses)

    def _thinking(self, given: Any, events: list[Json]) -> None:
        for entry in given if isinstance(given, list) else ():
            if block := thinking_block(entry):
                events += self._blocks.seal_thinking(block)

    def _calls(self, calls: Any, events: list[Json]) -> None:
        for i, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                self._losses.add(f"content.tool_calls[{i}]", "dropped", "it is no function call")
                continue
            index = call.get("index")
            index = index if isinstance(index, int) else None
            name, piece = said(function.get("name")), arguments_of(function)
            events += self._blocks.call(index, said(call.get("id")), name, piece)


def _plain_text(data: Json) -> str | None:
    """The text of a chunk that holds nothing else of this message."""
    try:
        (choice,) = data["choices"]
        delta = choice["delta"]
        text = delta["content"]
        if (
            text.__class__ is str
            and text
            and delta.keys() <= _PLAIN
            and choice.get("finish_reason") is None
            and not choice.get("index")
            and data.get("usage") is None
        ):
            return text
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    return None
