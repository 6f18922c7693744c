"""A chat client in front of a handler that speaks Anthropic's Messages.

Rule: one object for each exchange; what it drops or changes is on record in its `Losses`.
"""

from __future__ import annotations

from typing import Any

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import Json, Losses
from chatproxy.translation.chat.chunks import Delta, completion, head
from chatproxy.translation.chat.messages_blocks import Blocks
from chatproxy.translation.chat.messages_request import MessagesRequest
from chatproxy.translation.chat.messages_stream import MessagesStream, ending_of, refusal_of

_PARAMS = {
    "system": "messages",
    "stop_sequences": "stop",
    "output_config.effort": "reasoning_effort",
    "output_config.format": "response_format",
    "output_config.format.schema": "response_format.json_schema.schema",
}
_REPLY_READ = frozenset(
    {"id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "service_tier"}
)
_REPLY_LOST = ("container", "diagnostics")


class ChatOverMessages:
    """`Translation` of a chat client's exchange for a Messages handler.

    Lost: ``seed``, ``logit_bias``, both penalties, ``prediction``, ``logprobs``, ``verbosity``, ``web_search_options``,
    ``moderation``, the prompt cache's parameters, ``metadata`` but its ``user_id``, the JSON mode without a schema and
    stop sequences of white space; names and unknown fields of messages; unsigned reasoning; in the answer signatures,
    redacted thinking, the blocks of Anthropic's own tools, and citations but of the web.
    Changed: temperatures over 1, the place of instructions within the conversation, refusals (sent as text), custom
    tools (sent as functions), ``reasoning_effort`` (an effort and, where allowed, adaptive thinking), some service
    tiers, calls' ids with odd characters. Added: a limit of tokens where the client set none.
    Refused: ``n`` over 1, audio in and out, video, legacy functions, file ids, files but PDF and plain text, images but
    jpeg, png, gif and webp, arguments that are no JSON object, a conversation of instructions alone.

    Args:
        hub: the client's side can carry signatures, in ``thinking_blocks``: all in a message; in a stream each whole,
            once its text has come as ``reasoning_content``.
    """

    __slots__ = ("_blocks", "_hub", "_losses", "_model", "_request", "_stream")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        self._losses = losses
        self._hub = hub
        self._model = ""
        self._request = MessagesRequest(losses)
        self._stream: MessagesStream | None = None

    def request(self, body: Json) -> Json:
        """A chat request as one for Messages."""
        self._request = MessagesRequest(self._losses)
        model = body.get("model")
        self._model = model if isinstance(model, str) else ""
        return self._request.build(body)

    def reply(self, body: Json) -> Json:
        """A message as a chat completion.

        Raises:
            UpstreamError: the handler's reply has no content (502).
        """
        content = body.get("content")
        if not isinstance(content, list):
            raise UpstreamError("The upstream's message has no list 'content'.", code="upstream_invalid_response")
        blocks = self._reading()
        deltas: list[Delta] = []
        for index, block in enumerate(content):
            deltas += blocks.whole(index, block) if isinstance(block, dict) else []
        ending = ending_of(body, self._losses, has_calls=blocks.has_calls)
        opening = head("chat.completion", body.get("id"), body.get("model") or self._model)
        made = completion(opening, deltas + refusal_of(body), ending)
        return {**self._others(body, made), **made}

    def event(self, data: Json) -> list[Json]:
        """The chunks for an event of Messages."""
        stream = self._stream
        if stream is None:
            stream = self._stream = MessagesStream(self._losses, self._reading(), model=self._model)
        return stream.event(data)

    def finish(self) -> list[Json]:
        """The chunks that end the stream, where no event did."""
        if self._stream is None:
            self._stream = MessagesStream(self._losses, self._reading(), model=self._model)
        return self._stream.finish()

    def param(self, name: str) -> str:
        """Chat's name for a field of Messages; turns are not messages, so their places are left out."""
        if name.startswith(("messages[", "messages.")):
            return "messages"
        return self._request.names.get(name) or _PARAMS.get(name, name)

    def _reading(self) -> Blocks:
        return Blocks(self._losses, custom=self._request.tools.custom, hub=self._hub)

    def _others(self, body: Json, made: Json) -> dict[str, Any]:
        """Fields of the reply that Messages does not know either."""
        for key in _REPLY_LOST:
            if body.get(key) is not None:
                self._losses.add(f"choices[0].{key}", "dropped", "chat has no place for it")
        return {key: value for key, value in body.items() if key not in _REPLY_READ and key not in _REPLY_LOST}
