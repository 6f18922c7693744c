"""What the mock upstream answers, in bytes: by surface, by the model's name, and whether a response is stored.

The model's name is the script: ``mock`` answers at once and streams 100 pieces of text without a pause;
``mock-10ms-100`` streams 100 pieces 10 ms apart, and asked for JSON waits those 10 ms before it answers. A name that
begins with ``native`` says the same; the gateway's configuration tells the two apart. Nothing here is random.
"""

import functools
import json
import re
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from benchmarks import upstream_surfaces
from benchmarks.upstream_surfaces import CREATED, PROMPT_TOKENS, REPLY_TOKENS

_SCRIPTED_MODEL = re.compile(r"(?:mock|native)-(\d+)ms-(\d+)")
_USUAL_WORDS = 100
_REPLY_TEXT = ("The quick brown fox jumps over the lazy dog. " * 9)[:400]
_DONE = b"data: [DONE]\n\n"

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    b"cache-control: no-cache\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM_END = b"0\r\n\r\n"


class Script(msgspec.Struct, frozen=True):
    """What one model name makes the upstream do on one surface; frames are complete HTTP chunks, one event each."""

    gap_s: float
    answer: bytes
    frames: tuple[bytes, ...]
    frames_with_usage: tuple[bytes, ...]


@functools.cache
def script_for(surface: str, model: str, *, is_stored: bool = True) -> Script:
    """Build the answers for a surface and a model name; unknown names behave as ``mock``."""
    match = _SCRIPTED_MODEL.fullmatch(model)
    gap_s, count = (int(match[1]) / 1000, int(match[2])) if match else (0.0, _USUAL_WORDS)
    words = [f" word{index:05d}" for index in range(count)]
    if surface == "responses":
        body = upstream_surfaces.response(_REPLY_TEXT, is_stored=is_stored)
        events = _framed(upstream_surfaces.response_events(words, is_stored=is_stored))
        return Script(gap_s, answer("200 OK", body), events, events)
    if surface == "messages":
        events = _framed(upstream_surfaces.message_events(words))
        return Script(gap_s, answer("200 OK", upstream_surfaces.message(_REPLY_TEXT)), events, events)
    says = _Chat() if surface == "chat" else _Completions()
    plain = [*says.events(words), _DONE]
    with_usage = [*plain[:-1], says.event([], usage=_usage(count)), _DONE]
    return Script(gap_s, answer("200 OK", says.reply(_REPLY_TEXT)), _framed(plain), _framed(with_usage))


def events_sent(surface: str, model: str) -> int:
    """How many events a stream has that the gateway asks this upstream for; it asks for token counts."""
    return len(script_for(surface, model).frames_with_usage)


def answer(status: str, payload: object) -> bytes:
    """A whole HTTP answer with a JSON body."""
    body = json.dumps(payload).encode()
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def _framed(events: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(b"%x\r\n%b\r\n" % (len(event), event) for event in events)


def _usage(reply_tokens: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": reply_tokens,
        "total_tokens": PROMPT_TOKENS + reply_tokens,
    }


class _Chat:
    """Chat completions."""

    head: ClassVar[dict[str, Any]] = {
        "id": "chatcmpl-mock",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "mock",
    }

    def events(self, words: Iterable[str]) -> list[bytes]:
        """A role, one chunk for each word, an end."""
        choices = [{"delta": {"role": "assistant", "content": ""}}, *({"delta": {"content": word}} for word in words)]
        last = {"index": 0, "delta": {}, "finish_reason": "stop"}
        return [
            *(self.event([{"index": 0, **choice, "finish_reason": None}]) for choice in choices),
            self.event([last]),
        ]

    def event(self, choices: list[dict[str, Any]], **extra: Any) -> bytes:
        """One chunk."""
        return (
            b"data: " + json.dumps({**self.head, "choices": choices, **extra}, separators=(",", ":")).encode() + b"\n\n"
        )

    def reply(self, text: str) -> dict[str, Any]:
        """A buffered completion."""
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": _usage(REPLY_TOKENS)}


class _Completions(_Chat):
    """Legacy completions."""

    head: ClassVar[dict[str, Any]] = {
        "id": "cmpl-mock",
        "object": "text_completion",
        "created": CREATED,
        "model": "mock",
    }

    def events(self, words: Iterable[str]) -> list[bytes]:
        """An empty text, one chunk for each word, an end."""
        said = [self.event([self._choice(word)]) for word in ("", *words)]
        return [*said, self.event([self._choice("", "stop")])]

    def reply(self, text: str) -> dict[str, Any]:
        """A buffered completion."""
        return {**self.head, "choices": [self._choice(text, "stop")], "usage": _usage(REPLY_TOKENS)}

    def _choice(self, text: str, finish_reason: str | None = None) -> dict[str, Any]:
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": finish_reason}
