"""Anthropic Messages in the matrix."""

from __future__ import annotations

from typing import Any

import msgspec

from chatproxy.testing.matrix.said import Heard, Json, Said, error_in


class MessagesDialect:
    """`Dialect` of messages."""

    surface = "messages"
    path = "/v1/messages"
    has_calls = True
    has_reasoning = True

    def question(self, text: str, *, earlier: Said | None = None, result: str | None = None) -> Json:
        """See `Dialect`."""
        messages: list[Json] = []
        last: list[Json] = [{"type": "text", "text": text}]
        if earlier is not None:
            messages += [{"role": "user", "content": "Before."}, {"role": "assistant", "content": _blocks(earlier)}]
            if result is not None:
                last.insert(0, {"type": "tool_result", "tool_use_id": "call_0", "content": result})
        return {"max_tokens": 1000, "messages": [*messages, {"role": "user", "content": last}]}

    def answer(self, said: Said) -> Json:
        """See `Dialect`."""
        prompt, completion = said.usage
        return {
            **_head(),
            "content": _blocks(said),
            "stop_reason": _stop_reason(said),
            "usage": {"input_tokens": prompt, "output_tokens": completion},
        }

    def events(self, said: Said) -> list[Json | str]:
        """See `Dialect`."""
        prompt, completion = said.usage
        made: list[Json | str] = [
            {"type": "message_start", "message": {**_head(), "usage": {"input_tokens": prompt, "output_tokens": 1}}}
        ]
        for index, block in enumerate(_blocks(said)):
            made.append({"type": "content_block_start", "index": index, "content_block": _begun(block)})
            deltas = _deltas(said, block)
            made += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
            made.append({"type": "content_block_stop", "index": index})
        delta = {"stop_reason": _stop_reason(said), "stop_sequence": None}
        made.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": completion}})
        return [*made, {"type": "message_stop"}]

    def hear(self, body: Json) -> Heard:
        """See `Dialect`."""
        error = error_in(body)
        heard = Heard(error=error, finish=body.get("stop_reason"), is_complete=error is None)
        for block in body.get("content") or ():
            if block["type"] == "text":
                heard.content += block["text"]
            elif block["type"] == "thinking":
                heard.reasoning += block["thinking"]
            elif block["type"] == "tool_use":
                heard.calls.append((block["name"], msgspec.json.encode(block["input"]).decode()))
        usage: Any = body.get("usage")
        heard.usage = (usage["input_tokens"], usage["output_tokens"]) if usage else None
        return heard

    def hear_events(self, events: list[Json | str]) -> Heard:
        """See `Dialect`."""
        heard, counts = Heard(), {"input_tokens": 0, "output_tokens": 0}
        for event in events:
            if not isinstance(event, dict):
                return heard
            kind = event["type"]
            if kind == "content_block_start" and event["content_block"]["type"] == "tool_use":
                heard.calls.append((event["content_block"]["name"], ""))
            elif kind == "content_block_delta":
                _hear_delta(heard, event["delta"])
            elif kind == "error":
                heard.error = error_in(event)
            elif kind == "message_start":
                counts.update(event["message"]["usage"])
            elif kind == "message_delta":
                heard.finish = event["delta"]["stop_reason"]
                counts.update(event["usage"])
                heard.usage = (counts["input_tokens"], counts["output_tokens"])
            elif kind == "message_stop":
                heard.is_complete = True
        return heard

    def tool_names(self, body: Json) -> list[str]:
        """See `Dialect`."""
        return [tool["name"] for tool in body.get("tools") or ()]


def _head() -> Json:
    return {
        "id": "msg_matrix",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop_reason(said: Said) -> str:
    return "tool_use" if said.calls else "end_turn"


def _blocks(said: Said) -> list[Json]:
    blocks: list[Json] = []
    if said.reasoning:
        blocks.append({"type": "thinking", "thinking": said.reasoning, "signature": "c2ln"})
    if said.content:
        blocks.append({"type": "text", "text": said.content})
    for i, (name, arguments) in enumerate(said.calls):
        blocks.append({"type": "tool_use", "id": f"call_{i}", "name": name, "input": msgspec.json.decode(arguments)})
    return blocks


def _begun(block: Json) -> Json:
    empty: Json = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}
    return {**block, **empty[block["type"]]}


def _deltas(said: Said, block: Json) -> list[Json]:
    if block["type"] == "text":
        return [{"type": "text_delta", "text": piece} for piece in said.pieces(block["text"])]
    if block["type"] == "thinking":
        pieces = [{"type": "thinking_delta", "thinking": piece} for piece in said.pieces(block["thinking"])]
        return [*pieces, {"type": "signature_delta", "signature": block["signature"]}]
    arguments = msgspec.json.encode(block["input"]).decode()
    return [{"type": "input_json_delta", "partial_json": piece} for piece in said.pieces(arguments)]


def _hear_delta(heard: Heard, delta: Json) -> None:
    if delta["type"] == "text_delta":
        heard.content += delta["text"]
    elif delta["type"] == "thinking_delta":
        heard.reasoning += delta["thinking"]
    elif delta["type"] == "input_json_delta":
        name, arguments = heard.calls[-1]
        heard.calls[-1] = (name, arguments + delta["partial_json"])
