"""A client that speaks Anthropic Messages, a handler that speaks chat; docs/translation.md says what is carried."""

from __future__ import annotations

from chatproxy.translation.base import Json
from chatproxy.translation.exchange import Exchange
from chatproxy.translation.fields import Written
from chatproxy.translation.messages.request import read_request
from chatproxy.translation.messages.stream import MessageStream


class MessagesOverChat(Exchange):
    """`Translation` of a Messages client's exchange for a chat handler."""

    __slots__ = ()

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`."""
        return self._read().whole(body)

    def _write(self, body: Json) -> Written:
        return read_request(body, self._losses, hub=self._hub)

    def _read(self) -> MessageStream:
        return MessageStream(self._losses, self._written)
