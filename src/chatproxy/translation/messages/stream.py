"""A chat answer, in pieces or whole, as a Message and the events that tell of it.

Rule: what a chunk says is passed on with that chunk; only what must wait waits: a call behind another one, and the
end of the message until the token counts are in. A buffered reply takes the same way in one step, so both say the same.
Source: Anthropic API reference, ``Message`` and "Streaming messages"; OpenAI API reference, "The chat completion chunk
object".
"""

from __future__ import annotations

import secrets
from typing import Any

from chatproxy.translation.base import NOT_ON_MESSAGES, Json, Losses
from chatproxy.translation.endings import CHAT_TO_MESSAGES, TIER_TO_MESSAGES, usage_to_messages
from chatproxy.translation.fields import Written
from chatproxy.translation.hub import arguments_of, choices_of, objects, plain_choice, plain_reply, text_of, thoughts_of
from chatproxy.translation.messages.blocks import Blocks, blocks_of

_CONSUMED = frozenset({"id", "object", "created", "model", "choices", "usage", "service_tier", "obfuscation"})
_READ = frozenset({"content", "role", "refusal", "reasoning_content", "reasoning", "tool_calls", "thinking_blocks"})
_NOT_COUNTED = dict.fromkeys(("cache_creation", "inference_geo", "output_tokens_details", "server_tool_use"))
_NOT_CARRIED = ("annotations", "audio", "function_call")


class MessageStream:
    """Reads one answer; see `Translation.event` and `Translation.finish`.

    Args:
        asked: the chat request.
    """

    __slots__ = ("_asked", "_blocks", "_finish_reason", "_has_refusal", "_has_started", "_losses", "_matched", "_usage")

    def __init__(self, losses: Losses, asked: Written) -> None:
        self._losses = losses
        self._asked = asked
        self._blocks = Blocks(losses)
        self._finish_reason: Any = None
        self._matched: Any = None
        self._usage: Any = None
        self._has_started = self._has_refusal = False

    def event(self, data: Json) -> list[Json]:
        """What the next chunk makes; an open text goes on without a look at all else."""
        index = self._blocks.live_text
        if index >= 0 and (plain := plain_choice(data)) is not None and not plain.get("index"):
            said = {"type": "text_delta", "text": plain["delta"]["content"]}
            return [{"type": "content_block_delta", "index": index, "delta": said}]
        if isinstance(data.get("usage"), dict):
            self._usage = data["usage"]
        events = [] if self._has_started else [self._start(data)]
        for choice in objects(data.get("choices")):
            if choice.get("index"):
                self._losses.add("content", "dropped", "a Message is one choice")
            else:
                self._choice(choice, choice.get("delta"), events)
        return events

    def finish(self) -> list[Json]:
        """The end of the last block, ``message_delta`` and ``message_stop``."""
        events = [] if self._has_started else [self._start({})]
        events += self._blocks.close()
        events.append({"type": "message_delta", "delta": self._ending(), "usage": self._counts()})
        events.append({"type": "message_stop"})
        return events

    def whole(self, body: Json) -> Json:
        """The Message for a buffered reply.

        Raises:
            UpstreamError: it has no answer (502, code ``upstream_invalid_response``).
        """
        if (text := plain_reply(body)) is not None:
            self._usage, self._finish_reason = body.get("usage"), "stop"
            content: list[Json] = [{"type": "text", "text": text, "citations": None}]
            return self._message(body, content)
        choices = choices_of(body)
        if len(choices) > 1:
            self._losses.add("content", "dropped", "a Message is one choice")
        choice = next((choice for choice in choices if not choice.get("index")), choices[0])
        self._usage = body.get("usage")
        events: list[Json] = []
        self._choice(choice, choice["message"], events, is_whole=True)
        return self._message(body, blocks_of(events + self._blocks.close()))

    def _message(self, body: Json, content: list[Json]) -> Json:
        usage = {**_NOT_COUNTED, **self._counts(), "service_tier": _tier(body)}
        return {**self._opening(body), "content": content, **self._ending(), "usage": usage}

    def _start(self, data: Json) -> Json:
        self._has_started = True
        usage = {**_NOT_COUNTED, **usage_to_messages(self._usage or {}), "service_tier": _tier(data)}
        return {"type": "message_start", "message": {**self._opening(data), "usage": usage}}

    def _opening(self, data: Json) -> Json:
        """A Message without content, from a completion or from the first chunk of a stream."""
        message_id, model = data.get("id"), data.get("model")
        if not (isinstance(message_id, str) and message_id.startswith("msg_")):
            message_id = f"msg_{secrets.token_hex(12)}"
        return {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model if isinstance(model, str) and model else self._asked.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "stop_details": None,
            "container": None,
            **{key: value for key, value in data.items() if key not in _CONSUMED},
        }

    def _choice(self, choice: Json, said: Any, events: list[Json], *, is_whole: bool = False) -> None:
        if isinstance(said, dict):
            self._said(said, events, is_whole=is_whole)
            self._called(said, events, is_whole=is_whole)
            if not _READ.issuperset(said) or isinstance(said.get("content"), list):
                self._miss(said)
        if choice.get("finish_reason") is not None:
            self._finish_reason, self._matched = choice["finish_reason"], choice.get("stop_reason")

    def _said(self, said: Json, events: list[Json], *, is_whole: bool) -> None:
        for thought in thoughts_of(said, is_whole=is_whole):
            events += self._blocks.think(thought)
        if text := text_of(said.get("content")):
            events += self._blocks.say("text", text)
        if refusal := text_of(said.get("refusal")):
            self._has_refusal = True
            events += self._blocks.say("refusal", refusal)

    def _called(self, said: Json, events: list[Json], *, is_whole: bool) -> None:
        calls = said.get("tool_calls")
        for i, call in enumerate(calls if isinstance(calls, list) else ()):
            function = call.get("function") if isinstance(call, dict) else None
            if not isinstance(function, dict):
                self._losses.add("content", "dropped", "a call that is no function call")
                continue
            index = i if is_whole else call.get("index")
            index = index if isinstance(index, int) else None
            name = text_of(function.get("name"))
            name = self._asked.tools.get(name, name)
            events += self._blocks.call(index, text_of(call.get("id")), name, arguments_of(function))

    def _miss(self, said: Json) -> None:
        """Put on record what a message or delta holds that no block can."""
        for key in _NOT_CARRIED:
            if said.get(key):
                self._losses.add("content", "dropped", f"'{key}': {NOT_ON_MESSAGES}")
        parts = said.get("content")
        if isinstance(parts, list) and not all(isinstance(part, dict) and "text" in part for part in parts):
            self._losses.add("content", "dropped", "a part of the reply that is no text")

    def _ending(self) -> Json:
        """``stop_reason``, ``stop_sequence`` and ``stop_details``.

        An answer with calls that ended of itself stops for ``tool_use`` whatever the upstream calls it: some say
        ``stop``, and a client would not run the tools then.
        """
        reason, sequence = CHAT_TO_MESSAGES.get(str(self._finish_reason), "end_turn"), None
        if self._has_refusal:
            reason = "refusal"
        elif self._blocks.has_calls and reason == "end_turn":
            reason = "tool_use"
        elif reason == "end_turn" and self._has_matched():
            reason, sequence = "stop_sequence", self._matched
        details = {"type": "refusal", "category": None, "explanation": None} if reason == "refusal" else None
        return {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details}

    def _has_matched(self) -> bool:
        """Whether the stop sequence that vLLM names in the choice's ``stop_reason`` is one that was asked for."""
        stop = self._asked.body.get("stop")
        return isinstance(stop, list) and isinstance(self._matched, str) and self._matched in stop

    def _counts(self) -> Json:
        if isinstance(self._usage, dict):
            return usage_to_messages(self._usage)
        self._losses.add("usage", "added", "no token counts came; all are 0")
        return usage_to_messages({})


def _tier(body: Json) -> str | None:
    return TIER_TO_MESSAGES.get(str(body.get("service_tier")))
