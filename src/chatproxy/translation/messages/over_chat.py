"""A client that speaks Anthropic Messages, a handler that speaks chat completions."""

from __future__ import annotations

import re

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.messages.reply import Asked, to_message
from chatproxy.translation.messages.request import read_request
from chatproxy.translation.messages.stream import MessageStream

_MESSAGE = re.compile(r"messages\[(\d+)\]")


class MessagesOverChat:
    """One Messages exchange over chat completions.

    Args:
        hub: chat is only on the way to a surface that knows signatures of reasoning, so they are kept as
            ``thinking_blocks``.

    Carried: system prompts (one message, blocks joined by an empty line), texts, images, PDF and text documents,
    search results, reasoning as ``reasoning_content``, tools, calls and results, structured output, effort, user and
    service tier. The limit goes as ``max_tokens``: every compatible server knows it, while some ignore
    ``max_completion_tokens`` without a word and would write on without a limit; those OpenAI models that refuse it
    say so. A stop sequence that the upstream names (``stop_reason``, as vLLM does) is named to the client.

    Changed, on record: thinking budgets become levels of effort; images and PDFs of tool results move to the user
    message behind them; documents and search results become text; a turn's order of reasoning, text and calls is
    chat's; an assistant's last turn may not be continued; a schema with optional properties is asked for without
    ``strict``; arguments that are no JSON object come as ``{"INVALID_JSON": text}`` in a buffered reply and as they
    are in a stream; missing token counts are 0.

    Dropped, on record: marks for the prompt cache, citations, ``is_error``, signatures and encrypted reasoning,
    Anthropic's own tools and their blocks, MCP servers, context management, ``thinking`` that is disabled, other
    choices than the first, output that is neither text, reasoning nor a function call.

    Refused (400): file ids, documents by URL, containers, threads, compacted turns, a region to run in, and a forced
    tool that is not offered.
    """

    __slots__ = ("_asked", "_hub", "_losses", "_names", "_origins", "_stream")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        self._losses = losses
        self._hub = hub
        self._asked = Asked()
        self._names: dict[str, str] = {}
        self._origins: list[str] = []
        self._stream: MessageStream | None = None

    def request(self, body: Json) -> Json:
        """See `Translation.request`."""
        written = read_request(body, self._losses, hub=self._hub)
        self._names, self._origins = written.names, written.origins
        model = body.get("model")
        stops = body.get("stop_sequences") or ()
        self._asked = Asked(model if isinstance(model, str) else "", tuple(stops))
        return written.body

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`.

        Raises:
            UpstreamError: there is no message in it (502, code ``upstream_invalid_response``).
        """
        return to_message(body, self._asked, self._losses)

    def event(self, data: Json) -> list[Json]:
        """See `Translation.event`."""
        stream = self._stream
        if stream is None:
            stream = self._stream = MessageStream(self._asked, self._losses)
        return stream.event(data)

    def finish(self) -> list[Json]:
        """See `Translation.finish`."""
        return (self._stream or MessageStream(self._asked, self._losses)).finish()

    def param(self, name: str) -> str:
        """See `Translation.param`; a chat message is named by the message it came from."""
        if found := _MESSAGE.match(name):
            number = int(found[1])
            return self._origins[number] if number < len(self._origins) else name
        return self._names.get(name) or self._names.get(name.partition(".")[0]) or name


def count_tokens_request(body: Json, losses: Losses | None = None) -> Json:
    """The chat request whose tokens are to be counted; ``max_tokens`` need not be there.

    Raises:
        InvalidRequest: as `MessagesOverChat.request`.
    """
    return read_request(body, Losses() if losses is None else losses, hub=False, is_count=True).body


def count_tokens_reply(input_tokens: int) -> Json:
    """The answer of ``/v1/messages/count_tokens``."""
    return {"input_tokens": input_tokens}
