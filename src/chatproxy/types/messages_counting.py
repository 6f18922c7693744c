"""The layout of Anthropic's token counting: a request as messages has it, a reply that is one number.

Source: Anthropic API reference, "Count tokens in a Message".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from chatproxy.types.foreign import GENERATION
from chatproxy.types.layout import Summary
from chatproxy.types.messages import MessagesLayout
from chatproxy.types.model import ToolCall, ToolResult
from chatproxy.types.peek import peek
from chatproxy.types.text import Text
from chatproxy.types.usage import Usage


class _Counted(msgspec.Struct):
    input_tokens: int | None = None


_decode_summary = msgspec.json.Decoder(_Counted).decode


class CountTokensLayout(MessagesLayout):
    """`Layout` of ``/v1/messages/count_tokens``; it never streams, and what is asked about events is as on messages."""

    surface = "count_tokens"
    path = "/messages/count_tokens"
    streams = False

    def response_texts(self, body: Any) -> Iterator[Text]:
        """None: nothing was written."""
        return iter(())

    def summary(self, data: bytes) -> Summary:
        """``input_tokens``."""
        found = peek(_decode_summary, data)
        return _usage_of(found.get("input_tokens") if isinstance(found, dict) else found.input_tokens), []

    def usage(self, body: Any) -> Usage | None:
        """``input_tokens``, as tokens of a prompt."""
        return _usage_of(body.get("input_tokens"))

    def finish_reasons(self, body: Any) -> list[str]:
        """None: nothing was generated."""
        return []

    def filter(self, body: Any, message: str) -> None:
        """Nothing: nothing was written."""

    def own_param(self, name: str) -> str | None:
        """None for what says how a model writes, but for ``thinking``, which is counted; any other name as it is."""
        return None if name in GENERATION and name != "thinking" else name

    def tool_calls(self, body: Any) -> list[ToolCall]:
        """None."""
        return []

    def answer_calls(self, request: Any, reply: Any, results: Mapping[str, ToolResult]) -> None:
        """Nothing: the reply asks for no calls."""


COUNT_TOKENS = CountTokensLayout()


def _usage_of(tokens: Any) -> Usage | None:
    if type(tokens) is not int or tokens < 0:
        return None
    return Usage(prompt_tokens=tokens, total_tokens=tokens)
