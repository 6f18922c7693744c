"""Chat, the hub: what a message, a delta or a chunk of an answer says, and how what a model said earlier is told.

Rule: a handler may send any shape; what cannot be read says nothing.
Source: OpenAI API reference, "The chat completion object" and "The chat completion chunk object".
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Json

_PLAIN = frozenset({"content", "role"})
_WHOLE = frozenset({"index", "message", "finish_reason"})
_EMPTY: tuple[object, ...] = (None, "", [], {})
_encode = msgspec.json.Encoder().encode


def plain_choice(data: Json) -> Json | None:
    """The only choice of a chunk that says a piece of text and nothing else; None for any other chunk."""
    try:
        (choice,) = data["choices"]
        delta = choice["delta"]
        text = delta["content"]
    except (KeyError, TypeError, ValueError):
        return None
    if text.__class__ is not str or not text or choice.get("finish_reason") is not None:
        return None
    if data.get("usage") is not None or choice.get("logprobs") is not None:
        return None
    if len(delta) > 1 and any(value is not None and key not in _PLAIN for key, value in delta.items()):
        return None
    found: Json = choice
    return found


def plain_reply(body: Json) -> str | None:
    """The text of a reply that says nothing else and ended of itself; None for any other reply."""
    try:
        (choice,) = body["choices"]
        message = choice["message"]
        text = message["content"]
    except (KeyError, TypeError, ValueError):
        return None
    if text.__class__ is not str or not text or choice.get("finish_reason") != "stop" or choice.get("index"):
        return None
    if any(key not in _WHOLE and value is not None for key, value in choice.items()):
        return None
    if any(key not in _PLAIN and value not in _EMPTY for key, value in message.items()):
        return None
    found: str = text
    return found


def choices_of(body: Json) -> list[Json]:
    """The choices of a reply, each with a message.

    Raises:
        UpstreamError: there are none (502, code ``upstream_invalid_response``).
    """
    choices = [choice for choice in objects(body.get("choices")) if isinstance(choice.get("message"), dict)]
    if not choices:
        raise UpstreamError("The upstream's reply has no choice with a message.", code="upstream_invalid_response")
    return choices


def text_of(content: Any) -> str:
    """A text: a string, or parts of which those with a text count."""
    if isinstance(content, str):
        return content
    texts = [part.get("text") for part in objects(content)] if content else ()
    return "".join([text for text in texts if isinstance(text, str)])


def reasoning_of(said: Json) -> str:
    """The reasoning of a message or delta, under either of its two names."""
    return text_of(said.get("reasoning_content")) or text_of(said.get("reasoning"))


class Thought(NamedTuple):
    """Some reasoning.

    Attributes:
        signature: what proves a block to its maker, where it has come.
        redacted: encrypted reasoning, which has no text.
        ends: it is a block that came whole, so what follows is another; the text may have come in pieces before it.
    """

    text: str = ""
    signature: str = ""
    redacted: str | None = None
    ends: bool = False

    def text_after(self, pieces: Iterable[str]) -> str:
        """What is still to be said after what was said of the same reasoning, which a block that ends says again."""
        if not self.ends:
            return self.text
        said = "".join(pieces)
        return "" if said.endswith(self.text) else self.text.removeprefix(said)


def thoughts_of(said: Json, *, is_whole: bool = False) -> list[Thought]:
    """The reasoning of a message or delta: as text, as ``thinking_blocks``, or as both, which then say the same.

    Args:
        is_whole: it is a message; in a delta, blocks beside the text are pieces.
    """
    text, blocks = reasoning_of(said), objects(said.get("thinking_blocks"))
    if not blocks:
        return [Thought(text)] if text else []
    thoughts = []
    if text and not any(text_of(block.get("thinking")) for block in blocks):
        thoughts.append(Thought(text))
        text = ""
    for block in blocks:
        if block.get("type") == "redacted_thinking":
            thoughts.append(Thought(redacted=text_of(block.get("data")), ends=True))
            continue
        thought, signature = text_of(block.get("thinking")), text_of(block.get("signature"))
        if thought or signature:
            thoughts.append(Thought(thought, signature, ends=is_whole or not text))
    return thoughts


class Turn(msgspec.Struct):
    """What a model said in a row, which is one chat message; ``origin`` is the client's path for its beginning."""

    origin: str
    reasoning: list[str] = []
    thinking: list[Json] = []
    calls: list[Json] = []

    def message(self, content: str | list[Json]) -> Json:
        """The message, with what the model said beside reasoning and calls."""
        message: Json = {"role": "assistant", "content": (content or None) if self.calls else content}
        if self.reasoning:
            message["reasoning_content"] = "\n\n".join(self.reasoning)
        if self.thinking:
            message["thinking_blocks"] = self.thinking
        if self.calls:
            message["tool_calls"] = self.calls
        return message


def arguments_of(called: Json, key: str = "arguments") -> str:
    """What a call says to its tool, or a piece of it; some servers give the object itself."""
    written = called.get(key)
    if isinstance(written, str):
        return written
    return "" if written is None else _encode(written).decode()


def objects(value: Any) -> list[Json]:
    """The objects of a list; none where it is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
