"""A chat client in front of a handler that speaks Anthropic's Messages; docs/translation.md says what is carried.

Rule: one object for each exchange; what it drops or changes is on record in its `Losses`.
"""

from __future__ import annotations

from chatproxy.errors import UpstreamError
from chatproxy.translation.base import NOT_ON_CHAT, Json
from chatproxy.translation.chat.chunks import completion, head
from chatproxy.translation.chat.messages_blocks import Blocks
from chatproxy.translation.chat.messages_request import read_request
from chatproxy.translation.chat.messages_stream import MessagesStream, ending_of, refusal_of
from chatproxy.translation.exchange import Exchange
from chatproxy.translation.fields import Written

_REPLY_READ = frozenset(
    {"id", "type", "role", "content", "model", "stop_reason", "stop_sequence", "stop_details", "usage", "service_tier"}
)
_REPLY_LOST = ("container", "diagnostics")


class ChatOverMessages(Exchange):
    """`Translation` of a chat client's exchange for a Messages handler."""

    __slots__ = ()

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`."""
        if not isinstance(body.get("content"), list):
            raise UpstreamError("The upstream's message has no list 'content'.", code="upstream_invalid_response")
        blocks = self._blocks()
        deltas = blocks.all(body["content"]) + refusal_of(body)
        ending = ending_of(body, self._losses, has_calls=blocks.has_calls)
        opening = head("chat.completion", body.get("id"), body.get("model") or self._written.model)
        for key in _REPLY_LOST:
            if body.get(key) is not None:
                self._losses.add(key, "dropped", NOT_ON_CHAT)
        others = {key: value for key, value in body.items() if key not in _REPLY_READ and key not in _REPLY_LOST}
        return {**others, **completion(opening, deltas, ending)}

    def _write(self, body: Json) -> Written:
        return read_request(body, self._losses)

    def _read(self) -> MessagesStream:
        return MessagesStream(self._losses, self._blocks(), model=self._written.model)

    def _blocks(self) -> Blocks:
        return Blocks(self._losses, custom=self._written.custom, hub=self._hub)
