"""A client that speaks OpenAI Responses, a handler that speaks chat; docs/translation.md says what is carried."""

from __future__ import annotations

from chatproxy.translation.base import Json, Losses
from chatproxy.translation.exchange import Exchange
from chatproxy.translation.fields import Written
from chatproxy.translation.responses.items import Events, make_id
from chatproxy.translation.responses.object import ResponseObject
from chatproxy.translation.responses.request import read_request
from chatproxy.translation.responses.stream import ResponseStream


class ResponsesOverChat(Exchange):
    """`Translation` of a Responses client's exchange for a chat handler.

    Attributes:
        response_id: the Response's id, also before there is one.
        is_stored: what the Response shows as ``store``: the client's wish, true where it has none.
        previous_response_id: what the Response shows; the gateway says it, having taken it from the request.
    """

    __slots__ = ("_asked", "is_stored", "previous_response_id", "response_id")

    def __init__(self, losses: Losses, *, hub: bool = False) -> None:
        super().__init__(losses, hub=hub)
        self._asked: Json = {}
        self.response_id = make_id("resp_")
        self.is_stored = True
        self.previous_response_id: str | None = None

    def reply(self, body: Json) -> Json:
        """See `Translation.reply`."""
        return self._answer(Events(is_silent=True)).whole(body)

    def param(self, name: str) -> str:
        """See `Translation.param`."""
        if name.startswith("tools["):
            return name.replace(".function", "", 1).replace(".custom", "", 1)
        return super().param(name)

    def _write(self, body: Json) -> Written:
        self._asked = body
        self.is_stored = body.get("store") is not False
        return read_request(body, self._losses, hub=self._hub)

    def _read(self) -> ResponseStream:
        return self._answer(Events())

    def _answer(self, events: Events) -> ResponseStream:
        stored = {"id": self.response_id, "store": self.is_stored, "previous_response_id": self.previous_response_id}
        return ResponseStream(ResponseObject(self._asked, stored, self._losses), self._losses, events)
