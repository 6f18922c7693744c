"""What vendors say on the wire: one turn of a model, and a refusal, in each one's own form."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from chatproxy.testing.matrix import DIALECTS, Said

from .vendor import Asked, Reply, Send, events_reply, json_reply

CHAT = DIALECTS["chat"]
REFUSED = "Slow down."


class Wire(NamedTuple):
    """One vendor.

    Attributes:
        path: where a buffered chat is asked for.
        chunks: the events of a stream that says this, whole.
    """

    provider: str
    path: str
    answer: Any
    chunks: Any
    refusal: Any

    def says(self, said: Said) -> Reply:
        """A turn, streamed where the request asks for it."""
        whole, streamed = json_reply(self.answer(said)), events_reply(*self.chunks(said))

        async def reply(asked: Asked, send: Send) -> bool:
            return await (streamed if asked.json.get("stream") or "stream" in asked.path else whole)(asked, send)

        return reply

    def refuses(self, status: int) -> Reply:
        """An error answer."""
        return json_reply(self.refusal(status), status, {"retry-after": "7", "set-cookie": "a=b"})


def _chat_events(said: Said) -> list[Any]:
    return list(CHAT.events(said))


def _mistral_events(said: Said) -> list[Any]:
    """As chat's, with each call whole: Mistral does not send them in pieces."""
    events = [event for event in CHAT.events(said) if not _has_calls(event)]
    calls = [{"index": i, **call} for i, call in enumerate(CHAT.answer(said)["choices"][0]["message"]["tool_calls"])]
    first: Any = events[0]
    return [
        *events[:1],
        {**first, "choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": None}]},
        *events[1:],
    ]


def _has_calls(event: Any) -> bool:
    return isinstance(event, dict) and any(choice["delta"].get("tool_calls") for choice in event["choices"])


def _gemini(said: Said) -> dict[str, Any]:
    parts: list[dict[str, Any]] = [{"text": said.reasoning, "thought": True}] if said.reasoning else []
    parts += [{"text": said.content}] if said.content else []
    parts += [{"functionCall": {"name": name, "args": json.loads(arguments)}} for name, arguments in said.calls]
    return _gemini_says(parts, said, finish="STOP")


def _gemini_says(parts: list[dict[str, Any]], said: Said, finish: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    prompt, completion = said.usage
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": completion, "totalTokenCount": prompt + completion}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-of-the-vendor"}


def _gemini_chunks(said: Said) -> list[dict[str, Any]]:
    made = [_gemini_says([{"text": said.reasoning, "thought": True}], said)] if said.reasoning else []
    made += [_gemini_says([{"text": piece}], said) for piece in said.pieces(said.content)]
    return [*made, _gemini(Said(calls=said.calls, usage=said.usage))]


DEEPSEEK = Wire(
    "deepseek",
    "/chat/completions",
    CHAT.answer,
    _chat_events,
    lambda status: {"error": {"message": REFUSED, "type": "refused", "code": "because"}},
)
MISTRAL = Wire(
    "mistral",
    "/v1/chat/completions",
    CHAT.answer,
    lambda said: _mistral_events(said) if said.calls else _chat_events(said),
    lambda status: {"object": "error", "message": REFUSED, "type": "refused", "code": "because"},
)
GEMINI = Wire(
    "gemini",
    "/v1/models/name-of-the-vendor:generateContent",
    _gemini,
    _gemini_chunks,
    lambda status: {"error": {"message": REFUSED, "code": status, "status": "because"}},
)
WIRES = (DEEPSEEK, MISTRAL, GEMINI)
